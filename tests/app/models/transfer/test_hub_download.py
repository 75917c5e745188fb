"""The download itself: the real client against a Hub on 127.0.0.1."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import msgspec
import pytest

from app.models import library
from app.models.transfer import installation, process
from app.models.transfer.hub_download import MAX_PROBE_BYTES, HubDownload
from app.models.transfer.hub_errors import host_of
from app.models.transfer.messages import Checked, Done, HubOrder, Progress, Report, Waiting
from app.models.transfer.resumable_fetch import DELAYS_S
from engine.protocol.errors import Fault, FaultError
from tests.app.models.hub_server import (
    COMMIT,
    INDEX,
    LATER_COMMIT,
    NEEDED,
    REPO,
    WEIGHTS,
    Hub,
    is_whole,
    sharded_files,
)


class Try:
    """One try of an order: what it told, and how long it waited."""

    def __init__(self, order: HubOrder, endpoint: str) -> None:
        self.reports: list[Report] = []
        self.waits_s: list[float] = []
        self.fault: Fault | None = None
        try:
            HubDownload(order, self.reports.append, endpoint=endpoint, wait=self.waits_s.append).run()
        except FaultError as error:
            self.fault = error.fault

    @property
    def done(self) -> bool:
        return self.reports[-1:] == [Done()]


# ------------------------------------------------------------------ all is well


def test_the_needed_files_and_no_others_arrive(hub: Hub, order: HubOrder, folder: Path) -> None:
    assert Try(order, hub.url).done
    assert is_whole(folder, hub)
    assert not installation.partial(folder).exists()
    assert {seen.file for seen in hub.requests[1:]} == NEEDED
    assert {seen.accepts for seen in hub.requests[1:]} == {"identity"}


def test_a_download_tells_what_it_will_be_and_how_far_it_is(hub: Hub, order: HubOrder) -> None:
    total = sum(len(hub.files[name]) for name in NEEDED)
    reports = Try(order, hub.url).reports
    assert reports[0] == Checked(revision=COMMIT, licence="apache-2.0", total_bytes=total)
    for stage in ("downloading", "verifying"):
        done = [
            report.done_bytes for report in reports if isinstance(report, Progress) and report.stage == stage
        ]
        assert done == sorted(done)
        assert done[0] < done[-1] == total


def test_of_several_weights_those_of_the_index_are_fetched(hub: Hub, order: HubOrder, folder: Path) -> None:
    hub.files = sharded_files()
    assert Try(order, hub.url).done
    shards = {name for name in hub.files if name.startswith("model-0")}
    assert is_whole(folder, hub, NEEDED - {WEIGHTS} | shards | {INDEX})
    assert len(shards) == 2


def test_the_commit_is_chosen_once(hub: Hub, order: HubOrder, folder: Path) -> None:
    hub.sha256[WEIGHTS] = "0" * 64
    Try(order, hub.url)
    del hub.sha256[WEIGHTS]
    record = installation.read_record(installation.partial(folder))
    assert record is not None
    assert (record.repo, record.revision) == (REPO, COMMIT)
    hub.requests.clear()
    assert Try(msgspec.structs.replace(order, revision=record.revision), hub.url).done
    assert all(COMMIT in seen.path for seen in hub.requests)


def test_bytes_of_another_commit_are_not_mixed_in(hub: Hub, order: HubOrder, folder: Path) -> None:
    hub.faults.clear()
    hub.sent["LICENSE"] = b"x" * len(hub.files["LICENSE"])
    assert Try(order, hub.url).fault
    hub.files = hub.files | {"LICENSE": b"another text", "generation_config.json": b'{"eos": 1}'}
    hub.sent.clear()
    hub.commit = LATER_COMMIT
    assert Try(order, hub.url).done
    assert is_whole(folder, hub)


# ------------------------------------------------------------------ a line that breaks


def test_each_cut_is_followed_by_the_very_next_byte(hub: Hub, order: HubOrder, folder: Path) -> None:
    size = len(hub.files[WEIGHTS])
    cuts = [size * tenth // 10 for tenth in range(1, 10)]
    hub.cuts[WEIGHTS] = [*cuts]
    tried = Try(order, hub.url)
    assert tried.done
    assert is_whole(folder, hub)
    ranges = [seen.range for seen in hub.asked_for(WEIGHTS)]
    assert ranges == ["", *(f"bytes={cut}-" for cut in cuts)]
    assert hub.sent_bytes(WEIGHTS) == size
    assert tried.waits_s == [DELAYS_S[0]] * 9


def test_an_end_without_a_length_is_a_cut_too(hub: Hub, order: HubOrder, folder: Path) -> None:
    hub.tells_length = False
    hub.cuts[WEIGHTS] = [300_000]
    assert Try(order, hub.url).done
    assert is_whole(folder, hub)


def test_a_server_that_falls_silent_is_asked_again(
    hub: Hub, order: HubOrder, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.models.transfer.resumable_fetch.TIMEOUT", httpx2.Timeout(10, read=0.3))
    hub.stalls[WEIGHTS] = 400_000
    tried = Try(order, hub.url)
    assert tried.done
    assert is_whole(folder, hub)
    assert hub.asked_for(WEIGHTS)[1].range == "bytes=400000-"
    waiting = next(report for report in tried.reports if isinstance(report, Waiting))
    assert "does not answer" in waiting.message


@pytest.fixture
def begun(folder: Path, hub: Hub) -> Path:
    """The weights, of which an earlier try has brought 700,000 bytes."""
    partial = installation.partial(folder)
    partial.mkdir(parents=True)
    installation.write_record(partial, installation.InstallRecord(repo=REPO, revision=COMMIT))
    (partial / WEIGHTS).write_bytes(hub.files[WEIGHTS][:700_000])
    return partial / WEIGHTS


def test_a_mirror_without_ranges_sends_all_again(
    hub: Hub, order: HubOrder, folder: Path, begun: Path
) -> None:
    hub.knows_ranges = False
    hub.cuts[WEIGHTS] = [600_000, 800_000]
    tried = Try(order, hub.url)
    assert tried.done
    assert is_whole(folder, hub)
    done = [report.done_bytes for report in tried.reports if isinstance(report, Progress)]
    assert max(done) == sum(len(hub.files[name]) for name in NEEDED)


def test_a_mirror_that_compresses_unasked(hub: Hub, order: HubOrder, folder: Path) -> None:
    hub.compresses = True
    assert Try(order, hub.url).done
    assert is_whole(folder, hub)


def test_a_part_that_is_compressed_is_not_taken(hub: Hub, order: HubOrder, folder: Path) -> None:
    hub.compresses, hub.tells_length = True, False
    hub.cuts[WEIGHTS] = [400_000]
    assert Try(order, hub.url).done
    assert is_whole(folder, hub)


def test_a_part_that_begins_elsewhere_is_not_taken(
    hub: Hub, order: HubOrder, folder: Path, begun: Path
) -> None:
    hub.bends_ranges = True
    assert Try(order, hub.url).done
    assert is_whole(folder, hub)
    assert [seen.range for seen in hub.asked_for(WEIGHTS)] == ["bytes=700000-", ""]


@pytest.mark.parametrize("tells_length", [True, False])
def test_a_login_page_in_the_middle_costs_no_byte(
    hub: Hub, order: HubOrder, begun: Path, tells_length: bool
) -> None:
    hub.tells_length, hub.knows_ranges = tells_length, False
    hub.sent[WEIGHTS] = b"<html>Your session has ended</html>"
    assert Try(order, hub.url).fault
    assert begun.read_bytes() == hub.files[WEIGHTS][:700_000]


def test_a_login_page_at_the_start_is_no_part_of_the_weights(hub: Hub, order: HubOrder, begun: Path) -> None:
    begun.unlink()
    hub.sent[WEIGHTS] = b"<html>Log in to the guest network</html>"
    assert Try(order, hub.url).fault
    assert begun.read_bytes() == b""
    hub.tells_length, hub.content_type = False, "text/html; charset=utf-8"
    tried = Try(order, hub.url)
    assert tried.fault is not None
    assert "login page" in tried.fault.remedy
    assert begun.read_bytes() == b""


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "Sat, 01 Jan 2999 00:00:00 GMT"}, 3600.0),
        ({"Retry-After": "Sat, 01 Jan 2000 00:00:00 GMT"}, DELAYS_S[0]),
        ({"Retry-After": "Sat, 01 Jan 2000 00:00:00 -0000"}, DELAYS_S[0]),
        ({"Retry-After": "\xb2"}, DELAYS_S[0]),
        ({"ratelimit": '"api";r=0;t=54'}, 55.0),
        ({}, DELAYS_S[0]),
    ],
)
def test_too_many_requests_are_waited_for(
    hub: Hub, order: HubOrder, headers: dict[str, str], seconds: float
) -> None:
    hub.fault(429, headers)
    tried = Try(order, hub.url)
    assert tried.done
    assert tried.waits_s == [seconds]
    waiting = tried.reports[0]
    assert isinstance(waiting, Waiting)
    assert "too many requests" in waiting.message
    assert waiting.seconds == seconds


@pytest.mark.parametrize("status", [503, 522])
def test_patience_grows_and_ends(hub: Hub, order: HubOrder, status: int) -> None:
    for _ in range(len(DELAYS_S) + 1):
        hub.fault(status)
    tried = Try(order, hub.url)
    assert tried.waits_s == list(DELAYS_S) == sorted(DELAYS_S)
    assert tried.fault is not None
    assert tried.fault.kind == "network"
    assert str(status) in tried.fault.message
    assert Try(order, hub.url).done


# ------------------------------------------------------------------ what the Hub says no to


@pytest.mark.parametrize(
    ("status", "code", "token", "kind", "words"),
    [
        (404, "RepoNotFound", "", "not-found", ["no model", REPO]),
        (404, "RevisionNotFound", "", "not-found", ["version"]),
        (401, "", "", "access", ["access token", "/settings/tokens"]),
        (401, "RepoNotFound", "", "access", ["access token", "does not exist"]),
        (401, "", "hf_old", "access", ["did not accept", "/settings/tokens"]),
        (401, "GatedRepo", "", "access", ["accept its licence", f"/{REPO}"]),
        (403, "GatedRepo", "hf_new", "access", ["accept its licence", f"/{REPO}"]),
        (403, "", "hf_new", "access", ["accept its licence", f"/{REPO}"]),
        (418, "", "", "network", ["418"]),
    ],
)
def test_a_no_is_told_at_once(
    hub: Hub, order: HubOrder, status: int, code: str, token: str, kind: str, words: list[str]
) -> None:
    hub.fault(status, {"X-Error-Code": code})
    tried = Try(msgspec.structs.replace(order, token=token), hub.url)
    assert tried.fault is not None
    assert tried.fault.kind == kind
    assert all(word in tried.fault.message + tried.fault.remedy for word in words)
    assert tried.waits_s == []
    assert len(hub.requests) == 1


def test_a_licence_that_guards_the_files_is_told_before_the_weights(hub: Hub, order: HubOrder) -> None:
    """The list of a gated model's files is open to everyone."""
    hub.refused["config.json"] = 403, "GatedRepo"
    tried = Try(order, hub.url)
    assert tried.fault is not None
    assert tried.fault.kind == "access"
    assert not hub.asked_for(WEIGHTS)


