"""Switches one guard off in a copy of the project, and runs the tests that must notice."""

from __future__ import annotations

import multiprocessing
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import psutil

from tests.guards.inside import NOTICED, run
from tests.guards.listed import Guard

ROOT = Path(__file__).resolve().parents[2]
TAKEN = ("dope", "tests", "assets", "models", "app.py", "pyproject.toml")
PATIENCE_S = 400
AT_ONCE = 2  #: each in a copy of its own
#: imported once, in the process that all others are forked from: most of a short run of tests is waiting for libraries
LIBRARIES = ("pytest", "hypothesis", "schemathesis", "xdist", "numpy", "pandas", "numba", "duckdb", "pyarrow.parquet", "orjson", "msgspec",
             "loguru", "sklearn.ensemble", "websockets", "picows", "fastapi", "httpx", "pydantic_settings", "psutil")  # fmt: skip


def copied(folder: Path) -> Path:
    """A copy of the project in ``folder``, compiled: byte code there counts by what the source says, never by when it was written."""
    folder.mkdir(exist_ok=True)
    for name in TAKEN:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("*.pyc", ".hypothesis", "REPORT.md"))
        elif source.exists():
            shutil.copy2(source, folder / name)
    compiled = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", "dope", "tests"]
    subprocess.run(compiled, cwd=folder, stdout=subprocess.DEVNULL, check=False)
    return folder


def switched(guard: Guard, text: str) -> str:
    """``text`` without the guard. Raises ValueError unless its words stand there exactly once."""
    if text.count(guard.old) != 1:
        raise ValueError(f"{guard.file}: {guard.old!r} stands there {text.count(guard.old)} times")
    return text.replace(guard.old, guard.new)


def noticed(guard: Guard, project: Path) -> bool:
    """Whether a test fails in this copy while the guard is off; the copy is as before afterwards."""
    path = project / guard.file
    whole = path.read_text(encoding="utf-8")
    path.write_text(switched(guard, whole), encoding="utf-8")
    fork = multiprocessing.get_context("forkserver")
    fork.set_forkserver_preload(list(LIBRARIES))
    running = fork.Process(target=run, args=(str(project), guard.tests.split()))
    running.start()
    try:
        running.join(PATIENCE_S)
        return running.exitcode == NOTICED  # a test that hangs tells nobody what is wrong
    finally:
        if running.is_alive():
            _end(running.pid)
        path.write_text(whole, encoding="utf-8")


def _end(pid: int | None) -> None:
    """Whatever still runs there."""
    try:
        process = psutil.Process(pid)
        for each in (*process.children(recursive=True), process):
            each.kill()
    except psutil.NoSuchProcess:
        return


def all_noticed(guards: Iterable[Guard]) -> Iterator[tuple[Guard, bool]]:
    """Each guard, in this order, and whether a test fails while it is off; a few at once."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        free: SimpleQueue[Path] = SimpleQueue()
        for number in range(AT_ONCE):
            free.put(copied(Path(folder) / str(number)))

        def look(guard: Guard) -> tuple[Guard, bool]:
            project = free.get()
            try:
                return guard, noticed(guard, project)
            finally:
                free.put(project)

        yield from pool.map(look, guards)
