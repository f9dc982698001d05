"""How the recording is kept: what there is of it, the room it takes and has left, when it was sealed and verified last."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from dope.care.last import last_verdict
from dope.settings import Settings
from dope.tape.catalogue import SEALED, list_tapes
from dope.tape.seal import sealed_tapes

MS = 1_000_000


def storage(settings: Settings, source: str, *, recording: Mapping[str, Any], sealing: Mapping[str, Any], notice: str) -> dict[str, Any]:
    """One row: times ms UTC, sizes in bytes, None = not known or never.

    ``recording`` and ``sealing`` are what the running session says of itself, ``notice`` what is wrong with the records.
    """
    folder = settings.data_dir / source
    infos = [info for info in list_tapes(folder) if not info.error]
    held = [info for info in infos if info.frames]
    marks = sealed_tapes(folder / SEALED)
    times = [at for path in marks.values() if (at := _changed(path))]
    free, total = _room(settings.data_dir)
    seen = last_verdict(settings.data_dir)
    return {
        "source": source, "on": bool(recording.get("on")), "path": recording.get("path"), "reason": recording.get("reason") or "",
        "tapes": len(infos), "tape_bytes": sum(info.bytes for info in infos), "tape_bytes_max": settings.tape_max_mb << 20,
        "first": min((info.first for info in held), default=0) // MS or None,
        "last": max((info.last for info in held), default=0) // MS or None,
        "frames": sum(info.frames for info in held), "lost": sum(info.lost for info in held),
        "free_bytes": free, "disk_bytes": total,
        "sealed": len(marks), "waiting": sealing.get("waiting", 0), "sealed_last": max(times, default=None),
        "seal_trouble": sealing.get("reason") or "",
        "verified": seen.at if seen else None, "sound": seen.sound if seen else None, "problems": seen.problems if seen else None,
        "told": list(seen.told) if seen else [], "records_trouble": notice,
    }  # fmt: skip


def _changed(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns // MS
    except FileNotFoundError:  # removed just now
        return None


def _room(folder: Path) -> tuple[int | None, int | None]:
    """Free and all bytes of the disk that holds ``folder``, or will."""
    for place in (folder, *folder.resolve().parents):
        try:
            usage = psutil.disk_usage(str(place))
        except OSError:
            continue
        return usage.free, usage.total
    return None, None
