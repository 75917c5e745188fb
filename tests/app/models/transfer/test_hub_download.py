"""A download in which all is well, and one over a line that breaks."""

from __future__ import annotations

from pathlib import Path

import httpx2
import msgspec
import pytest

from app.models.transfer import installation
from app.models.transfer.messages import Checked, HubOrder, Progress, Waiting
from app.models.transfer.resumable_fetch import DELAYS_S
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
from tests.app.models.transfer.conftest import Try


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
