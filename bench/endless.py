"""The messages of ``bench.plants`` over and over: each turn begins with new snapshots, sequence numbers and stamps go on without end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from bench.stream import START_MS

TAIL = b'"ts":"'  #: from here to its end a message is written anew


class Endless:
    """``next()`` gives one message after the other."""

    def __init__(self, texts: Sequence[bytes], *, per_s: float) -> None:
        """``texts``: a whole stream, snapshots first; ``per_s``: messages to a second of their own stamps."""
        self._heads: list[tuple[bytes, str, bool]] = []
        for text in texts:
            message = json.loads(text)
            snapshot = message["action"] == "snapshot"
            self._heads.append((text[: text.rindex(TAIL)], message["arg"]["instId"], snapshot))
        self._per_s = per_s

    def __iter__(self) -> Iterator[bytes]:
        last: dict[str, int] = {}
        made = 0
        while True:
            for head, symbol, snapshot in self._heads:
                previous = last.get(symbol, 0)
                last[symbol] = previous + 3
                ms = START_MS + int(made * 1000 / self._per_s)
                made += 1
                before = -1 if snapshot else previous
                yield b'%s"ts":"%d","checksum":0,"prevSeqId":%d,"seqId":%d}]}' % (head, ms, before, previous + 3)
