"""What is kept is started anew, told, counted and at last given up; every task and thread of the program is in the book of parts."""

from __future__ import annotations

import ast
import asyncio
import re
import threading
from pathlib import Path

import pytest
from loguru import logger

from dope.watch import GIVE_UP, PARTS, SHOWN_S, Watch, part_of
from dope.watchdog import STALL_S, Watchdog
from tests.program import until

ROOT = Path(__file__).resolve().parent.parent
SIMULATOR = ("dope/sim/", "dope/worlds.py")  #: a process of its own, looked after as a whole


class Clock:
    """Seconds that only we move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_task_that_breaks_or_is_cancelled_is_started_anew_and_that_is_told() -> None:
    async def scene() -> None:
        watch, starts = Watch(), []

        async def part() -> None:
            starts.append(1)
            if len(starts) == 1:
                raise ValueError("on purpose")
            await asyncio.sleep(3600)

        keeper = watch.kept("feed ticks", part)
        while len(starts) < 2:
            await asyncio.sleep(0.01)
        assert watch.troubles() == ["feed ticks: ended (ValueError: on purpose), it is started anew"]
        next(task for task in asyncio.all_tasks() if task.get_name() == "feed ticks").cancel()
        while len(starts) < 3:
            await asyncio.sleep(0.01)
        assert watch.counts["feed ticks"] == 2 and not keeper.done()
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "feed ticks"], "it goes with its keeper"

    asyncio.run(scene())


def test_a_task_that_returns_is_done() -> None:
    async def scene() -> None:
        watch = Watch()
        await watch.keep("feed health", lambda: asyncio.sleep(0))
        assert watch.troubles() == []

    asyncio.run(scene())


def test_what_ends_again_and_again_is_given_up_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dope.watch.FIRST_PAUSE_S", 0.0)

    async def scene() -> int:
        watch, starts = Watch(), []

        async def part() -> None:
            starts.append(1)
            raise KeyError("always")

        with pytest.raises(KeyError, match="always"):
            await watch.keep("connection x", part)
        return len(starts)

    assert asyncio.run(scene()) == GIVE_UP


def test_a_thread_is_kept_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dope.watch.FIRST_PAUSE_S", 0.0)
    watch, over, given_up, starts = Watch(), threading.Event(), threading.Event(), []

    def work() -> None:
        starts.append(threading.current_thread().name)
        raise RuntimeError("on purpose")

    watch.keep_thread("tape-writer", work, over, given_up.set).start()
    assert given_up.wait(60)
    assert starts == ["tape-writer"] * GIVE_UP and watch.counts["tape-writer"] == GIVE_UP


def test_an_end_is_told_for_a_while_and_old_ones_do_not_count() -> None:
    clock = Clock()
    watch = Watch(clock)
    assert watch.note("market process", "ended") == 1
    clock.now += SHOWN_S - 0.1
    assert watch.troubles() == ["market process: ended"]
    clock.now += 0.2
    assert watch.troubles() == []
    assert watch.note("market process", "ended") == 2
    clock.now += 61
    assert watch.note("market process", "ended") == 1


def test_what_is_told_is_bounded() -> None:
    watch = Watch(Clock())
    for n in range(1000):
        watch.note(f"fetch venue {n}", "x" * 1000)
    told = watch.troubles()
    assert len(told) <= 100 and max(map(len, told)) <= 200
    assert set(watch.counts) == {"fetch"}


# -- the watchdog ----------------------------------------------------------------------------------------------------
class Turning:
    """An event loop in a thread of its own, which can be blocked."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="a-loop", daemon=True)
        self._thread.start()

    def block(self, release: threading.Event) -> None:
        self.loop.call_soon_threadsafe(release.wait, 60)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


