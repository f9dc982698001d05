"""Machine code from the disk is used only while every file of the room is as it was."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import dope

PROGRAM = "from tiny.top import answer; print(answer(1))"
TOP = "from tiny.compiled import jit\nfrom tiny.low import step\n@jit\ndef answer(x):\n    return step(x)\n"
LOW = "from tiny.compiled import inlined\n@inlined\ndef step(x):\n    return x + {}\n"


def run(folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=environment)
    return done.stdout.strip()


def test_a_change_in_one_file_is_seen_by_the_compiled_code_of_another(tmp_path: Path) -> None:
    room = tmp_path / "tiny"
    room.mkdir()
    shutil.copy(Path(dope.__file__).parent / "market" / "compiled.py", room)
    (room / "top.py").write_text(TOP)
    (room / "low.py").write_text(LOW.format(1))
    assert run(tmp_path) == "2"
    kept = sorted(path.name for path in (tmp_path / "cache").rglob("*.nbc"))
    assert any(name.startswith("top.answer") for name in kept)
    (room / "low.py").write_text(LOW.format(2))
    assert run(tmp_path) == "3"
