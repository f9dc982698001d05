"""One test that stands still costs one failure and not the run; after one of a browser its process has no page for the others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser import conftest as pages

ROOT = Path(__file__).resolve().parent.parent
SCENE = """
import asyncio, threading

def test_before(): pass
def test_it(): {what}
def test_after(): pass
"""


@pytest.mark.parametrize("what", ["threading.Event().wait()", "asyncio.run(asyncio.Event().wait())"])
def test_a_test_that_stands_still_fails_once_with_what_it_did_and_the_others_run(what: str, tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(SCENE.format(what=what))
    (tmp_path / "test_b.py").write_text(SCENE.format(what="pass"))
    words = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    words += ["-c", str(ROOT / "pyproject.toml"), "-o", "timeout=5"]
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert "1 failed, 5 passed" in said, said
    assert "Timeout" in said and "def test_it" in said, "what it was doing stands there"


def test_once_a_page_stood_still_the_other_tests_of_its_process_fail_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "stood_still", [])
    pages.refuse()
    pages.note("Failed: Timeout (>480.0s) from pytest-timeout.")
    with pytest.raises(pytest.fail.Exception, match="stood still"):
        pages.refuse()
