"""The program as a process of its own: where its page is, read from what it says, and its end."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from bench.run import ROOT

PATIENCE_S = 60.0  #: until what was asked to end has ended
ADDRESS = re.compile(r"is at (http://\S+)/")


@contextmanager
def started(command: Sequence[str], env: Mapping[str, str] | None = None) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """(address of its page without a slash at the end, process); it is ended afterwards. Raises RuntimeError when it tells no address."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, env=env) as process:
        try:
            assert process.stdout is not None
            said = ""
            while not (found := ADDRESS.search(said)):
                line = process.stdout.readline()
                if not line:
                    raise RuntimeError(f"the program did not start: {said[-2000:]}")
                said += line
            threading.Thread(target=process.stdout.read, daemon=True).start()  # a full pipe would stop it
            yield found[1], process
        finally:
            process.terminate()
            process.wait(PATIENCE_S)
