"""Recorded streams through the engine, CPU per message and per level; says so where the recordings are not here."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from dope.engine import Engine
from dope.engines import build_engine
from dope.market import kernel
from dope.settings import load
from dope.tape.importing import import_lines
from dope.tape.read import Tape
from dope.types import DATA, Frame
from dope.venues import VENUES, make

DATA_FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "wire"
BATCH = 64  #: frames per turn of the loop, as a busy socket delivers them
ROUNDS = 3
LEAST = 2_000  #: messages; shorter recordings say nothing about cost


def recordings() -> Iterator[tuple[str, Path]]:
    """(venue id, file) of every recording of a venue that we read."""
    for venue in VENUES:
        for file in sorted((DATA_FOLDER / venue.ID).glob("*.jsonl.gz")):
            yield venue.ID, file


def cost(frames: list[Frame], venue: str) -> tuple[float, Engine]:
    """CPU seconds of one fresh engine over these frames."""
    engine = build_engine(load(env_file=None), (venue,), {})
    begin = time.process_time()
    for at in range(0, len(frames), BATCH):
        engine.step_many(frames[at : at + BATCH])
        engine.drain()
    return time.process_time() - begin, engine


def lines() -> Iterator[str]:
    """The table, a line at a time."""
    if not DATA_FOLDER.is_dir():
        yield f"recorded streams: left out, no recordings at ../{'/'.join(DATA_FOLDER.parts[-3:])}"
        return
    yield f"{'recorded stream':44} {'messages':>9} {'µs/msg':>8} {'levels/msg':>11} {'ns/level':>9}"
    with tempfile.TemporaryDirectory() as folder:
        for venue, file in recordings():
            out = Path(folder) / f"{venue}-{file.name}.dope"
            if import_lines([file], make(venue, ()), out).data < LEAST:
                continue
            frames = list(Tape(out))
            cost(list(itertools.islice(frames, 2000)), venue)  # loads the compiled code
            runs = [cost(frames, venue) for _ in range(ROUNDS)]
            seconds, engine = median(run[0] for run in runs), runs[0][1]
            messages = sum(frame.kind == DATA for frame in frames)
            levels = sum(int(book.a[4, kernel.LEVELS]) for book in engine.market.books.values())
            name = f"{venue}/{file.name.removesuffix('.jsonl.gz')}"
            yield f"{name:44} {messages:9,} {seconds / messages * 1e6:8.2f} {levels / messages:11.1f} {seconds / max(levels, 1) * 1e9:9.0f}"


if __name__ == "__main__":
    for line in lines():
        print(line, flush=True)
