"""A process that benchmarks watch is found where it says that it is, and ended; one that says nothing is told of in its own words."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.started import started
from tests.program import until

SAYS = "import sys, time; print('begins', flush=True); print('DOPE 0 is at http://127.0.0.1:8080/', flush=True); "
TALKS_ON = "[print('x' * 4096, flush=True) for _ in range(100)]; open(sys.argv[1], 'w').close(); time.sleep(600)"


def test_the_address_is_what_it_says_and_it_may_say_more_and_is_gone_afterwards(tmp_path: Path) -> None:
    over = tmp_path / "over"
    with started([sys.executable, "-c", SAYS + TALKS_ON, str(over)]) as (url, process):
        assert url == "http://127.0.0.1:8080"
        until(over.exists, "more said than a pipe holds")
        assert process.poll() is None
    assert process.poll() is not None


def test_what_it_said_last_is_told_when_it_ends_without_an_address() -> None:
    with pytest.raises(RuntimeError, match="no such venue"), started([sys.executable, "-c", "raise SystemExit('no such venue')"]):
        pass
