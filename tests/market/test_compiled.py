"""Machine code from the disk is used only while every file that it is made of is as it was."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import dope
from dope.market.compiled import made_of

PROGRAM = "from tiny.top import answer; print(answer(1))"
TOP = "from tiny.compiled import jit\nfrom tiny.low import step\n@jit\ndef answer(x):\n    return step(x)\n"
LOW = "from tiny import size\nfrom tiny.compiled import inlined\n@inlined\ndef step(x):\n    return x + {} + size.MORE\n"
SIZE = "MORE = {}\n"
PLAIN = "from tiny.top import answer\n# {}\n"


def run(folder: Path, program: str = PROGRAM) -> str:
    environment = {**os.environ, "PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    return done.stdout.strip()


def test_a_change_in_one_file_is_seen_by_the_compiled_code_of_another(tmp_path: Path) -> None:
    room = tmp_path / "tiny"
    room.mkdir()
    shutil.copy(Path(dope.__file__).parent / "market" / "compiled.py", room)
    (room / "top.py").write_text(TOP)
    (room / "low.py").write_text(LOW.format(1))
    (room / "size.py").write_text(SIZE.format(10))
    (room / "plain.py").write_text(PLAIN.format("one"))
    assert run(tmp_path) == "12"
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.nbc")}
    assert any(path.name.startswith("top.answer") for path in kept)
    (room / "plain.py").write_text(PLAIN.format("two"))
    assert run(tmp_path) == "12"
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "nothing is made anew for a file that it is not made of"
    (room / "low.py").write_text(LOW.format(2))
    assert run(tmp_path) == "13"
    (room / "size.py").write_text(SIZE.format(20))
    assert run(tmp_path) == "23", "a constant of a file without compiled code counts, too"


def test_compiled_code_outside_the_room_is_made_anew_when_a_file_of_the_room_changes(tmp_path: Path) -> None:
    room = tmp_path / "tiny"
    room.mkdir()
    shutil.copy(Path(dope.__file__).parent / "market" / "compiled.py", room)
    (tmp_path / "compiled.py").write_text(TOP)  # named like a file of the room
    (room / "size.py").write_text(SIZE.format(10))
    (room / "low.py").write_text(LOW.format(1))
    outside = PROGRAM.replace("tiny.top", "compiled")
    assert run(tmp_path, outside) == "12"
    (room / "low.py").write_text(LOW.format(2))
    assert run(tmp_path, outside) == "13"


def made(stem: str) -> set[str]:
    return {file.stem for file in made_of(Path(dope.__file__).parent / "market", "dope.market", stem)}


def test_what_only_calls_compiled_code_is_no_part_of_it() -> None:
    assert {"kernel", "lane", "lane_run", "near", "walking", "walk", "pairs", "digits", "compiled"} <= made("lane_run")
    assert not {"market", "book", "ready", "trade_ids"} & made("lane_run")
    assert "near" in made("orders") and not {"near", "walking", "lane_run"} & made("kernel")
