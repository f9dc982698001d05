"""Before the market runs everything is compiled: no message of any venue makes the compiler start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_no_message_of_any_venue_makes_the_compiler_start() -> None:
    line = [sys.executable, "-m", "tests.market.compiled"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    before, ready, after = json.loads(done.stdout.splitlines()[-1])
    assert not any(before.values()) and sum(ready.values()) >= 8
    assert {name: count for name, count in after.items() if count != ready.get(name, 0)} == {}
