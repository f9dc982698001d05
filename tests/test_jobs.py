"""Jobs in real worker processes: progress, result, error, cancel, limits, and no process left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from dope.errors import JobError, UnknownName
from dope.jobs import HISTORY, MEMORY_BYTES, Jobs, JobState
from tests.program import line_of

Progress = Callable[[float, str], None]


# -- what the workers run ------------------------------------------------------------------------------------------
def add(progress: Progress, a: int, b: int) -> dict[str, int]:
    progress(0.5, "Add")
    return {"sum": a + b}


def fail(_progress: Progress) -> None:
    raise ValueError("no data\nin this tape")


def sleep_for_ever(progress: Progress) -> None:
    for i in range(10_000):
        progress(i / 10_000, f"step {i}")
        time.sleep(0.01)


def work_in_silence(progress: Progress) -> None:
    progress(0.5, "Deep in thought")
    time.sleep(600)


def ignore_the_polite_end(progress: Progress) -> None:
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sleep_for_ever(progress)


def environment(_progress: Progress) -> dict[str, Any]:
    import resource

    import numpy as np  # loads its thread pool, which reads the environment only now

    pools = __import__("threadpoolctl").threadpool_info()
    return {
        "numpy": np.__version__,
        "threads": [pool["num_threads"] for pool in pools],
        "omp": os.environ.get("OMP_NUM_THREADS"),
        "memory": resource.getrlimit(resource.RLIMIT_AS)[0],
        "pid": os.getpid(),
    }


def take_all_memory(_progress: Progress) -> int:
    return len(bytearray(8 << 30))


def die(_progress: Progress) -> None:
    os.kill(os.getpid(), 9)


def wild_progress(progress: Progress) -> None:
    for value in (-1.0, 7.0, 0.5):
        progress(value, "x" * 1000)
    time.sleep(30)


def length(_progress: Progress, blob: bytes) -> int:
    return len(blob)


def finish_but_stay(_progress: Progress) -> str:
    import threading

    threading.Thread(target=time.sleep, args=(600,)).start()  # keeps the process from leaving
    return "result"


def return_a_lambda(_progress: Progress) -> Any:
    return lambda: 1


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    house = Jobs()
    yield house
    house.close()


def wait(jobs: Jobs, job_id: int, *, until: Callable[[JobState], bool] = lambda s: s.ended is not None) -> JobState:
    """Poll as the runtime does until the job is as wanted."""
    while True:
        state = next(state for state in jobs.poll() if state.id == job_id)
        if until(state):
            return state
        assert state.ended is None, state
        time.sleep(0.005)


def running(state: JobState) -> bool:
    return state.progress > 0


# -- the tests -------------------------------------------------------------------------------------------------------
def test_a_job_tells_its_result_and_its_times(jobs: Jobs) -> None:
    before = time.time_ns() // 1_000_000
    started = jobs.start("train", add, (2, 3), 7)
    assert (started.state, started.progress) == ("running", 0.0)
    state = wait(jobs, 7)
    assert (state.id, state.kind, state.state, state.progress, state.error) == (7, "train", "done", 1.0, None)
    assert state.result == {"sum": 5}
    assert state.started is not None and state.ended is not None and before <= state.started <= state.ended


def test_progress_brings_a_step_and_an_estimate_of_the_end(jobs: Jobs) -> None:
    jobs.start("backtest", sleep_for_ever, (), 1)
    state = wait(jobs, 1, until=lambda s: s.progress > 0.02)
    assert state.state == "running" and state.step.startswith("step") and state.eta_s is not None and state.eta_s > 0


def test_progress_is_kept_between_nought_and_one(jobs: Jobs) -> None:
    jobs.start("train", wild_progress, (), 1)
    seen = wait(jobs, 1, until=lambda s: s.progress == 0.5)
    assert len(seen.step) == 120


def test_an_error_is_told_in_one_line_without_a_traceback(jobs: Jobs) -> None:
    jobs.start("train", fail, (), 1)
    state = wait(jobs, 1)
    assert (state.state, state.error, state.result) == ("failed", "ValueError: no data in this tape", None)


def test_the_worker_has_one_numeric_thread_and_bounded_memory_and_is_another_process(jobs: Jobs) -> None:
    before = os.environ.get("OMP_NUM_THREADS")
    jobs.start("train", environment, (), 1)
    result = wait(jobs, 1).result
    assert result["omp"] == "1" and set(result["threads"]) == {1}
    assert result["memory"] == MEMORY_BYTES
    assert result["pid"] != os.getpid()
    assert os.environ.get("OMP_NUM_THREADS") == before


@pytest.mark.parametrize(("function", "words"), [(take_all_memory, "MemoryError"), (die, "signal 9"), (return_a_lambda, "lambda")])
def test_a_worker_that_cannot_go_on_is_a_failed_job(jobs: Jobs, function: Callable[..., Any], words: str) -> None:
    jobs.start("train", function, (), 1)
    state = wait(jobs, 1)
    assert state.state == "failed" and state.error is not None and words in state.error


def test_a_large_task_is_handed_over_without_making_the_caller_wait_for_the_worker(jobs: Jobs) -> None:
    assert jobs.start("train", length, (bytes(20_000_000),), 1).state == "running"
    assert wait(jobs, 1).result == 20_000_000


def test_one_of_a_kind_runs_one_waits_and_further_ones_are_refused(jobs: Jobs) -> None:
    jobs.start("train", sleep_for_ever, (), 1)
    assert jobs.start("train", add, (1, 1), 2).state == "queued"
    with pytest.raises(JobError, match="another one waits"):
        jobs.start("train", add, (1, 1), 3)
    assert jobs.start("backtest", add, (1, 1), 4).state == "running"  # another kind has a place of its own
    wait(jobs, 1, until=running)
    assert jobs.cancel(1)
    assert wait(jobs, 1).state == "cancelled"
    assert wait(jobs, 2).result == {"sum": 2}


def test_a_waiting_job_can_be_cancelled_before_it_begins(jobs: Jobs) -> None:
    jobs.start("train", sleep_for_ever, (), 1)
    jobs.start("train", add, (1, 1), 2)
    assert jobs.cancel(2)
    states = {state.id: state for state in jobs.poll()}
    assert states[2].state == "cancelled" and states[2].started is None and states[1].state == "running"


def test_a_worker_that_ignores_the_polite_end_is_killed(jobs: Jobs) -> None:
    jobs.start("train", ignore_the_polite_end, (), 1)
    wait(jobs, 1, until=running)
    jobs.cancel(1)
    assert wait(jobs, 1).state == "cancelled"


def test_a_worker_that_stays_after_its_result_does_not_block_the_next_job(jobs: Jobs) -> None:
    jobs.start("train", finish_but_stay, (), 1)
    jobs.start("train", add, (1, 1), 2)
    assert wait(jobs, 1).result == "result"
    assert wait(jobs, 2).result == {"sum": 2}


def test_cancelling_what_has_ended_or_never_was(jobs: Jobs) -> None:
    jobs.start("train", add, (1, 1), 1)
    wait(jobs, 1)
    assert jobs.cancel(1) is False
    with pytest.raises(UnknownName):
        jobs.cancel(99)


def test_a_job_beyond_its_time_is_ended(jobs: Jobs) -> None:
    jobs.start("train", sleep_for_ever, (), 1, limit_s=0.2)
    state = wait(jobs, 1)
    assert (state.state, state.error) == ("failed", "ended after its time limit of 0.2 s")


def test_what_cannot_be_pickled_is_refused_at_once(jobs: Jobs) -> None:
    with pytest.raises(JobError, match="cannot be handed"):
        jobs.start("train", lambda progress: 1, (), 1)
    assert jobs.poll() == []


def test_closing_leaves_no_process() -> None:
    before = psutil.Process().children(recursive=True)  # of other tests of this process
    jobs = Jobs()
    jobs.start("train", sleep_for_ever, (), 1)
    jobs.start("backtest", ignore_the_polite_end, (), 2)
    wait(jobs, 2, until=running)
    jobs.close()
    assert [state.state for state in jobs.poll()] == ["cancelled", "cancelled"]
    now = psutil.Process().children(recursive=True)
    assert [each for each in now if each not in before and "resource_tracker" not in line_of(each)] == []


def test_a_worker_ends_when_its_owner_is_killed() -> None:
    script = (
        "import time\nfrom dope.jobs import Jobs\nfrom tests.test_jobs import work_in_silence\n"
        "if __name__ == '__main__':\n"
        "    jobs = Jobs()\n    jobs.start('train', work_in_silence, (), 1)\n"
        "    while not any(s.progress for s in jobs.poll()): time.sleep(0.01)\n"
        "    print('running', flush=True)\n    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as owner:
        assert owner.stdout is not None and owner.stdout.readline() == "running\n"
        workers = psutil.Process(owner.pid).children(recursive=True)
        assert workers
        owner.kill()
    _gone, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []


@pytest.mark.kills("job hand-over")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_job_whose_task_is_never_handed_over_has_failed(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    def end_of_the_thread(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr("multiprocessing.connection.Connection.send_bytes", end_of_the_thread)
    jobs.start("train", add, (1, 1), 1)
    state = wait(jobs, 1)
    assert state.state == "failed" and state.error


def test_only_the_newest_jobs_are_remembered(jobs: Jobs) -> None:
    jobs.start("train", sleep_for_ever, (), 1)
    for i in range(2, HISTORY + 20):
        jobs.start("train", add, (1, 1), i)
        jobs.cancel(i)
    states = jobs.poll()
    assert len(states) == HISTORY
    assert states[0].id == 1 and states[0].state == "running"  # what still runs is never forgotten
    assert states[-1].id == HISTORY + 19
