"""When many books change at once, the event tape stays readable and loses no count."""

from __future__ import annotations

from dope.crowded import LINES, Crowded
from dope.types import BookState
from tests.frames import MS, T0
from tests.test_picture import watching

S = 1000 * MS


def test_the_first_changes_have_lines_of_their_own_and_the_rest_is_summed_up_by_venue() -> None:
    crowded = Crowded()
    assert [crowded.admits("stale: silent", "Gate") for _ in range(LINES + 3)] == [True] * LINES + [False] * 3
    assert not crowded.admits("stale: silent", "OKX") and crowded.admits("live again", "OKX"), "each change is counted by itself"
    assert crowded.rest() == [("stale: silent", "4 more at Gate, OKX")]
    assert crowded.rest() == [] and crowded.admits("stale: silent", "Gate"), "counting begins anew"


def test_of_many_venues_three_are_named() -> None:
    crowded = Crowded()
    for _ in range(LINES):
        crowded.admits("live again", "")
    for venue in ("A", "A", "B", "C", "D"):
        crowded.admits("live again", venue)
    assert crowded.rest() == [("live again", "5 more at 4 venues (A, B, C, …)")]


def test_a_moment_in_which_all_books_change_leaves_room_for_everything_else_on_the_tape() -> None:
    _, picture = watching([])
    for n in range(200):
        picture.note(BookState(T0 + n, f"okx:X{n}-USDT", "STALE", "LIVE", "the loop was late", T0))
        picture.note(BookState(T0 + n, f"okx:X{n}-USDT", "LIVE", "STALE", "", T0))
    assert len(picture.events) == 2 * LINES
    picture.second(T0 + S)
    assert [row["text"] for row in picture.events][-2:] == [
        f"Books stale: the loop was late: {200 - LINES} more at OKX", f"Books live again: {200 - LINES} more at OKX"]  # fmt: skip
    picture.second(T0 + 2 * S)
    assert len(picture.events) == 2 * LINES + 2
