"""Background jobs: a picklable function runs in a worker process of its own, with progress, time limit and cancel.

One job per kind runs at a time and one more may wait; the worker has one numeric thread, 4 GiB of address space and
low priority, so that the live market keeps its core. ``poll()`` never blocks and is called from the owner's loop.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import resource
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from loguru import logger

from dope import logs
from dope.errors import JobError, UnknownName

WAITING_PER_KIND = 1  #: jobs of one kind that may wait behind the running one
HISTORY = 100  #: jobs remembered, finished ones included
TIME_LIMIT_S = 3600.0  #: s after which a job is ended
KILL_AFTER_S = 2.0  #: s between the polite and the hard end of a worker
MESSAGES_PER_POLL = 256  #: progress messages read from one worker per poll
MEMORY_BYTES = 4 << 30  #: address space of a worker
NICENESS = 19  #: the live market goes first, and the page that shows it
MAX_RESULT = 32 << 20  #: bytes of a pickled result; larger ones belong into a file
MAX_STEP = 120  #: characters of a step's name
MAX_ERROR = 500  #: characters of an error text
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
MS = 1_000_000

Function = Callable[..., Any]


@dataclass(frozen=True)
class JobState:
    """One job as everybody sees it; times in ms UTC. ``result`` is what the function returned, ``error`` one line."""

    id: int
    kind: str
    state: str = "queued"  #: "queued" | "running" | "done" | "failed" | "cancelled"
    progress: float = 0.0
    step: str = ""
    eta_s: float | None = None
    started: int | None = None
    ended: int | None = None
    error: str | None = None
    result: Any = None


@dataclass
class _Worker:
    job: int
    process: SpawnProcess
    pipe: Connection
    task: Connection  #: carries the task to the worker; when it closes, the owner has gone and the worker ends
    began_ns: int
    limit_s: float
    ending: str = ""  #: "finished", "cancelled" or the error text, once it is to end
    ended_ns: int = 0


@dataclass(frozen=True)
class _Order:
    job: int
    payload: bytes
    limit_s: float


class Jobs:
    """All jobs of one house. ``clock_ns`` gives ns UTC; not thread-safe: one owner calls it."""

    def __init__(self, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._clock_ns = clock_ns
        self._context = multiprocessing.get_context("spawn")
        self._states: dict[int, JobState] = {}
        self._running: dict[str, _Worker] = {}
        self._waiting: dict[str, list[_Order]] = {}

    def start(self, kind: str, function: Function, args: tuple[Any, ...], job_id: int, *, limit_s: float = TIME_LIMIT_S) -> JobState:
        """Run ``function(progress, *args)`` in a worker, or let it wait behind the running job of its kind.

        Raises JobError when another one waits already, or when function or arguments cannot be handed to a process.
        """
        if job_id in self._states:
            raise JobError(f"job {job_id} exists already")
        waiting = self._waiting.setdefault(kind, [])
        if kind in self._running and len(waiting) >= WAITING_PER_KIND:
            raise JobError(f"a {kind} job is running and another one waits: cancel one or try again later")
        try:
            payload = pickle.dumps((function, args))
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise JobError(f"this {kind} job cannot be handed to a worker process: {error}") from error
        self._states[job_id] = JobState(id=job_id, kind=kind)
        self._forget_oldest()
        waiting.append(_Order(job_id, payload, limit_s))
        self._begin_next(kind)
        return self._states[job_id]

    def poll(self) -> list[JobState]:
        """Take in what the workers said, end those that must end, begin those that wait; all jobs, oldest first."""
        for kind, worker in list(self._running.items()):
            self._listen(worker)
            self._look_after(kind, worker)
        return list(self._states.values())

    def cancel(self, job_id: int) -> bool:
        """Ask a job to end; False when it has ended already. Raises UnknownName for a job never seen."""
        if job_id not in self._states:
            raise UnknownName("job", str(job_id), map(str, self._states))
        state = self._states[job_id]
        for order in list(self._waiting.get(state.kind, ())):
            if order.job == job_id:
                self._waiting[state.kind].remove(order)
                self._end(job_id, state="cancelled")
                return True
        worker = self._running.get(state.kind)
        if worker is None or worker.job != job_id or state.ended is not None:
            return False
        self._ask_to_end(worker, "cancelled")
        return True

    def close(self) -> None:
        """End all workers now; returns when they are gone."""
        self._waiting.clear()
        for worker in self._running.values():
            worker.process.terminate()
        for worker in self._running.values():
            worker.process.join(KILL_AFTER_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            self._end(worker.job, state="cancelled")
            _release(worker)
        self._running.clear()

    # -- the workers -------------------------------------------------------------------------------------------------
    def _begin_next(self, kind: str) -> None:
        if kind in self._running or not self._waiting.get(kind):
            return
        order = self._waiting[kind].pop(0)
        ours, theirs = self._context.Pipe(duplex=False)
        inbox, task = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_work, args=(inbox, theirs), name=f"dope-{kind}", daemon=True)
        with _handed_down(ONE_THREAD):
            process.start()
        theirs.close()
        inbox.close()
        # a large task fills the pipe until the worker has started: that wait must not be ours
        threading.Thread(target=_hand_over, args=(task, order.payload), name="job hand-over", daemon=True).start()
        now = self._clock_ns()
        self._running[kind] = _Worker(order.job, process, ours, task, now, order.limit_s)
        self._change(order.job, state="running", step="Starting", started=now // MS)
        logger.info("{} job {} started (process {})", kind, order.job, process.pid)

    def _listen(self, worker: _Worker) -> None:
        for _ in range(MESSAGES_PER_POLL):
            try:
                if not worker.pipe.poll():
                    return
                message = worker.pipe.recv()
            except (EOFError, OSError):
                return
            self._take_in(worker, message)

    def _take_in(self, worker: _Worker, message: tuple[Any, ...]) -> None:
        match message:
            case ("progress", float() as done, str() as step):
                elapsed = (self._clock_ns() - worker.began_ns) / 1e9
                eta = elapsed * (1.0 - done) / done if done > 0.01 else None
                self._change(worker.job, progress=done, step=step, eta_s=eta)
            case ("done", result) if not worker.ending:
                self._finish(worker, state="done", progress=1.0, result=result)
            case ("failed", error, trace) if not worker.ending:
                logger.error("job {} failed: {}\n{}", worker.job, error, trace)
                self._finish(worker, state="failed", error=error)

    def _finish(self, worker: _Worker, **outcome: Any) -> None:
        """The last word of a worker; should its process not leave by itself, it is killed a little later."""
        self._end(worker.job, **outcome)
        worker.ending, worker.ended_ns = "finished", self._clock_ns()

    def _look_after(self, kind: str, worker: _Worker) -> None:
        now = self._clock_ns()
        if worker.process.is_alive():
            if not worker.ending and (now - worker.began_ns) / 1e9 > worker.limit_s:
                self._ask_to_end(worker, f"ended after its time limit of {worker.limit_s:g} s")
            elif worker.ending and (now - worker.ended_ns) / 1e9 > KILL_AFTER_S:
                worker.process.kill()
            return
        self._listen(worker)  # what it said between our last look and its end
        if self._states[worker.job].ended is None:
            if worker.ending == "cancelled":
                self._end(worker.job, state="cancelled")
            else:
                self._end(worker.job, state="failed", error=worker.ending or _last_words(worker.process.exitcode))
        _release(worker)
        del self._running[kind]
        self._begin_next(kind)

    def _ask_to_end(self, worker: _Worker, why: str) -> None:
        if not worker.ending:
            worker.ending, worker.ended_ns = why, self._clock_ns()
            worker.process.terminate()

    # -- the book of jobs ----------------------------------------------------------------------------------------------
    def _change(self, job_id: int, **changes: Any) -> None:
        self._states[job_id] = replace(self._states[job_id], **changes)

    def _end(self, job_id: int, **changes: Any) -> None:
        if self._states[job_id].ended is None:
            self._change(job_id, ended=self._clock_ns() // MS, eta_s=None, **changes)
            state = self._states[job_id]
            logger.info("{} job {} {}", state.kind, job_id, state.state)

    def _forget_oldest(self) -> None:
        for job_id in [state.id for state in self._states.values() if state.ended is not None]:
            if len(self._states) <= HISTORY:
                return
            del self._states[job_id]


def _release(worker: _Worker) -> None:
    worker.pipe.close()
    worker.task.close()
    worker.process.close()


def _last_words(exitcode: int | None) -> str:
    how = f"signal {-exitcode}" if exitcode is not None and exitcode < 0 else f"code {exitcode}"
    return f"the worker process ended by itself ({how}); it may have run out of memory"


@contextmanager
def _handed_down(variables: dict[str, str]) -> Iterator[None]:
    """What a child gets from its birth on: variables, which numeric libraries read when loaded, and no ear for Ctrl-C."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    resource_tracker.ensure_running()  # its own start would lift the block again
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # of this thread only, and of what it starts
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _hand_over(task: Connection, payload: bytes) -> None:
    try:
        task.send_bytes(payload)
    except OSError:
        return  # the worker ended before it took its task: poll() sees that and tells why
    except BaseException:
        task.close()  # the worker hears that nothing will come, and poll() tells that it has ended
        raise


# -- inside the worker process ---------------------------------------------------------------------------------------
def _work(inbox: Connection, pipe: Connection) -> None:
    """Bounds first, then ``function(progress, *args)``, then one last message with its result or error."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))  # whatever class the program runs in
    os.nice(NICENESS)
    logs.start_child()
    payload = inbox.recv_bytes()
    threading.Thread(target=_end_with_owner, args=(inbox,), name="job owner watch", daemon=True).start()

    def progress(fraction: float, step: str) -> None:
        pipe.send(("progress", min(1.0, max(0.0, float(fraction))), str(step)[:MAX_STEP]))

    try:
        function, args = pickle.loads(payload)
        result = pickle.dumps(("done", function(progress, *args)))
        if len(result) > MAX_RESULT:
            raise JobError(f"the result has {len(result)} bytes, more than {MAX_RESULT}")
    except Exception as error:  # noqa: BLE001 - the supervising place of this process: every error is told to the owner
        pipe.send(("failed", _one_line(error), traceback.format_exc()))
        return
    pipe.send_bytes(result)


def _end_with_owner(inbox: Connection) -> None:
    """An owner that was killed cannot end its workers: the closed pipe does."""
    try:
        inbox.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())[:MAX_ERROR]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
