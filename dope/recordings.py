"""What has been recorded: the tapes by name, the recordings they form, and the calendar of what each covers and lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from dope.care.archive import contents
from dope.errors import DopeError, FolderTaken, TapeError, UnknownName
from dope.reel import hole_rows
from dope.store.cut import NOTHING
from dope.tables import GAP, History
from dope.tape.catalogue import SEALED, TapeInfo, list_tapes
from dope.tape.files import refuse_second
from dope.tape.format import parse_name
from dope.tape.ledger import endings
from dope.tape.read import Tape
from dope.tape.seal import sealed_tapes

MS = 1_000_000
MAX_GAPS = 200  #: of one tape that are told
BUNDLES = "bundles"  #: folder in the data folder; a bundle that is put there can be replayed
MAX_BUNDLES = 1000  #: that are listed


def tapes_by_name(folder: Path) -> list[tuple[TapeInfo, Path]]:
    """All tapes below ``folder``, named without their folder where that says which one is meant."""
    infos = list_tapes(folder)
    plain = [Path(info.name).name for info in infos]
    return [
        (msgspec.structs.replace(info, name=name if plain.count(name) == 1 else info.name), folder / info.name)
        for info, name in zip(infos, plain, strict=True)
    ]


def choose(folder: Path, *, name: str = "", at: int = 0) -> list[tuple[TapeInfo, Path]]:
    """All tapes of the recording (one run of the program) that is meant, oldest first: a later part continues the books of the earlier.

    ``name`` = a tape of it; else the recording that was running at ``at`` (ns UTC), or the first after that.
    Raises UnknownName, or DopeError when nothing readable was recorded then.
    """
    known = [(info, path) for info, path in tapes_by_name(folder) if info.frames and not info.error]
    if name:
        chosen = next((info for info, _ in known if info.name == name), None)
        if chosen is None:
            raise UnknownName("recording", name, [info.name for info, _ in known])
    else:
        later = [info for info, _ in known if info.last >= at]
        if not later:
            raise DopeError("nothing was recorded then or later" if known else "nothing has been recorded yet")
        chosen = min(later, key=lambda info: (max(info.first, at), -info.last))
    same = [(info, path) for info, path in known if info.session and (info.source, info.session) == (chosen.source, chosen.session)]
    return same or [(info, path) for info, path in known if info.name == chosen.name]


def calendar(folder: Path) -> list[dict[str, Any]]:
    """One row per tape, oldest first: what it covers (ms UTC), how large and how whole it is, and where frames are missing."""
    tapes = tapes_by_name(folder)
    sealed = {place: sealed_tapes(place / SEALED) for place in {path.parent for _, path in tapes}}
    return [_row(info, path, path.stem in sealed[path.parent]) for info, path in tapes]


def _row(info: TapeInfo, path: Path, sealed: bool) -> dict[str, Any]:
    missing = gaps(path) if info.lost else []
    return {
        "name": info.name, "source": info.source, "session": info.session, "part": info.part, "venues": list(info.venues),
        "first": info.first // MS or None, "last": info.last // MS or None, "frames": info.frames, "bytes": info.bytes,
        "complete": info.complete, "sealed": sealed, "lost": info.lost, "gaps": missing, "error": info.error,
    }  # fmt: skip


def bundles(folder: Path) -> list[dict[str, Any]]:
    """One row per bundle that lies ready, by name: how large it is and what it says it holds; it is checked when it is opened."""
    return [_bundle_row(path) for path in sorted((folder / BUNDLES).glob("*.zip"))[:MAX_BUNDLES]]


def bundle_path(folder: Path, name: str) -> Path:
    """The bundle of that name. Raises UnknownName."""
    known = {path.name: path for path in sorted((folder / BUNDLES).glob("*.zip"))}
    if name not in known:
        raise UnknownName("bundle", name, known)
    return known[name]


def _bundle_row(path: Path) -> dict[str, Any]:
    try:
        return {"name": path.name, "bytes": path.stat().st_size, "tapes": contents(path), "error": ""}
    except (TapeError, OSError) as error:
        return {"name": path.name, "bytes": 0, "tapes": [], "error": str(error)}


def gaps(path: Path) -> list[dict[str, Any]]:
    """Where frames were lost while recording."""
    try:
        return hole_rows(Tape(path, tolerant=True))[:MAX_GAPS]
    except TapeError:
        return []


def left_behind(folder: Path) -> list[Path]:
    """The tapes of a source that is not running, oldest first; none while another process records there."""
    try:
        refuse_second(folder)
    except FolderTaken:
        return []
    return [folder / info.name for info in list_tapes(folder) if parse_name(info.name) is not None and not info.error]


def missing(answer: History, folder: Path) -> History:
    """The same answer; its ``gaps`` also say how a recording ended before nothing was recorded, and which files are lost."""
    rows, ends = endings(folder)
    found = []
    for row in answer.gaps.to_pylist():
        why = ends.get(row["ts"] - 1, "") if (row["what"], row["why"]) == ("recording", NOTHING) else ""
        found.append({**row, "why": why or row["why"]})
    known = {(row["ts"], row["what"], row["why"]) for row in found}
    within = [row for row in rows if row["ts"] < answer.end and (row["until"] is None or row["until"] > answer.start)]
    found += [row for row in within if (row["ts"], row["what"], row["why"]) not in known]
    found.sort(key=lambda row: (row["ts"], row["what"], row["venue"], row["symbol"]))
    return answer._replace(gaps=pa.Table.from_pylist(found, schema=GAP))
