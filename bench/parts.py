"""Where the CPU of one message goes: parts of the hot path one by one, on the stream of ``bench.run``, in one process.

Receiving is not among them, it needs a socket: it is what ``bench.run`` shows beyond the engine and the recording. On that stream of
one venue no pair of markets has anything to do; so what detectors cost is measured on ``bench.several`` besides.
"""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import accumulate

import msgspec
import numpy as np

from bench import several
from bench.figures import Figure, Machine, figure, publish
from bench.stream import START_MS, SYMBOLS, messages
from dope.engine import Engine
from dope.engines import build_engine
from dope.feed.outbox import PORTION
from dope.market import kernel, lane_run
from dope.market.digits import AHEAD
from dope.market.lane import Log
from dope.settings import load
from dope.tape.format import bundle, pack
from dope.types import DATA, OPEN, TICK, Frame, OpenInfo
from dope.venues import make

#: what the hot path pays for a tape: frames are encoded while they are still in the cache; the rest is done by the tape's own thread
RECORDING = "recording, on the hot path"
#: what all default detectors add to an engine that has none; the clock ticks for both
DETECTORS, ALL, NONE = "all default detectors", "engine with the clock", "  the same without a detector"
SEVERAL = "all default detectors where four venues quote the same"
ALL_4, NONE_4 = "engine where four venues quote the same", "  the same four without a detector"
GATHER, BOTH = "  gather texts, ends and stamps", "  the same, then encode for the tape"
MESSAGES = 40_000
ROUNDS = 9
VENUE = "okx"
TARGETS = {RECORDING: 0.3, DETECTORS: 1.5, SEVERAL: 1.5}  #: promised, µs
DIFFERENCES = ((RECORDING, BOTH, GATHER), (DETECTORS, ALL, NONE), (SEVERAL, ALL_4, NONE_4))
GAP_NS = 4_000  #: between two messages
TICK_NS = 10_000_000  #: between two ticks of the clock


def frames(count: int) -> list[Frame]:
    """The opening of one connection, the snapshots, ``count`` messages."""
    start = START_MS * 1_000_000
    opening = Frame(start, VENUE, 1, OPEN, msgspec.json.encode(OpenInfo("public", "", SYMBOLS)))
    return [opening, *(Frame(start + i * GAP_NS, VENUE, 1, DATA, text) for i, text in enumerate(messages(count)))]


def engine() -> Engine:
    return build_engine(load({"symbols": SYMBOLS}, env_file=None), (VENUE,), {})


def portions(made: list[Frame]) -> Iterator[list[Frame]]:
    return (made[at : at + PORTION] for at in range(0, len(made), PORTION))


def gathered(made: list[Frame]) -> tuple[bytes, np.ndarray, np.ndarray]:
    """What the compiled call wants of a run of frames."""
    texts = [frame.data for frame in made]
    ends = np.fromiter(accumulate(map(len, texts)), np.int64, len(texts))
    return b"".join([*texts, bytes(AHEAD)]), ends, np.fromiter([frame.ts for frame in made], np.int64, len(made))


def prepare(made: list[Frame]) -> Callable[[], None]:
    """The compiled calls alone, one per portion, on books that are LIVE."""
    warm, head = engine(), len(SYMBOLS) + 1
    for frame in made[:head]:
        warm.step(frame)
    warm.lane._learn()
    known, slots, log, seat = warm.lane._venues[VENUE], warm.market.slots, Log(), warm.market.conn_ts.take(1)
    work = kernel.new_scratch(), np.zeros(16, dtype=np.int64), np.zeros(4), (log.numbers, log.values, log.count)
    runs = [gathered(portion) for portion in portions(made[head:])]

    def calls() -> None:
        for text, ends, stamps in runs:
            done = lane_run.run(
                text, ends, stamps, 0, (1, seat), known.words, slots.books, slots.pairs.watch, warm.market.delays[VENUE].state, work
            )
            assert done[1] == lane_run.END, done

    return calls


def stepping(made: list[Frame], fresh: Engine) -> Callable[[], None]:
    """All of it through an engine that stands there already."""

    def step() -> None:
        for portion in portions(made):
            fresh.step_many(portion)

    return step


def ticking(made: list[Frame]) -> list[Frame]:
    """The same with the engine's clock, as often as it ticks for messages that come this fast."""
    due, out = made[0].ts, []
    for frame in made:
        if frame.ts >= due:
            out.append(Frame(due, "", 0, TICK, b"0"))
            due += TICK_NS
        out.append(frame)
    return out


def let_go(made: Iterator[object]) -> None:
    """Make each, keep none: what is kept would be paid with new pages of memory."""
    deque(made, maxlen=0)


def parts(made: list[Frame]) -> dict[str, Callable[[], Callable[[], object]]]:
    """Name → what prepares a round and gives the work to measure."""
    clocked = ticking(made)
    return {
        "engine, all of it": lambda: stepping(made, engine()),
        ALL: lambda: stepping(clocked, engine()),
        NONE: lambda: stepping(clocked, Engine({VENUE: make(VENUE, SYMBOLS, None)})),
        GATHER: lambda: lambda: let_go(gathered(portion) for portion in portions(made)),
        BOTH: lambda: lambda: let_go((gathered(portion), bundle(portion)) for portion in portions(made)),
        "  compiled: read, apply, judge": lambda: prepare(made),
        "recording, all of it under pressure": lambda: lambda: sum(len(block.data) for block in pack(made, compress=False)),
        "recording, all of it compressed": lambda: lambda: sum(len(block.data) for block in pack(made)),
    }


def with_pairs(count: int) -> tuple[int, dict[str, Callable[[], Callable[[], object]]]]:
    """How many messages ``bench.several`` brings at least ``count``, and what steps them, behind the beginning of all books."""
    told = several.conversation(count)
    head, rest = ticking(told.frames[: told.head]), told.frames[told.head :]
    clocked = ticking(several.hurried(rest, head[-1].ts + several.GAP_NS))

    def begun(fresh: Engine) -> Callable[[], None]:
        fresh.step_many(head)
        return stepping(clocked, fresh)

    return len(rest), {ALL_4: lambda: begun(told.fresh()), NONE_4: lambda: begun(Engine(told.fresh().venues))}


def measure(count: int = MESSAGES, rounds: int = ROUNDS) -> list[Figure]:
    """CPU µs per message of each part, rounds in turns."""
    made = frames(count)
    many, prepared_4 = with_pairs(count)
    every = {**dict.fromkeys(parts(made), len(made)), **dict.fromkeys(prepared_4, many)}  # part → its messages
    for once in (stepping(ticking(made), engine()), prepared_4[ALL_4]()):
        once()  # loads the compiled code
    gc.freeze()
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, prepared in {**parts(made), **prepared_4}.items():
            work = prepared()
            begin = time.process_time()
            work()
            found.setdefault(name, []).append((time.process_time() - begin) / every[name] * 1e6)
    gc.unfreeze()
    for words, whole, part in DIFFERENCES:
        found[words], every[words] = [one - other for one, other in zip(found[whole], found[part], strict=True)], every[whole]
    return [figure(name, "µs", spent, every[name], target=TARGETS.get(name)) for name, spent in found.items()]


if __name__ == "__main__":
    machine = Machine()
    publish("parts", machine, measure())
