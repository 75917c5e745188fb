"""Download a model from the Hub; runs in a process of its own, with the environment that `process` sets."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.hf_api import ModelInfo

from app.models.transfer import disk_space, installation
from app.models.transfer.file_names import LICENCES, SMALL, plain_name
from app.models.transfer.hashes import discard_damaged
from app.models.transfer.messages import Checked, Done, HubOrder, OnReport
from app.models.transfer.progress_reporter import ProgressReporter
from app.models.transfer.resumable_fetch import HubFile, ResumableFetch
from engine.checkpoints.files import INDEX, SINGLE
from engine.checkpoints.model_shape import read_shape
from engine.checkpoints.precision import QUANT_METHOD
from engine.protocol.errors import FaultError

MAX_PROBE_BYTES = 1 << 24


class HubDownload:
    """One order, carried out by `run`.

    1. Ask for the commit, its files, their sizes and hashes. 2. Look at the configuration and choose the
    files; that is all of a probe. See that there is room. 3. Download them. 4. Compare the hashes. 5. Put the
    folder in its place.

    wait: how to let seconds pass between two tries.
    """

    def __init__(
        self,
        order: HubOrder,
        on_report: OnReport,
        *,
        endpoint: str = constants.ENDPOINT,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._order = order
        self._on_report = on_report
        self._endpoint = endpoint
        self._folder = Path(order.folder)
        self._partial = installation.partial(self._folder)
        self._meter = ProgressReporter(on_report)
        self._fetcher = ResumableFetch(order, self._partial, self._meter, on_report, endpoint, wait)

    def run(self) -> None:
        """Raises FaultError."""
        if not (self._order.token.isascii() and self._order.token.isprintable()):
            raise FaultError(
                "access", "The access token has characters that none can have.", "Copy it once more."
            )
        with disk_space.writing_to(self._folder):
            info = self._fetcher.patiently(self._model_info)
            self._fetcher.revision = str(info.sha or self._order.revision)
            self._prepare_folder()
            files = self._choose(self._listing(info))
            total = sum(file.size_bytes for file in files)
            here = ((file, self._fetcher.size_here(file) or 0) for file in files)
            done = sum(size for file, size in here if size <= file.size_bytes)
            if self._order.probe:
                self._probe(files)
            else:
                disk_space.check_room(self._partial, total - done)
            licence = str(info.card_data.get("license") or "") if info.card_data else ""
            record = installation.InstallRecord(
                repo=self._order.repo,
                revision=self._fetcher.revision,
                licence=licence,
                total_bytes=total,
                probe=self._order.probe,
                hashes={file.name: file.hash for file in files},
            )
            installation.write_record(self._partial, record)
            self._on_report(Checked(revision=self._fetcher.revision, licence=licence, total_bytes=total))
            if self._order.probe:
                return
            self._meter.start("downloading", done, total)
            for file in files:
                self._fetcher.fetch(file)
            self._meter.start("verifying", 0, total)
            self._verify(files)
            installation.install(self._folder)
        self._on_report(Done())

    # ---------------------------------------------------------------- 1. what there is

    def _model_info(self) -> ModelInfo:
        api = HfApi(endpoint=self._endpoint, token=self._order.token or False)
        try:
            return api.model_info(
                self._order.repo, revision=self._order.revision, files_metadata=True, timeout=30.0
            )
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
            raise self._fetcher.foreign("a list of a model’s files", repr(error)) from error
        except HfHubHTTPError:  # an OSError too
            raise
        except OSError as error:
            raise FaultError(
                "network",
                f"The certificates for safe connections cannot be read: {error.strerror or error}.",
                "Correct SSL_CERT_FILE or SSL_CERT_DIR, and start Mezzotint again.",
                repr(error),
            ) from error

    def _listing(self, info: ModelInfo) -> dict[str, HubFile]:
        told = [
            {
                "name": sibling.rfilename,
                "size_bytes": (sibling.lfs.size if sibling.lfs else sibling.size) or 0,
                "hash": (sibling.lfs.sha256 if sibling.lfs else "") or sibling.blob_id or "",
            }
            for sibling in info.siblings or []
        ]
        try:
            return {file.name: file for file in msgspec.convert(told, list[HubFile])}
        except msgspec.ValidationError as error:
            raise self._fetcher.foreign("a list of a model’s files", str(error)) from error

    def _prepare_folder(self) -> None:
        """What lies there from another commit is of no use."""
        record = installation.read_record(self._partial)
        if self._partial.exists() and (
            record is None or (record.repo, record.revision) != (self._order.repo, self._fetcher.revision)
        ):
            shutil.rmtree(self._partial)
        self._partial.mkdir(parents=True, exist_ok=True)

    # ---------------------------------------------------------------- 2. what is needed

    def _choose(self, listing: dict[str, HubFile]) -> list[HubFile]:
        """The needed files, weights last; of the small ones none but a tokenizer may be large. Raises
        FaultError for a model of another kind.
        """
        missing = [name for name in ("config.json", "tokenizer.json") if name not in listing]
        if missing:
            raise self._unfit(f"it has no {missing[0]}")
        config = self._read(listing["config.json"])
        model_type = config.get("model_type", "no model type")
        if model_type != "diffusion_gemma":
            raise self._unfit(f"it is of another kind ({model_type})")
        packing = config.get("quantization_config")
        if isinstance(packing, dict) and packing.get("quant_method") != QUANT_METHOD:
            raise self._unfit("another program packed it, where Mezzotint packs the original itself")
        large = {name for name, file in listing.items() if file.size_bytes > MAX_PROBE_BYTES} - {
            "tokenizer.json"
        }
        names = [name for name in SMALL if name in listing and name not in large]
        weights = {SINGLE}
        if INDEX in listing:
            shards = self._read(listing[INDEX]).get("weight_map")
            weights = set(map(str, shards.values())) if isinstance(shards, dict) else set()
            names.append(INDEX)
        if not weights or not all(
            name in listing and plain_name(name) and name.endswith(".safetensors") for name in weights
        ):
            raise self._unfit("its weights do not lie beside its config.json as safetensors")
        return [listing[name] for name in (*names, *sorted(weights))]

    def _probe(self, files: list[HubFile]) -> None:
        """See that the configuration tells how much memory it needs, and fetch the licence's text."""
        try:
            read_shape(self._partial)
        except FaultError as error:
            raise self._unfit("its config.json does not tell how large it is") from error
        for file in files:
            if file.name in LICENCES:
                self._fetcher.fetch(file)

    def _read(self, file: HubFile) -> dict[str, object]:
        if file.size_bytes > MAX_PROBE_BYTES:
            raise self._unfit(f"its {file.name} is no such thing, it is too large")
        self._fetcher.fetch(file)
        self._verify([file])
        try:
            value = json.loads((self._partial / file.name).read_bytes())
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise self._unfit(f"its {file.name} cannot be read")
        return value

    def _unfit(self, why: str) -> FaultError:
        return FaultError(
            "unfit",
            f"Mezzotint cannot draft with “{self._order.repo}”: {why}.",
            "Choose a DiffusionGemma model.",
        )

    # ---------------------------------------------------------------- 4. the hashes

    def _verify(self, files: Iterable[HubFile]) -> None:
        """Raises FaultError, with the files that are not what they should be deleted."""
        damaged = discard_damaged(self._partial, {file.name: file.hash for file in files}, self._meter)
        if damaged:
            one = len(damaged) == 1
            message = f"{'One file' if one else f'{len(damaged)} files'} arrived damaged."
            again = f"Try again: only {'that one is' if one else 'those are'} downloaded again."
            raise FaultError("damaged", message, again, ", ".join(damaged))
