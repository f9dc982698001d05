"""``python -m tests.vectors DIR``: every vector of a folder through the product's own code, a line per case, exit 1 when any fails.

A line is ``file · case · measured · expected · pass|fail|not yet``. Market data that a vector names is looked for in ``DIR/../market``
and in ``DIR/market``. A kind nobody knows, a file that cannot be read, and a key that nobody answers for are failures.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.vectors.case import ANY, NOT_YET, Case
from tests.vectors.kinds import ABOUT, KINDS, LATER, LATER_KEYS


def check(file: Path, market: Path) -> Iterator[Case]:
    """All cases of one file."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        kind = document["kind"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        yield Case("the file", f"cannot be read: {error!r}", "JSON with a kind", False)
        return
    if kind in LATER:
        yield Case(kind, NOT_YET, "a complete model", None)
        return
    later = LATER_KEYS.get(kind, ())
    if kind not in KINDS and not later:
        yield Case("the file", f"kind {kind!r}", f"one of {', '.join(sorted((*KINDS, *LATER)))}", False)
        return
    answered = {*ABOUT, *later}
    for key in later:
        if key in document:
            yield Case(key, NOT_YET, "a check", None)
    for part in KINDS.get(kind, ()):
        answered |= {*part.keys} if part.keys != (ANY,) else {*document}
        if not part.keys or part.keys == (ANY,) or any(key in document for key in part.keys):
            yield from part.check(document, market)
    for key in document.keys() - answered:
        yield Case(key, "nobody answers for this key", "a check", False)


def market_of(folder: Path) -> Path:
    """Where the market data of a folder of vectors lie."""
    beside = folder.resolve().parent / "market"
    return beside if beside.is_dir() else folder / "market"


def main(arguments: list[str]) -> int:
    """Print the report; 0 = nothing failed, 1 = something did, 2 = there is no such folder."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("usage: python -m tests.vectors DIR   (a folder of .json files)", file=sys.stderr)
        return 2
    folder, counts = Path(arguments[0]), {"pass": 0, "fail": 0, NOT_YET: 0}
    for file in sorted(folder.glob("*.json")):
        for case in check(file, market_of(folder)):
            word = NOT_YET if case.ok is None else "pass" if case.ok else "fail"
            counts[word] += 1
            print(" · ".join((file.name, case.case, case.measured, case.expected, word)))
    print(", ".join(f"{count} {word}" for word, count in counts.items()))
    return 1 if counts["fail"] or not sum(counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