@pytest.mark.parametrize("status", [401, 403])
def test_a_no_from_where_the_files_lie_is_no_question_of_access(
    hub: Hub, order: HubOrder, status: int
) -> None:
    store = Hub()
    try:
        store.fault(status)
        hub.elsewhere = store.url
        tried = Try(order, hub.url)
    finally:
        store.shutdown()
        store.server_close()
    assert tried.fault is not None
    assert tried.fault.kind == "network"
    assert f"127.0.0.1:{store.server_port} answered with error {status}" in tried.fault.message


def test_a_mirror_may_leave_the_question_of_access_to_the_hub(hub: Hub, order: HubOrder) -> None:
    mirror = Hub()
    try:
        mirror.fault(307, {"Location": f"{hub.url}/api/models/{REPO}/revision/main"})
        hub.fault(401, {"X-Error-Code": "GatedRepo"})
        tried = Try(msgspec.structs.replace(order, token="hf_secret"), mirror.url)
    finally:
        mirror.shutdown()
        mirror.server_close()
    assert tried.fault is not None
    assert tried.fault.kind == "access"
    assert {seen.authorization for seen in hub.requests} == {""}


def test_a_file_that_is_missing_does_not_make_the_model_unknown(hub: Hub, order: HubOrder) -> None:
    hub.refused[WEIGHTS] = 404, ""
    tried = Try(order, hub.url)
    assert tried.fault is not None
    assert "A file of" in tried.fault.message


