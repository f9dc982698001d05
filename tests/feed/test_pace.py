"""Published limits are kept in every window."""

from __future__ import annotations

import bisect
import itertools

from hypothesis import given
from hypothesis import strategies as st

from dope.feed.pace import ConnectPace, WeightPace, retry_after_s
from dope.types import Limits


class _Hand:
    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


@given(st.lists(st.floats(0, 40), min_size=1, max_size=200))
def test_connects_stay_within_both_limits_whenever_they_are_asked_for(pauses: list[float]) -> None:
    now = _Hand()
    pace = ConnectPace(Limits(connects_per_s=1.0, connects_per_5min=20), now)
    times = []
    for pause in pauses:
        now.ns += int(pause * 1e9)
        times.append(now.ns + int(pace.reserve() * 1e9))
    slack = 1000  # ns, from turning ns to s and back
    assert all(b - a >= 1e9 - slack for a, b in itertools.pairwise(times))
    for i, start in enumerate(times):
        assert bisect.bisect_left(times, start + 300e9 - slack) - i <= 20


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(0, 400)), min_size=1, max_size=200))
def test_weight_in_any_minute_stays_within_the_budget(asked: list[tuple[float, int]]) -> None:
    now = _Hand()
    pace = WeightPace(1000, now)
    spent: list[tuple[int, int]] = []
    for pause, weight in asked:
        now.ns += int(pause * 1e9)
        while (wait := pace.wait_s(weight)) > 0:
            now.ns += max(1, int(wait * 1e9))
        pace.spend(weight)
        spent.append((now.ns, weight))
    for i, (start, _) in enumerate(spent):
        assert sum(w for at, w in spent[i:] if at < start + 60e9) <= 1000


def test_a_request_heavier_than_the_budget_is_delayed_and_not_blocked_for_ever() -> None:
    now = _Hand()
    pace = WeightPace(100, now)
    assert pace.wait_s(250) == 0.0
    pace.spend(250)
    assert pace.wait_s(1) == 60.0


def test_a_ban_is_never_shortened() -> None:
    now = _Hand()
    pace = WeightPace(100, now)
    pace.ban(120.0)
    pace.ban(1.0)
    assert pace.wait_s(1) == 120.0


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    assert retry_after_s("30", 0.0) == 30.0
    assert retry_after_s("Thu, 01 Jan 1970 00:02:00 GMT", 60.0) == 60.0
    assert retry_after_s("Thu, 01 Jan 1970 00:02:00 GMT", 600.0) == 0.0
    for unreadable in (None, "", "soon", "-5", "1e9", "²", "Thu, 99 Jan 1970"):
        assert retry_after_s(unreadable, 0.0) == 0.0
    assert retry_after_s("9" * 400, 0.0) <= 3 * 86_400
