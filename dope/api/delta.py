"""What changed between two snapshots, in the columnar form that browsers receive.

Whole sections (objects, small lists)   → the new value
Keyed lists (venues, instruments, …)    → {"cols": […], "all": bool, "set": [[values]…], "del": [ids]}; of rows that were told before,
                                          the id and the columns in which any of them differs: the others are as they were
``mode``                                → only the parts of it that changed
``events``, ``findings``                → only the rows added at the end
``series``                              → {"all": bool, "keep": n, "t": […], "mid": {key: […]}}: new points; keep the last n

Sections are replaced as whole objects by the publisher, so ``is`` tells at once that nothing changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KEYED = {"venues": "id", "instruments": "key", "opps": "id", "jobs": "id"}  #: section → column that names a row
PARTS = ("mode",)  #: objects of which only what changed is told: most of it never does
LOGS = ("events", "findings")  #: sections that only grow at their end, with rising ids

Row = Mapping[str, Any]


class Discontinuity(Exception):
    """The new snapshot does not continue the old one (a log was cleared): only a full snapshot tells it right."""


class Differ:
    """Follows one stream of snapshots; ``data`` is the last state that was told."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        self._rows = {name: _by_id(name, data[name]) for name in KEYED if name in data}

    def step(self, new: Mapping[str, Any]) -> dict[str, Any]:
        """Changed sections since the last step ({} = nothing); moves on to ``new``. Raises Discontinuity."""
        old, self.data = self.data, new
        changes: dict[str, Any] = {}
        for name, value in new.items():
            before = old.get(name)
            if value is not before and (change := self._change(name, before, value)) is not None:
                changes[name] = change
        if not all(_continues(old.get(name), new.get(name)) for name in LOGS):
            raise Discontinuity
        if any(old[name].keys() - new[name].keys() for name in PARTS if name in old and name in new):
            raise Discontinuity
        return changes

    def _change(self, name: str, before: Any, value: Any) -> Any:
        """One section's part of a delta, None when its value is the same."""
        if name in KEYED:
            return self._keyed(name, value)
        if name == "series":
            return _points(before, value)
        if name in LOGS:
            return _tail(before, value)
        if name in PARTS and before is not None:
            return {part: of for part, of in value.items() if part not in before or before[part] != of} or None
        return value if value != before else None

    def _keyed(self, name: str, rows: list[Row]) -> dict[str, Any] | None:
        before = self._rows.get(name)
        now = _by_id(name, rows)
        self._rows[name] = now
        if before is None:
            return _table(rows, everything=True, gone=[])
        changed = [(row, was) for key, row in now.items() if (was := before.get(key)) is not row and was != row]
        gone = [key for key in before if key not in now]
        if not changed and not gone:
            return None
        return _table([row for row, _ in changed], everything=False, gone=gone, only=_differing(KEYED[name], changed))


def whole(data: Mapping[str, Any]) -> dict[str, Any]:
    """All sections in the form of a snapshot message."""
    sections: dict[str, Any] = {}
    for name, value in data.items():
        if name in KEYED:
            sections[name] = _table(value, everything=True, gone=[])
        elif name == "series":
            sections[name] = _points(None, value)
        else:
            sections[name] = value
    return sections


def _by_id(name: str, rows: list[Row]) -> dict[Any, Row]:
    key = KEYED[name]
    return {row[key]: row for row in rows}


def _differing(key: str, changed: list[tuple[Row, Row | None]]) -> tuple[str, ...]:
    """The columns in which any row differs from what it was, behind the one that names it; none = a row is new, or lost a column."""
    cols = tuple(changed[0][0]) if changed else ()
    if not changed or any(was is None or tuple(row) != cols or tuple(was) != cols for row, was in changed):
        return ()
    new, old = (zip(*(row.values() for row in rows), strict=True) for rows in zip(*changed, strict=True))
    return (key, *(col for col, now, was in zip(cols, new, old, strict=True) if now != was and col != key))


def _table(rows: list[Row], *, everything: bool, gone: list[Any], only: tuple[str, ...] = ()) -> dict[str, Any]:
    """Rows as one list of columns (``only`` these, if any) and one list of values per row; a row without some column gets None there."""
    if not rows:
        return {"cols": [], "all": everything, "set": [], "del": gone}
    cols = only or tuple(dict.fromkeys(col for row in rows for col in row))
    return {"cols": cols, "all": everything, "set": [[row.get(col) for col in cols] for row in rows], "del": gone}


def _continues(old: list[Row] | None, new: list[Row] | None) -> bool:
    """Whether the last row already told is still in the log."""
    return not old or new is old or any(row["id"] == old[-1]["id"] for row in reversed(new or []))


def _tail(old: list[Row] | None, new: list[Row]) -> list[Row] | None:
    """Rows after the last one already told."""
    if not old:
        return new or None
    last = old[-1]["id"]
    start = next((i + 1 for i in range(len(new) - 1, -1, -1) if new[i]["id"] == last), 0)
    return new[start:] or None


def _points(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> dict[str, Any] | None:
    """Points after the last one already told; everything when the keys or that last point changed."""
    t, mid = new["t"], new["mid"]
    entire = {"all": True, "keep": len(t), "t": t, "mid": mid}
    if old is None:
        return entire
    if not old["t"]:
        return entire if t or mid != old["mid"] else None
    if old["mid"].keys() != mid.keys() or old["t"][-1] not in t:
        return entire
    at = len(t) - 1 - t[::-1].index(old["t"][-1])
    if at >= len(old["t"]) or any(values[at] != old["mid"][key][-1] for key, values in mid.items()):
        return entire
    if at == len(t) - 1:
        return None if len(t) == len(old["t"]) else entire
    return {"all": False, "keep": len(t), "t": t[at + 1 :], "mid": {key: values[at + 1 :] for key, values in mid.items()}}
