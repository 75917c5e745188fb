"""Downloads a model from the Hub. Runs in a process of its own, with the environment that `fetch` sets."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import httpx2
import msgspec
from huggingface_hub import HfApi, constants, get_session, hf_hub_url, hf_raise_for_status
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.hf_api import ModelInfo
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

from app.models import disk, library
from app.models.hashes import discard_damaged
from app.models.hub_faults import explain, host_of, may_pass, told_wait_s
from app.models.messages import Checked, Done, HubOrder, ModelError, Tell, Waiting
from app.models.meter import Meter
from engine.catalogue import INDEX, SINGLE
from engine.errors import EngineError
from engine.plans import read_shape

T = TypeVar("T")

DELAYS_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 60.0, 60.0, 60.0)
"""Between the tries that bring nothing; after the last one the download fails."""
TIMEOUT = httpx2.Timeout(15.0, read=30.0)
MOST_TO_LOOK_AT_BYTES = 1 << 24
AGAIN = "Try again: only this is downloaded anew."


@dataclass(frozen=True)
class HubFile:
    """sha256: of a large file; blob_id: git's hash. A mirror may tell neither."""

    name: str
    size_bytes: Annotated[int, msgspec.Meta(ge=0)]
    sha256: str
    blob_id: str

    @property
    def hash(self) -> str:
        return self.sha256 or self.blob_id