@pytest.mark.parametrize("name", ["someone/model.git", "someone/model.", "someone/model-", "a/" + "b" * 97])
def test_a_name_that_the_hub_cannot_have(hub: Hub, order: HubOrder, name: str) -> None:
    tried = Try(msgspec.structs.replace(order, repo=name), hub.url)
    assert tried.fault is not None
    assert tried.fault.kind == "input"
    assert name in tried.fault.message
    assert hub.requests == []


@pytest.mark.parametrize("untold", [{"blobId", "lfs"}, {"size", "blobId", "lfs"}])
def test_files_that_cannot_be_checked_are_not_fetched(hub: Hub, order: HubOrder, untold: set[str]) -> None:
    hub.untold = untold
    tried = Try(order, hub.url)
    assert tried.fault is not None
    assert "HF_ENDPOINT" in tried.fault.remedy
    assert len(hub.requests) == 1


@pytest.mark.parametrize(
    "wrong", [{"size": "12"}, {"size": -1}, {"size": 1.5}, {"rfilename": 7}, {"blobId": ["x"]}], ids=repr
)
def test_a_list_of_files_that_is_none_is_told(hub: Hub, order: HubOrder, wrong: dict[str, object]) -> None:
    info = hub.model_info()
    info["siblings"][0] |= wrong
    hub.fault(200, body=json.dumps(info).encode())
    tried = Try(order, hub.url)
    assert tried.fault is not None
    assert tried.fault.kind == "network"
    assert "not a list of a model’s files" in tried.fault.message


