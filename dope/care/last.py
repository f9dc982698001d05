"""The last verdict on a data folder, kept beside it for the page: when it was judged, how much was sound, what was not."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
from loguru import logger

from dope.care.verify import Verdict
from dope.errors import TapeError
from dope.tape.files import RealFiles
from dope.tape.seal import publish

NAME = "verified.json"
TOLD = 20  #: problems that are kept in words


class Last(msgspec.Struct, frozen=True):
    """``at`` ms UTC; ``paths`` = what was judged; ``problems`` = how many there were, ``told`` the first of them."""

    at: int
    paths: tuple[str, ...]
    sound: int
    problems: int
    told: tuple[str, ...] = ()


def keep_verdict(verdict: Verdict, paths: Iterable[Path], data_dir: Path, now_ms: int) -> None:
    """Note a verdict on ``data_dir``, on what lies in it, or on what it lies in; any other is nothing to this folder."""
    home = data_dir.resolve()
    judged = [path.resolve() for path in paths]
    near = tuple(str(path) for path in judged if path.is_relative_to(home) or home.is_relative_to(path))
    if not near or not home.is_dir():
        return
    last = Last(now_ms, near, verdict.sound, len(verdict.problems), tuple(str(each) for each in sorted(verdict.problems)[:TOLD]))
    try:
        publish({data_dir / NAME: msgspec.json.encode(last)}, RealFiles())
    except TapeError as error:  # a folder that may only be read
        logger.warning("the verdict could not be noted: {}", error)


def last_verdict(data_dir: Path) -> Last | None:
    """None when nothing was judged yet, or what is noted cannot be read."""
    try:
        return msgspec.json.decode((data_dir / NAME).read_bytes(), type=Last)
    except (OSError, msgspec.DecodeError):
        return None
