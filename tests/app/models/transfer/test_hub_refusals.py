"""What the Hub says no to, and what no model of the right kind is."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from app.models.transfer.hub_download import MAX_PROBE_BYTES
from app.models.transfer.messages import HubOrder
from tests.app.models.hub_server import (
    INDEX,
    NEEDED,
    REPO,
    WEIGHTS,
    Hub,
    is_whole,
)
from tests.app.models.transfer.conftest import Try


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