def test_a_licence_too_long_to_be_one_is_not_fetched(hub: Hub, order: HubOrder, folder: Path) -> None:
    hub.files |= dict.fromkeys(("LICENSE", "tokenizer.json"), b"x" * (MAX_PROBE_BYTES + 1))
    hub.files["tokenizer.json"] = b'{"a": "%s"}' % hub.files["tokenizer.json"]
    assert Try(order, hub.url).done
    assert is_whole(folder, hub, NEEDED - {"LICENSE"})


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({"config.json": b'{"model_type": "gemma4"}'}, "gemma4"),
        ({"config.json": b"{}"}, "no model type"),
        ({"config.json": b"[]"}, "config.json cannot be read"),
        ({"config.json": b"not json"}, "config.json cannot be read"),
        ({"config.json": b"[" * 100_000}, "config.json cannot be read"),
        ({INDEX: b'{"weight_map": {"a": "../../../evil.safetensors"}}'}, "weights"),
        ({INDEX: b'{"weight_map": {"a": "original/consolidated.safetensors"}}'}, "weights"),
        ({INDEX: b'{"weight_map": {"a": "pytorch_model.bin"}}'}, "weights"),
        ({INDEX: b'{"weight_map": {}}'}, None),
        ({INDEX: b"{}"}, None),
    ],
)
def test_another_kind_of_model_is_refused_before_its_weights(
    hub: Hub, order: HubOrder, folder: Path, files: dict[str, bytes], word: str | None
) -> None:
    hub.files |= files | {"../../../evil.safetensors": b"evil"}
    tried = Try(order, hub.url)
    assert tried.fault is not None
    assert tried.fault.kind == "unfit"
    assert (word or "weights") in tried.fault.message
    assert not [seen for seen in hub.requests if not seen.path.endswith(".json") and "/resolve/" in seen.path]
    assert not folder.exists()


