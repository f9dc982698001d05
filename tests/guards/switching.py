"""Switches one guard off in a copy of the project, and runs the tests that must notice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.examples import ALL, FIRST
from tests.figures import VARIABLE
from tests.guards.listed import Guard

ROOT = Path(__file__).resolve().parents[2]
TAKEN = ("dope", "tests", "assets", "models", "app.py", "pyproject.toml")
PATIENCE_S = 400
AT_ONCE = 2  #: each in a copy of its own
FAILED = 1  #: pytest's code for "some test failed"; an error in the code itself, or no test at all, has another one


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
    try:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *_words(guard.tests)]
        # no byte code of this stays for the next guard
        environment = {**os.environ, "PYTEST_ADDOPTS": "", "PYTHONDONTWRITEBYTECODE": "1", FIRST: "1"}
        environment.pop(VARIABLE, None)  # what fails there is no finding about the project
        environment.pop(ALL, None)  # `make test` must notice it
        done = subprocess.run(command, cwd=project, env=environment, timeout=PATIENCE_S, capture_output=True, text=True, check=False)
    except subprocess.TimeoutExpired:
        return False  # a test that hangs tells nobody what is wrong
    finally:
        path.write_text(whole, encoding="utf-8")
    return done.returncode == FAILED


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


def _words(tests: str) -> list[str]:
    """Arguments of pytest; what follows ``-k`` is one word."""
    return tests.split()
