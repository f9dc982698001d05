"""What the memory of this process consists of: read by whoever wants to know what grows, and what is only room that was used before."""

from __future__ import annotations

import ctypes
import sys

import pyarrow as pa

KEPT = 32 << 20  #: bytes of free room that malloc may keep at hand


class _Mallinfo(ctypes.Structure):
    """What glibc's ``mallinfo2`` tells, bytes."""

    _fields_ = [(name, ctypes.c_size_t) for name in
                ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]  # fmt: skip


def parts() -> dict[str, int]:
    """Bytes that callers of malloc hold (``used``) and that malloc keeps for them (``free``), both 0 where it does not tell; bytes of
    tables in columns (``arrow``); Python's small objects (``objects``, a count). Code, stacks and what else is mapped is in none of them.
    """
    told = {"used": 0, "free": 0, "arrow": pa.total_allocated_bytes(), "objects": sys.getallocatedblocks()}
    asked = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if asked is not None:
        asked.restype = _Mallinfo
        found = asked()
        told |= {"used": int(found.uordblks + found.hblkhd), "free": int(found.fordblks)}
    return told


def trim() -> bool:
    """Give free room back to the system when malloc keeps more than ``KEPT`` of it; whether it did. Takes milliseconds.

    What was freed lies between what is held and stays with the process by itself: over many markets with a page open that was some nine
    MiB a minute, although what was held did not grow.
    """
    asked = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return bool(asked is not None and parts()["free"] > KEPT and asked(0))
