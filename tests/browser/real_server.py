"""The whole program in a process of its own, on the simulated market, for the pages that need an engine: one for each module of tests.

The fixture ``house`` of ``real_server_plugin.py`` starts it; modules that want it name that file in ``pytest_plugins``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tests.program import line_of

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 240.0  #: s after which a condition is taken for one that never comes
MIN_SAMPLES = 20  #: fewer than by default, so that a first training is near


def until(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of ``condition``; fails only when it seems that it will never come."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"never came: {what}")


class House:
    """The served program. ``url`` is where it is; ``data`` its folder of recordings."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        (self.data / "broken.dope").write_bytes(b"no recording at all\n" * 8)
        self._log = folder / "log.txt"
        command = [sys.executable, "app.py", "serve", "--source", "sim", "--speed", "3", "--port", "0",
                   "--data-dir", str(self.data), "--model-dir", str(folder / "models")]  # fmt: skip
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "DOPE_MIN_SAMPLES": str(MIN_SAMPLES)}
            )
        self.url = until(self._address, "the address of the server")
        until(lambda: self.section("mode"), "a first snapshot")
        with urllib.request.urlopen(self.url + "/predict", timeout=30) as answer:
            self.first_page: str = answer.read().decode()  # nobody has asked for "/" before

    def _address(self) -> str:
        said = self._log.read_text(errors="replace")
        if self.process.poll() is not None:
            raise AssertionError(f"the server has ended:\n{said[-3000:]}")
        found = re.search(r"http://[\d.:]+", said)
        return found.group() if found else ""

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.load(answer)

    def section(self, name: str) -> Any:
        """A section of the newest snapshot, None before it exists."""
        return self.get("/api/v1/live")["data"].get(name)

    def jobs(self, kind: str) -> list[dict[str, Any]]:
        return [job for job in self.get("/api/v1/jobs") if job["kind"] == kind]

    def workers(self) -> dict[int, psutil.Process]:
        """The processes that the program has spawned, its simulated market included."""
        return {child.pid: child for child in psutil.Process(self.process.pid).children() if "spawn_main" in line_of(child)}

    def hold_next_worker(self, start: Callable[[], None]) -> psutil.Process:
        """Call ``start`` and stop the worker that it brings, so that its job stands still until it is ended."""
        before = set(self.workers())
        start()
        worker: psutil.Process = until(lambda: next((p for pid, p in self.workers().items() if pid not in before), None), "a worker")
        worker.suspend()
        return worker

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
