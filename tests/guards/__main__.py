"""``python -m tests.guards [WORD …]``: switch off each guard (or those whose words hold one of these) and tell who noticed."""

from __future__ import annotations

import sys

from tests.guards.listed import GUARDS
from tests.guards.switching import all_noticed


def main(words: list[str]) -> int:
    missed = 0
    for guard, seen in all_noticed(each for each in GUARDS if not words or any(word in each.keeps_out for word in words)):
        missed += not seen
        print(f"{'noticed' if seen else 'MISSED '}  {guard.keeps_out}  ({guard.file})", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
