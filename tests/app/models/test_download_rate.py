"""How fast a download is, by reports with their own clock."""

from __future__ import annotations

import pytest

from app.models.download_rate import DownloadRate


def rate_after(*samples: tuple[float, int]) -> DownloadRate:
    rate = DownloadRate()
    for now_s, done_bytes in samples:
        rate.update(now_s, done_bytes)
    return rate


def test_what_an_earlier_try_brought_does_not_count() -> None:
    rate = rate_after((5.0, 1_000_000))
    assert rate.bytes_per_s == 0
    assert rate.seconds_left(1000) is None


def test_a_steady_rate_is_told_at_once() -> None:
    rate = rate_after((0.0, 0), (1.0, 100), (2.0, 200))
    assert rate.bytes_per_s == pytest.approx(100)
    assert rate.seconds_left(500) == pytest.approx(5)


def test_a_trickle_has_no_end_that_could_be_told() -> None:
    trickle = rate_after((0.0, 0), (2.0, 20))
    assert trickle.bytes_per_s == pytest.approx(10)
    assert trickle.seconds_left(52 * 10**9) is None
    assert trickle.seconds_left(1000) == pytest.approx(100)


def test_a_single_burst_hardly_moves_it() -> None:
    assert rate_after((0.0, 0), (10.0, 1000), (10.25, 1250)).bytes_per_s == pytest.approx(127.7, abs=0.1)


def test_a_lasting_change_is_followed() -> None:
    samples = [(float(second), 1000 * min(second, 60) + 10 * max(0, second - 60)) for second in range(121)]
    assert rate_after(*samples).bytes_per_s == pytest.approx(10, abs=1)


@pytest.mark.parametrize("last", [(1.0, 300), (0.5, 300), (2.0, 50)])
def test_clocks_and_counts_that_do_not_move_on(last: tuple[float, int]) -> None:
    """Two reports at once, a clock that went back, bytes that were of no use."""
    assert rate_after((0.0, 0), (1.0, 100), last).bytes_per_s in (100, 0)
