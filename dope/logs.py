"""The log: one event = one line, escaped and without secrets; to stderr and a rotated file; repeats are counted, not printed.

Everything goes through one patcher, also what libraries say through the standard ``logging``: text from the wire or from
a library can neither forge a line nor move the cursor of a terminal.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from loguru import logger

FORMAT = "{time:YYYY-MM-DD HH:mm:ss.SSS!UTC} {level: <7} {extra[place]}: {message}"
FILE_BYTES, FILES = 10 * 2**20, 10  #: size of one log file, and how many are kept
PER_KEY, PER_PLACE = 10, 100  #: lines per minute of one message (numbers apart), and of one place in the program
PERIOD_S = 60.0
MAX_TEXT = 16_000  #: characters of one event, its traceback included
MAX_KEYS = 2000
SECRETS = ("DOPE_API_TOKEN", "DOPE_READ_TOKEN")  #: variables of the environment whose values no log may show
#: control characters, line and paragraph separators, invisible marks of direction and width, lone surrogates
UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def escaped(text: str) -> str:
    """``text`` as one line of harmless characters: what is not shown as itself is written as an escape."""
    return UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class Seen(NamedTuple):
    """How often one message came in this minute, and how it was worded first."""

    times: int
    words: str


class Repeats:
    """Which events are printed. ``monotonic_s`` is a clock that never falls."""

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._now = monotonic_s
        self._began = monotonic_s()
        self._keys: dict[tuple[str, str], Seen] = {}
        self._places: dict[str, int] = {}

    def passes(self, place: str, words: str) -> bool:
        """Count one event; False when there were too many like it in this minute."""
        key = (place, re.sub(r"\d+", "#", words[:150] + words[-150:]))
        if len(self._keys) >= MAX_KEYS and key not in self._keys:
            key = (place, "")
        seen = self._keys.get(key, Seen(0, words[:200]))
        self._keys[key] = Seen(seen.times + 1, seen.words)
        if seen.times >= PER_KEY:
            return False
        self._places[place] = self._places.get(place, 0) + 1
        return self._places[place] <= PER_PLACE

    def over(self) -> list[tuple[str, str]]:
        """(place, words) for what was held back, once its minute has passed."""
        if self._now() - self._began < PERIOD_S:
            return []
        return self.rest()

    def rest(self) -> list[tuple[str, str]]:
        """The same, at once; a new minute begins."""
        held = [(place, f"… {seen.times - PER_KEY} more: {seen.words}") for (place, _), seen in self._keys.items() if seen.times > PER_KEY]
        held += [(place, f"… {times - PER_PLACE} more lines from here") for place, times in self._places.items() if times > PER_PLACE]
        self._keys, self._places, self._began = {}, {}, self._now()
        return held


class _Patcher:
    """Makes every record one safe line; whether it is printed stands in ``extra``."""

    def __init__(self, secrets: Iterable[str], repeats: Repeats) -> None:
        self._secrets = tuple(secret for secret in secrets if secret)
        self.repeats = repeats

    def __call__(self, record: Any) -> None:
        words, error = record["message"], record["exception"]
        if error is not None:
            words += "\n" + "".join(traceback.format_exception(error.type, error.value, error.traceback))
            record["exception"] = None
        for secret in self._secrets:
            words = words.replace(secret, "***")
        words = escaped(words)
        record["message"] = words if len(words) <= MAX_TEXT else f"{words[: MAX_TEXT // 2]} … {words[-MAX_TEXT // 2 :]}"
        extra = record["extra"]
        extra.setdefault("place", record["name"])
        if extra.pop("summary", False):
            extra["printed"] = True
            return
        for place, held in self.repeats.over():
            logger.bind(place=place, summary=True).warning(held)
        extra["printed"] = self.repeats.passes(f"{extra['place']}:{record['line'] if extra['place'] == record['name'] else ''}", words)


class _Forward(logging.Handler):
    """Hands what libraries log to the same log."""

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelname if record.levelname in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL") else "INFO"
        logger.bind(place=record.name).opt(exception=record.exc_info).log(level, "{}", record.getMessage())


def start(
    level: str, *, secrets: Iterable[str] = (), as_json: bool = False, file: Path | None = None,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> Callable[[], None]:  # fmt: skip
    """Begin to log, to stderr and ``file``; the returned function says what was held back and is called at the end.

    A file that cannot be written is said in one line; the rest goes on.
    """
    patcher = _Patcher(secrets, Repeats(monotonic_s))
    logger.remove()
    logger.configure(patcher=patcher)
    common: dict[str, Any] = {
        "level": level,
        "format": FORMAT,
        "serialize": as_json,
        "filter": _printed,
        "backtrace": False,
        "diagnose": False,
    }
    logger.add(sys.stderr, colorize=False, **common)
    logging.basicConfig(handlers=[_Forward()], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    if file is not None:
        try:
            logger.add(file, rotation=FILE_BYTES, retention=FILES - 1, encoding="utf-8", **common)
        except OSError as error:
            logger.warning("no log file: {}", error)

    def end() -> None:
        for place, held in patcher.repeats.rest():
            logger.bind(place=place, summary=True).warning(held)

    return end


def start_child() -> None:
    """Begin to log in a process that the program has started: warnings and worse, to stderr, which is the program's own.

    An error that nobody catches is one line too, of any thread. Secrets are known as far as they came by the environment.
    """
    atexit.register(start("WARNING", secrets=[os.environ.get(name, "") for name in SECRETS]))
    sys.excepthook = _uncaught
    threading.excepthook = lambda told: _uncaught(told.exc_type, told.exc_value, told.exc_traceback)


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if not issubclass(kind, (KeyboardInterrupt, SystemExit)):
        logger.opt(exception=(kind, error, trace)).critical("{} ended by an error", threading.current_thread().name)


def _printed(record: Any) -> bool:
    return bool(record["extra"].get("printed", True))