def test_weights_that_are_broken_at_the_hub_never_count_as_a_model(
    hub: Hub, order: HubOrder, folder: Path
) -> None:
    hub.files[WEIGHTS] = bytes(5000)
    tried = Try(order, hub.url)
    assert tried.fault is not None
    assert tried.fault.kind == "unfit"
    assert WEIGHTS in tried.fault.message
    assert not folder.exists()


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", WEIGHTS])
def test_a_repository_that_lacks_something_is_refused(hub: Hub, order: HubOrder, name: str) -> None:
    del hub.files[name]
    tried = Try(order, hub.url)
    assert tried.fault is not None
    assert tried.fault.kind == "unfit"


# ------------------------------------------------------------------ bytes that are not what they should be


def test_a_wrong_hash_costs_that_file_alone(hub: Hub, order: HubOrder, folder: Path) -> None:
    hub.files = sharded_files()
    bad = "model-00002-of-00002.safetensors"
    hub.sent[bad] = bytes(len(hub.files[bad]))
    tried = Try(order, hub.url)
    assert tried.fault is not None
    assert tried.fault.kind == "damaged"
    assert tried.fault.message == "One file arrived damaged."
    assert tried.fault.remedy == "Try again: only that one is downloaded again."
    assert tried.fault.details == bad
    assert not folder.exists()
    hub.sent.clear()
    hub.requests.clear()
    assert Try(order, hub.url).done
    assert [seen.file for seen in hub.requests[1:]] == [bad]


def test_small_files_are_checked_by_git_s_hash(hub: Hub, order: HubOrder) -> None:
    hub.sent["LICENSE"] = bytes(len(hub.files["LICENSE"]))
    tried = Try(order, hub.url)
    assert tried.fault is not None
    assert tried.fault.details == "LICENSE"


def test_what_was_compared_is_recorded(hub: Hub, order: HubOrder, folder: Path) -> None:
    assert Try(order, hub.url).done
    record = installation.read_record(folder)
    assert record is not None
    assert record.hashes.keys() == NEEDED
    assert record.hashes[WEIGHTS] == hashlib.sha256(hub.files[WEIGHTS]).hexdigest()
    arrived = next(model for model in library.local_models() if model.folder == folder)
    assert arrived.checked


@pytest.mark.parametrize("tells_length", [True, False])
@pytest.mark.parametrize("longer", [True, False])
def test_a_wrong_size_is_found(
    hub: Hub, order: HubOrder, folder: Path, longer: bool, tells_length: bool
) -> None:
    hub.tells_length = tells_length
    whole = hub.files[WEIGHTS]
    hub.sent[WEIGHTS] = whole + b"more" if longer else whole[:-4]
    tried = Try(order, hub.url)
    assert tried.fault is not None
    assert tried.fault.kind == "damaged"
    assert WEIGHTS in tried.fault.message
    assert "size" in tried.fault.message
    assert len(tried.waits_s) == (not tells_length and not longer)
    assert not folder.exists()
    hub.sent.clear()
    assert Try(order, hub.url).done
    assert is_whole(folder, hub)


