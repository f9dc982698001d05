"""The gap ledger: what of the recording in a folder of tapes is missing, from when to when, and why.

Three sources: rows of ``gap`` that the running program wrote; holes and damaged stretches of the files; and what nobody
could write down, the time between two recording sessions. Block headers are read and the rows of ``gap``, no frames:
frames that are damaged inside a sound block header are found by ``Tape.verify``, not here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from dope import tables
from dope.errors import TapeError
from dope.tape.catalogue import TapeInfo, list_tapes, tape_files
from dope.tape.read import Tape

Row = dict[str, Any]


def ledger(folder: Path | str) -> pa.Table:
    """Rows of ``gap``, by time, each gap once: with ``until`` as soon as that is known.

    ``until`` stays null only in the newest session of a source while it may still be running. An absent folder has none.
    """
    rows: list[Row] = []
    sessions: dict[tuple[str, str], list[Tape]] = {}
    for path in tape_files(Path(folder)):
        try:
            tape = Tape(path, tolerant=True)
        except TapeError as error:
            rows.append(tables.gap(_named(path), None, "file", str(error)))
            continue
        sessions.setdefault((tape.meta.source, tape.meta.session or str(path)), []).append(tape)
    for parts in sessions.values():
        parts.sort(key=lambda tape: tape.meta.part)
    runs = sorted((parts for parts in sessions.values() if any(tape.count for tape in parts)), key=_first)
    for source in sorted({parts[0].meta.source for parts in runs}):
        of_source = [parts for parts in runs if parts[0].meta.source == source]
        for number, parts in enumerate(of_source):
            later = [_first(each) for each in of_source[number + 1 :] if source != "import"]
            rows += _within(parts, min(later) if later else _last(parts) if parts[-1].complete else None)
        if source != "import":  # imported recordings are of any time: what lies between two of them was never meant to be recorded
            rows += _between(of_source)
    rows.sort(key=lambda row: (row["ts"], row["what"], row["venue"], row["symbol"]))
    return pa.Table.from_batches([tables.batch("gap", rows)])


def endings(folder: Path | str) -> tuple[list[Row], dict[int, str]]:
    """What the files' ends alone tell, quick whatever their size: (rows for files that are missing or cannot be read,
    last moment of a recording, ns UTC → how it ended)."""
    rows: list[Row] = []
    ends: dict[int, str] = {}
    parts: dict[tuple[str, str], TapeInfo] = {}
    for info in sorted(list_tapes(folder), key=lambda info: (info.source, info.session, info.part)):
        if info.error:
            rows.append(tables.gap(_named(Path(info.name)), None, "file", f"{info.name}: {info.error}"))
            continue
        before = parts.get((info.source, info.session))
        if before is not None and before.part + 1 < info.part:
            rows.append(tables.gap(before.last, info.first, "file", f"part {before.part + 1} of the recording is not here"))
        if before is not None:
            ends.pop(before.last, None)
        parts[(info.source, info.session)] = info
        ends[info.last] = "not running" if info.complete else f"killed: {info.name} was not closed"
    return rows, ends


def _first(parts: list[Tape]) -> int:
    return min(tape.first for tape in parts if tape.count)


def _last(parts: list[Tape]) -> int:
    return max(tape.last for tape in parts)


def _within(parts: list[Tape], over: int | None) -> Iterable[Row]:
    """What is missing inside of one session. A gap is told open and again when it is over: the later row counts.

    What the session never told to be over ends at ``over``: when the next one began.
    """
    told: dict[tuple[int, str, str, str], Row] = {}
    for tape in parts:
        try:
            for _, batch in tape.rows("gap"):
                for row in batch.to_pylist():
                    told[(row["ts"], row["symbol"], row["venue"], row["what"])] = row
        except (TapeError, OSError) as error:  # removed while it was read
            row = tables.gap(tape.first, tape.last, "file", str(error))
            told[(row["ts"], "", "", str(tape.path))] = row
    for row in told.values():
        if row["until"] is None and over is not None:
            row = {**row, "until": max(over, row["ts"])}
        if row["until"] != row["ts"] or row["lost"]:
            yield row
    for before, after in itertools.pairwise(parts):
        if after.meta.part > before.meta.part + 1:
            missing = f"part {before.meta.part + 1} of the recording is not here"
            yield tables.gap(before.last, after.first, "file", missing)


def _between(runs: list[list[Tape]]) -> Iterable[Row]:
    """The time between sessions; why = how the one before ended."""
    reached, newest = 0, None
    for parts in runs:
        if newest is not None and _first(parts) > reached:
            yield tables.gap(reached, _first(parts), "recording", _end(newest))
        if newest is None or _last(parts) >= reached:
            reached, newest = _last(parts), parts[-1]


def _end(tape: Tape) -> str:
    if tape.complete:
        return "not running"
    if tape.torn:
        return f"power cut or damage: the last {tape.torn} bytes of {tape.path.name} cannot be read"
    return f"killed: {tape.path.name} was not closed"


def _named(path: Path) -> int:
    """The minute in the name that a journal gave, ns UTC; 0 for other names."""
    try:
        return int(datetime.strptime(path.name[:14], "%Y%m%dT%H%MZ").replace(tzinfo=UTC).timestamp()) * 1_000_000_000
    except ValueError:
        return 0
