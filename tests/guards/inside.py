"""What runs in a process of its own while a guard is off: pytest, over the copy of the project."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import pytest

from tests.examples import ALL, FIRST
from tests.figures import VARIABLE

NOTICED = 101  #: a test has failed. Pytest's own code for it is 1, which is also that of a process that an exception has ended.
EARLY = "ignore::pytest.PytestAssertRewriteWarning"  #: of plug-ins that are there already: whoever forks this has imported them


def run(project: str, tests: Sequence[str]) -> None:
    """Ends this process with `NOTICED` or what else pytest says; whatever goes wrong on the way there is not a test that failed."""
    code: int = pytest.ExitCode.INTERNAL_ERROR
    try:
        _enter(project)
        code = pytest.main(["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", EARLY, *tests])
    finally:
        os._exit(NOTICED if code == pytest.ExitCode.TESTS_FAILED else code)


def _enter(project: str) -> None:
    """Everything of the project is imported anew, from the copy; nothing is written there, and nothing is said."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    os.chdir(project)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tests", "dope", "bench", "app")]:
        del sys.modules[name]
    sys.path[:] = [project, *(path for path in sys.path if os.path.isdir(path) and not os.path.isdir(os.path.join(path, "dope")))]
    os.environ |= {"PYTEST_ADDOPTS": "", "PYTHONDONTWRITEBYTECODE": "1", FIRST: "1"}
    sys.dont_write_bytecode = True  # no byte code of this stays for the next guard
    os.environ.pop(VARIABLE, None)  # what fails there is no finding about the project
    os.environ.pop(ALL, None)  # `make test` must notice it
