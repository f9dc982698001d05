"""A test that ended the process it ran in, or that stood still and was ended, is told as failed and not dealt out again.

The scheduler would give the rest of its file, that test first, to process after process, and each would end on it. It runs again alone
(``make test``), with the others that failed.
"""

from __future__ import annotations

from typing import Any

import pytest


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str, sched: Any) -> None:
    """``sched.workqueue``: what is still to be dealt out, by file the tests and whether each is done.

    It has got back all files that the process was ever given. Whoever is dealt one of which everything is done has nothing to report, and
    is dealt no more: in the end all would wait.
    """
    for file, tests in list(sched.workqueue.items()):
        if crashitem in tests:
            tests[crashitem] = True
        if all(tests.values()):
            del sched.workqueue[file]
