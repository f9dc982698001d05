"""One test that stands still costs one failure and not the run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCENE = """
import threading

def test_before(): pass
def test_it(): {what}
def test_after(): pass
"""


def test_a_test_that_stands_still_fails_once_with_what_it_did_and_the_others_run(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.crashed import pytest_handlecrashitem\n")
    (tmp_path / "test_a.py").write_text(SCENE.format(what="threading.Event().wait()"))
    (tmp_path / "test_b.py").write_text(SCENE.format(what="pass"))
    words = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    words += ["-c", str(ROOT / "pyproject.toml"), "-o", "timeout=10", "-o", "faulthandler_timeout=5"]
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert "1 failed, 5 passed" in said, said
    assert "crashed while running 'test_a.py::test_it'" in said
    assert "Timeout" in said and "in test_it" in said, "what it was doing stands there"


def test_after_it_all_that_was_dealt_to_its_process_before_keeps_nobody_waiting(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.crashed import pytest_handlecrashitem\n")
    for number in range(14):
        (tmp_path / f"test_{number:02}.py").write_text("def test_one(): pass\ndef test_two(): pass\n")
    (tmp_path / "test_11.py").write_text("import os\ndef test_one(): os._exit(3)\ndef test_two(): pass\n")
    words = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    words += ["-c", str(ROOT / "pyproject.toml")]
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "1 failed, 27 passed" in done.stdout, done.stdout + done.stderr