def test_a_blocked_loop_is_told_with_what_every_thread_is_doing_and_at_last_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dope.watchdog.END_S", 1.5)
    watch, turning, release, given_up = Watch(), Turning(), threading.Event(), threading.Event()
    dog = Watchdog(watch)
    dog.attend("runtime", turning.loop)
    dog.arm("runtime", given_up.set)
    lines: list[str] = []
    sink = logger.add(lines.append, format="{message}")
    dog.start()
    until(lambda: dog.lags()["runtime"].p999 > 0, "answers")
    assert dog.fresh_s("runtime") < 60 and dog.fresh_s("nobody") == float("inf")
    turning.block(release)
    until(watch.troubles, "the stall")
    assert watch.troubles() == [f"runtime loop: has not turned for {STALL_S:g} s"]
    assert given_up.wait(60)
    release.set()
    until(lambda: dog.lags()["runtime"].recent > STALL_S, "the lag of the blocked turn")
    assert dog.lags()["runtime"].stalls == 1
    dog.stop()
    logger.remove(sink)
    turning.close()
    dumps = [line for line in lines if "threads:" in line]
    assert len(dumps) == 1 and "a-loop: wait" in dumps[0] and "test_watch.py" in dumps[0] and "\n" not in dumps[0].strip()


def test_time_in_which_the_watchdog_slept_is_not_held_against_a_loop() -> None:
    clock = Clock()
    watch, loop, given_up = Watch(clock), asyncio.new_event_loop(), []
    dog = Watchdog(watch, monotonic=clock)
    dog.attend("web", loop)
    dog.arm("web", lambda: given_up.append(1))
    known = dog._loops["web"]
    dog._knock("web", known, clock.now, 0.1)
    clock.now += 3600  # the machine slept: one round of the watchdog, not an hour of waiting
    dog._knock("web", known, clock.now, 0.2)
    assert not given_up and watch.troubles() == []
    loop.run_until_complete(asyncio.sleep(0))
    assert dog.fresh_s("web") == 0.0 and not known.asked
    for _ in range(80):
        dog._knock("web", known, clock.now, 0.1)
    assert given_up == [1], "but this loop really does not turn"
    loop.close()
    dog._knock("web", known, clock.now, 0.1)
    assert dog.lags() == {}


# -- the book of parts -----------------------------------------------------------------------------------------------
def started() -> list[tuple[str, str]]:
    """(place, name) of every task and thread that the source starts; a formatted name up to its first value."""
    found = []
    for path in [*sorted((ROOT / "dope").rglob("*.py")), ROOT / "app.py"]:
        place = path.relative_to(ROOT).as_posix()
        if place.startswith(SIMULATOR[0]) or place == "dope/watch.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
            if not isinstance(node, ast.Call) or called not in ("create_task", "ensure_future", "Thread", "kept", "keep", "keep_thread"):
                continue
            if called in ("kept", "keep", "keep_thread"):
                if len(node.args) < 2:
                    continue  # another thing of that name
                name: ast.expr | None = node.args[0]
            else:
                name = next((word.value for word in node.keywords if word.arg == "name"), None)
            text = name.values[0] if isinstance(name, ast.JoinedStr) else name
            found.append((f"{place}:{node.lineno}", text.value.strip() if isinstance(text, ast.Constant) else ""))
    return found


def test_every_task_and_thread_in_the_source_has_a_name_that_is_in_the_book() -> None:
    all_of_them = [(place, name) for place, name in started() if not place.startswith(SIMULATOR[1])]
    assert len(all_of_them) >= 20
    missing = [place for place, name in all_of_them if part_of(name) is None]
    assert not missing, f"give these a name and an entry in PARTS of dope/watch.py: {missing}"


def test_a_task_without_an_entry_would_be_found() -> None:
    assert part_of("something new") is None and part_of("feedback") is None
    assert part_of("feed ticks") == next(part for part in PARTS if part.name == "feed ticks")
    assert part_of("connection okx public") == next(part for part in PARTS if part.name == "connection")


def test_the_names_of_parts_are_labels() -> None:
    assert len({part.name for part in PARTS}) == len(PARTS)
    assert all(re.fullmatch(r"[a-z][a-z -]+", part.name) for part in PARTS)
