"""The wheels of a set-up, from a server that fails in many ways, a mirror and proxies."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import pytest

from app.engine_setup.fetch import PYPI_FILES
from app.engine_setup.home import EngineHome
from app.engine_setup.lock import Lock
from app.engine_setup.messages import Waiting
from tests.app.engine_setup.conftest import Machine
from tests.app.engine_setup.outcomes import drafts, failure, told
from tests.app.engine_setup.parts import Server


def fetched(machine: Machine) -> list[int]:
    """The bytes that were told while it fetched."""
    return [report.done_bytes for report in told(machine, "downloading")]


def test_what_the_network_cut_is_fetched_on_from_there(
    set_up: Machine, home: EngineHome, server: Server
) -> None:
    first, second = (wheel.file for wheel in set_up.lock.wheels[:2])
    server.cuts = {first: [100_000, 50_000], second: [0, 200_000]}
    assert set_up().done
    assert drafts(home)
    for file in (first, second):  # Qt asks again by itself where a connection ends before it has read
        begins = [first_byte for name, first_byte in server.asked if name == file]
        assert len(begins) >= 3
        assert begins == sorted(begins)
        assert begins[-1] > 0
    assert (set_up.lock.wheels[2].file, 0) in server.asked
    assert set_up.lock.total_bytes <= server.sent_bytes < 2 * set_up.lock.total_bytes
    assert any(isinstance(report, Waiting) for report in set_up.reports)


def test_a_server_that_knows_no_ranges_sends_all_of_it_again(
    set_up: Machine, home: EngineHome, server: Server
) -> None:
    server.knows_ranges = False
    server.cuts = {set_up.lock.wheels[0].file: [100_000]}
    assert set_up().done
    assert drafts(home)
    assert fetched(set_up) == sorted(fetched(set_up))


def test_a_network_that_stays_away_is_told_and_what_is_here_is_kept(
    set_up: Machine, home: EngineHome, server: Server
) -> None:
    server.cuts = {set_up.lock.wheels[1].file: [50_000, *[0] * 40]}
    assert failure(set_up) == "network"
    assert home.order == set_up.order
    server.cuts.clear()
    assert set_up().done
    assert server.asked[-2:] == [(set_up.lock.wheels[1].file, 50_000), (set_up.lock.wheels[2].file, 0)]
    assert home.order is None


@pytest.mark.parametrize("status", [403, 404, 407])
def test_what_no_try_mends_is_told_at_once(set_up: Machine, server: Server, status: int) -> None:
    server.status = status
    assert failure(set_up) == "network"
    assert len(server.asked) == 1


def test_a_busy_server_is_asked_again(set_up: Machine, server: Server) -> None:
    server.status = 503
    set_up.on_report = lambda report: setattr(server, "status", 0) if isinstance(report, Waiting) else None
    assert set_up().done


def test_a_login_page_is_no_wheel(set_up: Machine, server: Server, home: EngineHome) -> None:
    server.page = b"<html>Please log in"
    assert failure(set_up) == "network"
    server.page = b""
    assert set_up().done


def test_a_wheel_with_another_hash_is_thrown_away(set_up: Machine, home: EngineHome) -> None:
    good = set_up.lock
    bad = dataclasses.replace(good.wheels[1], sha256="f" * 64)
    set_up.lock = Lock(good.python, (good.wheels[0], bad, good.wheels[2]), good.digest)
    assert failure(set_up) == "damaged"
    assert [file.name for file in home.wheels.iterdir()] == [good.wheels[0].file]
    set_up.lock = good
    assert set_up().done


def test_a_wheel_of_another_size_is_refused(set_up: Machine, server: Server) -> None:
    longer = (server.folder / set_up.lock.wheels[0].file).read_bytes() + b"more"
    (server.folder / set_up.lock.wheels[0].file).write_bytes(longer)
    assert failure(set_up) == "damaged"
    assert max(fetched(set_up), default=0) <= set_up.lock.wheels[0].size_bytes


def test_a_mirror_and_a_proxy_are_used(set_up: Machine, server: Server, wheels: Path) -> None:
    pypi = f"{PYPI_FILES}/packages/aa/bb"
    official = [dataclasses.replace(wheel, url=f"{pypi}/{wheel.file}") for wheel in set_up.lock.wheels]
    set_up.lock = dataclasses.replace(set_up.lock, wheels=tuple(official))
    set_up.order = msgspec.structs.replace(
        set_up.order, mirror="http://mirror.invalid/pypi/", proxy=server.address
    )
    assert set_up().done
    first = set_up.lock.wheels[0].file
    assert server.proxied[0] == f"http://mirror.invalid/pypi/packages/aa/bb/{first}"


@pytest.mark.parametrize("mirror", ["mirror.invalid", "file:///nowhere", "ftp://mirror.invalid"])
def test_a_mirror_that_is_no_address_on_the_web_is_told_at_once(set_up: Machine, mirror: str) -> None:
    pypi = [dataclasses.replace(one, url=f"{PYPI_FILES}/{one.file}") for one in set_up.lock.wheels]
    set_up.lock = dataclasses.replace(set_up.lock, wheels=tuple(pypi))
    set_up.order = msgspec.structs.replace(set_up.order, mirror=mirror)
    ended = set_up()
    assert ended.fault
    assert ended.fault.kind == "network"
    assert mirror in ended.fault.message
    assert not any(isinstance(report, Waiting) for report in set_up.reports)


def test_a_proxy_is_told_its_name_and_password_as_they_are(set_up: Machine, server: Server) -> None:
    server.password = "anna@home:to/1"
    proxy = server.address.replace("//", "//anna%40home:to%2F1@")
    set_up.order = msgspec.structs.replace(set_up.order, proxy=proxy)
    far = [dataclasses.replace(one, url=f"http://pypi.invalid/{one.file}") for one in set_up.lock.wheels]
    set_up.lock = dataclasses.replace(set_up.lock, wheels=tuple(far))
    assert set_up().done


@pytest.mark.parametrize(
    "proxy", ["http://127.0.0.1:1", "nonsense", "ftp://127.0.0.1:2", "http://[", "http://a:b"]
)
def test_a_proxy_that_does_not_answer_or_is_none_is_told(set_up: Machine, proxy: str) -> None:
    set_up.order = msgspec.structs.replace(set_up.order, proxy=proxy)
    fault = set_up().fault
    assert fault
    assert fault.kind == "network"
    assert "proxy" in fault.remedy