def test_too_many_bytes_on_the_disk_are_fetched_again(
    hub: Hub, order: HubOrder, folder: Path, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.models.transfer.progress_reporter.EVERY_S", 0.0)
    begun.write_bytes(hub.files[WEIGHTS] + b"more")
    tried = Try(order, hub.url)
    assert tried.done
    assert is_whole(folder, hub)
    assert all(
        report.done_bytes <= report.total_bytes for report in tried.reports if isinstance(report, Progress)
    )


# ------------------------------------------------------------------ the disk


def test_the_room_is_looked_at_before_the_weights(
    hub: Hub, order: HubOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")._replace(free=900_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    tried = Try(order, hub.url)
    assert tried.fault is not None
    assert tried.fault.kind == "disk"
    assert "900 MB free" in tried.fault.message
    assert "1.0 GB should stay free" in tried.fault.message
    assert not hub.asked_for(WEIGHTS)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_write_that_the_system_refuses_for_want_of_room(
    hub: Hub, order: HubOrder, folder: Path, begun: Path
) -> None:
    begun.unlink()
    begun.symlink_to("/dev/full")
    tried = Try(order, hub.url)
    assert tried.fault is not None
    assert tried.fault.kind == "disk"
    assert "full" in tried.fault.message
    assert not folder.exists()


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """600 KB, of which the model needs 1 MB."""
    root = folder.parent
    root.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(root)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield root
    subprocess.run(["umount", str(root)], check=True)


def test_a_disk_that_fills_up_keeps_what_is_there(
    hub: Hub, order: HubOrder, folder: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")._replace(free=10**12)
    with monkeypatch.context() as patch:  # there was room when the download began
        patch.setattr(shutil, "disk_usage", lambda _: usage)
        tried = Try(order, hub.url)
    assert tried.fault is not None
    assert tried.fault.kind == "disk"
    assert not folder.exists()
    kept = (installation.partial(folder) / WEIGHTS).stat().st_size
    assert kept > 400_000
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage)
        assert Try(order, hub.url).done
    assert is_whole(folder, hub)
    assert hub.asked_for(WEIGHTS)[-1].range == f"bytes={kept}-"


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_folder_that_cannot_be_written_to(
    hub: Hub, order: HubOrder, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "mkdir", refuse)
    tried = Try(order, hub.url)
    assert tried.fault is not None
    assert tried.fault.kind == "folder"
    assert os.strerror(code) in tried.fault.message


# ------------------------------------------------------------------ the way there


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def no_address(*_: object, **__: object) -> None:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def test_a_hub_that_cannot_be_reached(order: HubOrder) -> None:
    tried = Try(order, f"http://127.0.0.1:{closed_port()}")
    assert tried.fault is not None
    assert tried.fault.kind == "network"
    assert "cannot be reached" in tried.fault.message
    assert tried.waits_s == list(DELAYS_S)


def test_certificates_that_are_not_there(order: HubOrder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    tried = Try(order, "https://127.0.0.1")
    assert tried.fault is not None
    assert tried.fault.kind == "network"
    assert "SSL_CERT_FILE" in tried.fault.remedy


def test_a_name_that_cannot_be_found(order: HubOrder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", no_address)
    tried = Try(order, "http://hub.invalid")
    assert tried.fault is not None
    assert "offline" in tried.fault.message


def test_the_way_through_a_proxy(
    hub: Hub, order: HubOrder, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", only_numbers(socket.getaddrinfo))
    monkeypatch.setenv("HTTP_PROXY", hub.url)
    assert Try(order, "http://hub.invalid").done
    assert is_whole(folder, hub)
    assert {seen.host for seen in hub.requests} == {"hub.invalid"}


def only_numbers(real: Callable[..., object]) -> Callable[..., object]:
    def getaddrinfo(host: str, *rest: object, **named: object) -> object:
        if host != "127.0.0.1":
            no_address()
        return real(host, *rest, **named)

    return getaddrinfo


def test_a_proxy_that_does_not_answer_is_named(order: HubOrder, monkeypatch: pytest.MonkeyPatch) -> None:
    port = closed_port()
    for proxy in (f"http://me:secret@127.0.0.1:{port}", f"me:secret@127.0.0.1:{port}"):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        tried = Try(order, "http://hub.invalid")
        assert tried.fault is not None
        assert f"proxy 127.0.0.1:{port} " in tried.fault.message
        assert "secret" not in repr(tried.fault)


def test_a_proxy_that_is_not_on_the_way_is_not_named(
    order: HubOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    tried = Try(order, f"http://127.0.0.1:{closed_port()}")
    assert tried.fault is not None
    assert "proxy" not in tried.fault.message


@pytest.mark.parametrize(
    ("endpoint", "proxy"),
    [("ftp://hub", ""), ("hub", ""), ("http://hub", "gopher://proxy"), ("http://hub", "socks5://proxy")],
)
def test_an_address_that_is_none(
    order: HubOrder, monkeypatch: pytest.MonkeyPatch, endpoint: str, proxy: str
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    if proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
    tried = Try(order, endpoint)
    assert tried.fault is not None
    assert "HF_ENDPOINT" in tried.fault.remedy
    assert "ALL_PROXY" in tried.fault.remedy
    assert tried.fault.message == "The address of the Hub or of a proxy cannot be used."
    assert tried.fault.kind == "network"
    assert tried.waits_s == []


def test_a_socks_address_beside_the_proxy_on_the_way(
    hub: Hub, order: HubOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", only_numbers(socket.getaddrinfo))
    monkeypatch.setenv("HTTP_PROXY", hub.url)
    monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{closed_port()}")
    assert Try(order, "http://hub.invalid").done


def test_the_way_through_a_socks_proxy(order: HubOrder, monkeypatch: pytest.MonkeyPatch) -> None:
    port = closed_port()
    monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{port}")
    tried = Try(order, "http://hub.invalid")
    assert tried.fault is not None
    assert tried.fault.message == f"The proxy 127.0.0.1:{port} cannot be reached."


def test_a_socks_address_as_desktops_write_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks://127.0.0.1:7891/")
    monkeypatch.setenv("HTTPS_PROXY", "http://socks:7891")
    assert process.plain_proxies() == {"all_proxy": "socks5://127.0.0.1:7891/"}


@pytest.mark.parametrize(
    "body", [b"<html>Log in to the guest network</html>", b"\x1f\x8b", b"[]", b"{}", b"null"]
)
def test_a_login_page_in_between(hub: Hub, order: HubOrder, body: bytes) -> None:
    hub.fault(200, body=body)
    tried = Try(order, hub.url)
    assert tried.fault is not None
    assert "login page" in tried.fault.remedy


# ------------------------------------------------------------------ the token


def test_the_token_goes_to_the_hub_and_nowhere_else(
    hub: Hub, order: HubOrder, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Hub()
    try:
        hub.elsewhere = store.url
        assert Try(msgspec.structs.replace(order, token="hf_secret"), hub.url).done
    finally:
        store.shutdown()
        store.server_close()
    assert {seen.authorization for seen in hub.requests} == {"Bearer hf_secret"}
    assert {seen.authorization for seen in store.requests} == {""}
    assert {seen.file for seen in store.requests} == {WEIGHTS, "tokenizer.json"}
    assert not [file for file in folder.iterdir() if b"hf_secret" in file.read_bytes()]


def test_no_token_is_sent_that_was_not_given(
    hub: Hub, order: HubOrder, own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_from_somewhere")
    (own_folders / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    assert Try(order, hub.url).done
    assert {seen.authorization for seen in hub.requests} == {""}


@pytest.mark.parametrize("status", [403, 404, 418])
def test_a_password_in_the_endpoint_is_not_told(hub: Hub, order: HubOrder, status: int) -> None:
    hub.fault(status)
    tried = Try(order, hub.url.replace("//", "//me:secret@"))
    assert tried.fault is not None
    assert f"127.0.0.1:{hub.server_port}" in tried.fault.message + tried.fault.remedy
    assert "secret" not in repr(tried.fault)


def test_a_token_that_can_be_none(hub: Hub, order: HubOrder) -> None:
    tried = Try(msgspec.structs.replace(order, token="hf_ä\n"), hub.url)
    assert tried.fault is not None
    assert tried.fault.kind == "access"
    assert "hf_" not in repr(tried.fault)
    assert hub.requests == []


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://hub.example/x?next=https://evil.example/y", "hub.example"),
        ("https://hub.example/a@b/c", "hub.example"),
        ("hub.example/x?next=https://evil.example/y", "hub.example"),
        ("https://u:p@hub.example:8080/x", "hub.example:8080"),
        ("u:p@ss@hub.example", "hub.example"),
        ("hub.example:3128", "hub.example:3128"),
        ("https://hub.example?a@b", "hub.example"),
        ("http://[::1", "[::1"),
        ("", ""),
    ],
)
def test_the_host_is_what_is_connected_to(url: str, host: str) -> None:
    assert host_of(url) == host
