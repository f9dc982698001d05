"""The program as a user starts it: a process of its own, asked over HTTP, ended by signals."""

from __future__ import annotations

import atexit
import functools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.few import PINNED

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
PATIENCE_S = 120.0  #: however slow the machine; what is waited for is asserted, never how long it took
ADDRESS = re.compile(r"^DOPE \S+ is at (http://\S+)/$", re.MULTILINE)
VENUES = ("binance_spot", "binance_usdm", "okx")


def until(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """The first true value of ``condition``; AssertionError when it never comes."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"never: {what}")


def present(cases: Iterable[Any], path: Callable[[Any], Path]) -> list[Any]:
    """Those cases whose recording is beside this repository; where none is, one that is skipped and says so."""
    found = [case for case in cases if path(case).exists()]
    return found or [pytest.param(None, marks=pytest.mark.skip(reason="no recordings beside this repository"), id="none")]


def nobody() -> tuple[socket.socket, dict[str, dict[str, str]]]:
    """A port that refuses every connection as long as the socket is kept, and endpoints of all venues there."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    return taken, {venue: {"ws": f"ws://127.0.0.1:{port}", "rest": f"http://127.0.0.1:{port}"} for venue in VENUES}


def surroundings(folder: Path, **settings: Any) -> dict[str, str]:
    """The environment of the program: ours without its settings, then ``settings`` (``probe_s=1`` → ``DOPE_PROBE_S``)."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("DOPE_") or name in PINNED}
    given = {"data_dir": folder / "data", "model_dir": folder / "models", **settings}
    return own | {f"DOPE_{name.upper()}": json.dumps(v) if isinstance(v, dict) else str(v) for name, v in given.items()}


#: reads what is asked for, line by line; each is done by a fork of its own, which ends as a program does, and its status is told
PARENT = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
import app
for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if not child:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()
os.chdir(asked["folder"])
os.environ.clear()
os.environ.update(asked["env"])
for number, name in enumerate((os.devnull, asked["out"], asked["err"])):
    os.dup2(os.open(name, os.O_RDWR | os.O_CREAT), number)
app.run(asked["words"])
"""


@functools.cache
def _parent() -> subprocess.Popen[str]:
    """A process that has imported the whole program once: that takes most of the time of a short command."""
    line = [sys.executable, "-c", PARENT, str(ROOT)]
    started = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(started.communicate)
    return started


def command(folder: Path, *words: str | Path, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run one command to its end, in a process of its own."""
    parent = _parent()
    assert parent.stdin is not None and parent.stdout is not None
    with tempfile.TemporaryDirectory() as kept:
        said = {name: str(Path(kept) / name) for name in ("out", "err")}
        asked = {"words": [*map(str, words)], "folder": str(folder), "env": surroundings(folder, **settings), **said}
        print(json.dumps(asked), file=parent.stdin, flush=True)
        code = int(parent.stdout.readline())
        return subprocess.CompletedProcess(asked["words"], code, *(Path(path).read_text() for path in said.values()))


class Program:
    """A running ``app.py``; ``url`` without a slash at its end. Use as a context: it is gone afterwards, come what may."""

    SCRIPT = ROOT / "app.py"

    def __init__(self, folder: Path, *words: str | Path, port: int = 0, **settings: Any) -> None:
        line = [sys.executable, str(self.SCRIPT), "serve", f"--port={port}", *map(str, words)]
        self._said = folder / f"log-{time.monotonic_ns()}"
        with self._said.open("w") as log:
            self.process = subprocess.Popen(
                line, stdout=log, stderr=log, env=surroundings(folder, **settings), cwd=folder, start_new_session=True
            )
        until(lambda: re.search(ADDRESS, self.log) or self.process.poll() is not None, "an address")
        found = re.search(ADDRESS, self.log)
        assert found, f"it did not start: {self.log}"
        self.url = found[1]

    @property
    def log(self) -> str:
        """All that it said so far."""
        return self._said.read_text()

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        for process in [self.process.pid, *(child.pid for child in self.children())]:
            if psutil.pid_exists(process):
                os.kill(process, signal.SIGKILL)
        self.process.wait()

    # -- what it says --------------------------------------------------------------------------------------------------
    def get(self, path: str) -> httpx.Response:
        """One GET."""
        return httpx.get(self.url + path, timeout=PATIENCE_S)

    def live(self) -> dict[str, Any]:
        """The sections that a browser gets first, as soon as there are any; keyed lists as lists of rows."""
        sections: dict[str, Any] = until(lambda: self.get("/api/v1/live").json()["data"], "a first publication")
        for name, section in sections.items():
            if isinstance(section, dict) and set(section) == {"cols", "all", "set", "del"}:
                sections[name] = [dict(zip(section["cols"], row, strict=True)) for row in section["set"]]
        return sections

    def ask(self, name: str, **args: Any) -> int:
        """Give a command; the number of its job."""
        answer = httpx.post(f"{self.url}/api/v1/commands", json={"name": name, "args": args}, timeout=PATIENCE_S)
        assert answer.status_code == 202, answer.text
        return int(answer.json()["job"])

    def job(self, number: int) -> dict[str, Any]:
        """How a job stands."""
        found: dict[str, Any] = self.get(f"/api/v1/jobs/{number}").json()
        return found

    def wait_ready(self) -> None:
        """Until some book is live."""
        until(lambda: self.get("/ready").status_code == 200, "ready")

    # -- how it ends ---------------------------------------------------------------------------------------------------
    def children(self) -> Sequence[psutil.Process]:
        """All processes that it has started, and theirs."""
        try:
            found: Sequence[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return ()
        return found

    def end(self, number: int) -> int:
        """Send a signal, Ctrl-C as a terminal does to the whole group, and wait for the end: the exit code."""
        if number == signal.SIGINT:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


def gone(processes: Sequence[psutil.Process]) -> bool:
    """Whether none of them runs any more."""
    return not any(each.is_running() and line_of(each) for each in processes)


def line_of(process: psutil.Process) -> str:
    """Its command line; nothing when it has ended, whether or not anybody has taken notice."""
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""