class HubDownload:
    """One order, carried out by `run`.

    1. Ask for the commit, its files, their sizes and hashes. 2. Look at the configuration and choose the
    files; that is all of a look. See that there is room. 3. Download them, each from the byte where an
    earlier try ended. The client's own `hf_hub_download` begins a file anew after a kill, hence the ranged
    requests here, over its session. 4. Compare the hashes. 5. Put the folder in its place.

    wait: how to let seconds pass between two tries.
    """

    def __init__(
        self,
        order: HubOrder,
        tell: Tell,
        *,
        endpoint: str = constants.ENDPOINT,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._order = order
        self._tell = tell
        self._endpoint = endpoint
        self._host = host_of(endpoint)
        self._wait = wait
        self._folder = Path(order.folder)
        self._partial = library.partial(self._folder)
        self._revision = ""
        self._meter = Meter(tell)
        self._ranges = True

    def run(self) -> None:
        """Raises ModelError."""
        if not (self._order.token.isascii() and self._order.token.isprintable()):
            raise ModelError(
                "access", "The access token has characters that no token has.", "Copy it once more."
            )
        with disk.writing_to(self._folder):
            info = self._patiently(self._model_info)
            self._revision = str(info.sha or self._order.revision)
            self._prepare_folder()
            files = self._choose(self._listing(info))
            total = sum(file.size_bytes for file in files)
            here = ((file, self._size_here(file) or 0) for file in files)
            done = sum(size for file, size in here if size <= file.size_bytes)
            if self._order.look:
                self._look(files)
            else:
                disk.check_room(self._partial, total - done)
            licence = str(info.card_data.get("license") or "") if info.card_data else ""
            self._keep_record(licence, total, files)
            self._tell(Checked(revision=self._revision, licence=licence, total_bytes=total))
            if self._order.look:
                return
            self._meter.start("downloading", done, total)
            for file in files:
                self._download(file)
            self._meter.start("verifying", 0, total)
            self._verify(files)
            library.install(self._folder)
        self._tell(Done())

    # ---------------------------------------------------------------- 1. what there is

    def _model_info(self) -> ModelInfo:
        api = HfApi(endpoint=self._endpoint, token=self._order.token or False)
        try:
            return api.model_info(
                self._order.repo, revision=self._order.revision, files_metadata=True, timeout=30.0
            )
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
            raise self._foreign("a list of a model's files", repr(error)) from error
        except HfHubHTTPError:  # an OSError too
            raise
        except OSError as error:
            raise ModelError(
                "network",
                f"The certificates for safe connections cannot be read: {error.strerror or error}.",
                "Correct SSL_CERT_FILE or SSL_CERT_DIR, and start Mezzotint again.",
                repr(error),
            ) from error

    def _foreign(self, expected: str, details: str = "") -> ModelError:
        return ModelError(
            "network",
            f"What {self._host} answered is not {expected}.",
            "If your network has a login page, open it in a browser first. Otherwise check HF_ENDPOINT.",
            details,
        )

    def _listing(self, info: ModelInfo) -> dict[str, HubFile]:
        told = [
            {
                "name": sibling.rfilename,
                "size_bytes": (sibling.lfs.size if sibling.lfs else sibling.size) or 0,
                "sha256": sibling.lfs.sha256 if sibling.lfs else "",
                "blob_id": sibling.blob_id or "",
            }
            for sibling in info.siblings or []
        ]
        try:
            return {file.name: file for file in msgspec.convert(told, list[HubFile])}
        except msgspec.ValidationError as error:
            raise self._foreign("a list of a model's files", str(error)) from error

    def _prepare_folder(self) -> None:
        """What lies there from another commit is of no use."""
        record = library.read_record(self._partial)
        if self._partial.exists() and (
            record is None or (record.repo, record.revision) != (self._order.repo, self._revision)
        ):
            shutil.rmtree(self._partial)
        self._partial.mkdir(parents=True, exist_ok=True)

    def _keep_record(self, licence: str, total: int, files: list[HubFile]) -> None:
        library.write_record(
            self._partial,
            library.Record(
                repo=self._order.repo,
                revision=self._revision,
                licence=licence,
                total_bytes=total,
                look=self._order.look,
                hashes={file.name: file.hash for file in files},
            ),
        )

    # ---------------------------------------------------------------- 2. what is needed

    def _choose(self, listing: dict[str, HubFile]) -> list[HubFile]:
        """The needed files, weights last; of the small ones none but a tokenizer may be large. Raises
        ModelError for a model of another kind.
        """
        missing = [name for name in ("config.json", "tokenizer.json") if name not in listing]
        if missing:
            raise self._unfit(f"it has no {missing[0]}")
        model_type = self._read(listing["config.json"]).get("model_type", "no model type")
        if model_type != "diffusion_gemma":
            raise self._unfit(f"it is of another kind ({model_type})")
        names = [
            name
            for name in library.SMALL
            if name in listing
            and (name == "tokenizer.json" or listing[name].size_bytes <= MOST_TO_LOOK_AT_BYTES)
        ]
        weights = {SINGLE}
        if INDEX in listing:
            shards = self._read(listing[INDEX]).get("weight_map")
            weights = set(map(str, shards.values())) if isinstance(shards, dict) else set()
            names.append(INDEX)
        if not weights or not all(
            name in listing and library.plain_name(name) and name.endswith(".safetensors") for name in weights
        ):
            raise self._unfit("its weights are no safetensors, or not all there")
        return [listing[name] for name in (*names, *sorted(weights))]

    def _look(self, files: list[HubFile]) -> None:
        """See that the configuration tells how much memory it needs, and fetch the licence's text."""
        try:
            read_shape(self._partial)
        except EngineError as error:
            raise self._unfit("its config.json does not tell how large it is") from error
        for file in files:
            if file.name in library.LICENCES:
                self._download(file)

    def _read(self, file: HubFile) -> dict[str, object]:
        if file.size_bytes > MOST_TO_LOOK_AT_BYTES:
            raise self._unfit(f"its {file.name} is no such thing, it is too large")
        self._download(file)
        self._verify([file])
        try:
            value = json.loads((self._partial / file.name).read_bytes())
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise self._unfit(f"its {file.name} cannot be read")
        return value

    def _unfit(self, why: str) -> ModelError:
        return ModelError(
            "unfit",
            f"Mezzotint cannot draft with “{self._order.repo}”: {why}.",
            "Choose a DiffusionGemma model.",
        )

    # ---------------------------------------------------------------- 3. the bytes

    def _download(self, file: HubFile) -> None:
        if not file.hash:
            raise ModelError(
                "network",
                f"{self._host} does not tell the hash of {file.name}: what arrives could not be checked.",
                "Use another mirror, or none: change HF_ENDPOINT, and start Mezzotint again.",
            )
        if self._size_here(file) != file.size_bytes:
            self._patiently(lambda: self._continue(file))

    def _continue(self, file: HubFile) -> None:
        """One request, from the byte where the file ends here."""
        path = self._partial / file.name
        here = self._size_here(file) or 0
        if here > file.size_bytes:
            path.unlink()
            here = 0
        url = hf_hub_url(self._order.repo, file.name, revision=self._revision, endpoint=self._endpoint)
        headers = build_hf_headers(
            token=self._order.token or False,
            headers={"accept-encoding": "identity"}
            | ({"range": f"bytes={here}-"} if here and self._ranges else {}),
        )
        with (
            get_session().stream("GET", url, headers=headers, timeout=TIMEOUT) as response,
            path.open("ab") as out,
        ):
            if response.status_code == 416:
                out.truncate(0)
                raise self._wrong_size(file)
            hf_raise_for_status(response)
            if response.headers.get("content-type", "").startswith("text/html"):
                raise self._foreign(file.name)
            if _announced_size(response) not in (None, file.size_bytes):
                raise self._wrong_size(file)
            if response.status_code == 206 and not _begins_at(here, response):
                self._ranges = False
                raise httpx2.RemoteProtocolError(f"{file.name} does not go on at byte {here}")
            skip = 0 if response.status_code == 206 else here  # a mirror that knows no ranges
            for chunk in response.iter_bytes():
                new = chunk[skip:]
                skip -= len(chunk) - len(new)
                here += len(new)
                if here > file.size_bytes:
                    out.truncate(0)
                    raise self._wrong_size(file)
                out.write(new)
                out.flush()  # a kill costs no byte that was told
                self._meter.add(len(new), file.name)
            os.fsync(out.fileno())
        if here < file.size_bytes:
            raise httpx2.RemoteProtocolError(f"{file.name} ended after {here} bytes")

    def _size_here(self, file: HubFile) -> int | None:
        """None for a file that is not there."""
        try:
            return (self._partial / file.name).stat().st_size
        except FileNotFoundError:
            return None

    def _wrong_size(self, file: HubFile) -> ModelError:
        return ModelError(
            "damaged",
            f"What {self._host} sends as {file.name} does not have the size that it named.",
            AGAIN,
        )

    def _patiently(self, act: Callable[[], T]) -> T:
        """Try until all of DELAYS_S have passed without a byte that is new."""
        tries = 0
        while True:
            before = self._meter.done_bytes
            try:
                return act()
            except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, ImportError) as error:
                if self._meter.done_bytes > before:
                    tries = 0
                fault = explain(error, self._endpoint, self._order.repo, with_token=bool(self._order.token))
                if tries == len(DELAYS_S) or not may_pass(error):
                    raise fault from error
                seconds = told_wait_s(error) or DELAYS_S[tries]
                tries += 1
                self._tell(Waiting(message=fault.failed.message, seconds=seconds))
                self._wait(seconds)

    # ---------------------------------------------------------------- 4. the hashes

    def _verify(self, files: Iterable[HubFile]) -> None:
        """Raises ModelError, with the files that are not what they should be deleted."""
        damaged = discard_damaged(self._partial, {file.name: file.hash for file in files}, self._meter)
        if len(damaged) == 1:
            message, again = "One file arrived damaged.", "Try again: only that one is downloaded again."
        else:
            message = f"{len(damaged)} files arrived damaged."
            again = "Try again: only those are downloaded again."
        if damaged:
            raise ModelError("damaged", message, again, ", ".join(damaged))


def _begins_at(byte: int, response: httpx2.Response) -> bool:
    """A part of what is compressed cannot be unpacked."""
    headers = response.headers
    return "content-encoding" not in headers and headers.get("content-range", "").startswith(f"bytes {byte}-")


def _announced_size(response: httpx2.Response) -> int | None:
    """The whole file's, as the server tells it."""
    headers = response.headers
    if "content-encoding" in headers:
        return None
    told = headers.get("content-range") if response.status_code == 206 else headers.get("content-length")
    match = re.search(r"(\d+)$", told or "")
    return int(match[1]) if match else None
