"""Each part of the running program is ended in turn: /health says what, the page is told, and it mends itself or the process ends."""

from __future__ import annotations

import ast
import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import uvicorn
from fastapi import FastAPI
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from dope.api import mount, server_options
from dope.board import Board
from dope.runtime import Runtime
from dope.settings import Settings
from dope.types import Fetch
from dope.watch import PARTS, part_of
from tests.program import ROOT, Program, line_of, nobody, surroundings, until


class House:
    """The engine and the web server in this process: their tasks can be ended by name, which no door of the product offers."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        given = {"source": "sim", "data_dir": folder / "data", "model_dir": folder / "models", "push_hz": 20.0, **changes}
        given.setdefault("self_test_s", 3600.0)
        self.settings = Settings(_env_file=None, **given)
        self.board, self.died = Board(), threading.Event()
        self.runtime = Runtime(self.settings, self.board, on_death=self.died.set)
        app = FastAPI()
        watch, clock = self.runtime.watch, self.runtime.clock
        mount(app, self.board, self.settings, alive=self.runtime.alive, clock_ns=clock.now, watch=watch)
        self.server = uvicorn.Server(uvicorn.Config(app, **{**server_options(self.settings), "port": 0}, log_level="critical"))
        self._thread = threading.Thread(target=self.server.run, name="web", daemon=True)
        self._thread.start()
        until(lambda: self.server.started, "the web server")
        self.port = self.server.servers[0].sockets[0].getsockname()[1]
        self.web = self.server.servers[0].get_loop()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60.0)
        self.runtime.start()
        until(lambda: self.board.read().seq, "a publication")

    def browser(self, path: str = "/ws/v1/live") -> ClientConnection:
        """A client of a stream."""
        own = f"127.0.0.1:{self.port}"
        return connect(f"ws://{own}{path}", origin=f"http://{own}", max_size=None, close_timeout=0.2)

    @property
    def engine(self) -> asyncio.AbstractEventLoop:
        loop = self.runtime._loop
        assert loop is not None
        return loop

    def close(self) -> None:
        self.client.close()
        self.server.should_exit = True
        self._thread.join()
        self.runtime.stop()

    def health(self) -> tuple[int, str]:
        answer = self.client.get("/health")
        return answer.status_code, str(answer.json()["reason"])

    def names(self, loop: asyncio.AbstractEventLoop) -> list[str]:
        return sorted(task.get_name() for task in asyncio.all_tasks(loop))

    def cancel(self, name: str, loop: asyncio.AbstractEventLoop | None = None) -> str:
        """End the first task of this name; its whole name."""
        where = loop or self.engine

        def find() -> asyncio.Task[Any] | None:
            tasks = sorted(asyncio.all_tasks(where), key=lambda task: task.get_name())
            return next((t for t in tasks if t.get_name() == name or t.get_name().startswith(name + " ")), None)

        task = until(find, f"a task named {name}")
        where.call_soon_threadsafe(task.cancel)
        return str(task.get_name())


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    patch = pytest.MonkeyPatch()
    patch.setattr("dope.watch.SHOWN_S", 2.0)
    running = House(tmp_path_factory.mktemp("house"))
    until(lambda: sum(venue["books_live"] for venue in running.board.read().data.get("venues", ())) == 12, "all books live")
    yield running
    assert not running.runtime.died
    running.close()
    patch.undo()


def mended(house: House, name: str, kill: Callable[[], object]) -> float:
    """Kill; /health is 503 and names the part, the page is told, then all is well again. Gives how long the first took, s."""
    until(lambda: house.health()[0] == 200, "all is well before")
    began = time.monotonic()
    kill()
    until(lambda: house.health()[0] == 503, f"/health after the end of {name}")
    seen = time.monotonic() - began
    seq = house.board.read().seq
    until(lambda: house.board.read().seq > seq + 1, "a publication after it")
    status, reason = house.health()
    assert status == 200 or name in reason, reason
    troubles = house.board.read().data["mode"]["troubles"]
    assert any(name in words for words in troubles) or house.health()[0] == 200, "the page is told"
    until(lambda: house.health()[0] == 200, f"recovery from the end of {name}")
    print(f"{name}: seen after {seen:.2f} s, well again after {time.monotonic() - began:.2f} s")
    return seen


#: part → where it is ended; a test is marked ``kills`` with the names of the parts that it ends
RESTARTED = (
    "runtime probe", "runtime sealing", "runtime self-test", "feed ticks", "feed health", "feed lists", "connection", "market listener",
)  # fmt: skip


@pytest.mark.kills(*RESTARTED)
@pytest.mark.parametrize("name", RESTARTED)
def test_a_part_that_ends_is_told_and_runs_again(house: House, name: str) -> None:
    whole: list[str] = []
    mended(house, "market process" if name == "market listener" else name, lambda: whole.append(house.cancel(name)))
    until(lambda: whole[0] in house.names(house.engine), f"{whole[0]} runs again")
    assert not house.runtime.died


@pytest.mark.kills("live broadcaster")
def test_the_broadcaster_runs_again_and_its_clients_go_on(house: House) -> None:
    with house.browser() as client:
        client.recv()
        mended(house, "live broadcaster", lambda: house.cancel("live broadcaster", house.web))
        assert '"type":"delta"' in str(client.recv())
        assert "live broadcaster" in house.names(house.web)


@pytest.mark.kills("relay broadcaster")
def test_the_broadcaster_of_relays_runs_again_and_its_clients_go_on(house: House) -> None:
    with house.browser("/ws/okx") as client:
        client.recv()
        mended(house, "relay broadcaster", lambda: house.cancel("relay broadcaster", house.web))
        assert '"type":"update"' in str(client.recv())
        assert "relay broadcaster" in house.names(house.web)


@pytest.mark.kills("feature broadcaster")
def test_the_broadcaster_of_features_runs_again_and_its_clients_go_on(house: House) -> None:
    with house.browser("/ws/features") as client:
        client.recv()
        mended(house, "feature broadcaster", lambda: house.cancel("feature broadcaster", house.web))
        assert '"type":"features"' in str(client.recv())
        assert "feature broadcaster" in house.names(house.web)


@pytest.mark.kills("live sender", "live listener")
@pytest.mark.parametrize("name", ["live sender", "live listener"])
def test_a_client_whose_half_ends_is_closed_and_another_one_is_served(house: House, name: str) -> None:
    with house.browser() as client:
        client.recv()
        house.cancel(name, house.web)
        with pytest.raises(ConnectionClosed):
            while True:
                client.recv(timeout=60)
    with house.browser() as client:
        assert '"type":"snapshot"' in str(client.recv()) and '"type":"delta"' in str(client.recv())


@pytest.mark.kills("dope-watchdog")
def test_the_watchdog_runs_again_and_watches(house: House) -> None:
    dog = house.runtime.watchdog
    knock = dog._knock

    def broken(*_: object) -> None:
        dog._knock = knock  # type: ignore[method-assign]
        raise RuntimeError("on purpose")

    mended(house, "dope-watchdog", lambda: setattr(dog, "_knock", broken))
    answered = dog._loops["runtime"].answered
    until(lambda: dog._loops["runtime"].answered > answered, "an answer to its probes")


@pytest.mark.kills("fetch")
def test_a_request_that_is_lost_is_answered_as_lost(house: House) -> None:
    session = house.runtime.session
    assert session is not None
    heard: list[Any] = []
    on_frames = session.feed._outbox._on_frames
    session.feed._outbox._on_frames = lambda frames: (heard.extend(frames), on_frames(frames))[1]
    desk = session.feed._desks["okx"]
    house.engine.call_soon_threadsafe(desk.fetcher.ask, Fetch(1, "lost", "http://127.0.0.1:1/", delay_s=3600.0))
    mended(house, "fetch", lambda: house.cancel("fetch okx lost"))
    session.feed._outbox._on_frames = on_frames
    assert any(b"lost" in frame.data and b"the request was lost here" in frame.data for frame in heard)


@pytest.mark.kills("tape-writer")
def test_the_recorder_goes_on_with_what_waited(house: House) -> None:
    session = house.runtime.session
    assert session is not None and session.journal is not None
    writer, step = session.journal._writer, session.journal._writer.step

    def broken(share: float = 1.0) -> int:
        writer.step = step  # type: ignore[method-assign]
        raise RuntimeError("on purpose")

    before = session.journal.status()["frames"]
    mended(house, "tape-writer", lambda: setattr(writer, "step", broken))
    status = until(lambda: (now := session.journal.status())["frames"] > before + 100 and now, "further frames on the tape")
    assert status["on"] and status["lost"] == 0


@pytest.mark.kills("market process")
def test_the_process_of_the_market_is_started_anew(house: House) -> None:
    def world() -> psutil.Process | None:
        for child in psutil.Process().children():
            if "dope.sim" in line_of(child):
                return child
        return None

    first = until(world, "the process of the market")
    house.runtime._sources._mended_at = 0  # another test ended its listener within the same minute
    mended(house, "market process", first.kill)
    until(lambda: (now := world()) is not None and now.pid != first.pid, "another process")
    until(lambda: sum(venue["books_live"] for venue in house.board.read().data["venues"]) == 12, "all books live again")


@pytest.mark.kills("runtime loop")
def test_an_engine_that_stands_still_is_told_and_goes_on(house: House) -> None:
    house.engine.call_soon_threadsafe(time.sleep, 2.5)
    until(lambda: house.health()[0] == 503, "/health while it stands still")
    until(lambda: house.health()[0] == 200, "it turns again")
    metrics = house.client.get("/metrics").text
    line = next(line for line in metrics.splitlines() if line.startswith('dope_loop_stalls_total{loop="runtime"}'))
    assert float(line.split()[-1]) >= 1
    assert 'dope_loop_lag_p999_seconds{loop="web"}' in metrics and 'dope_parts_ended_total{part="feed ticks"}' in metrics


def test_everything_that_runs_is_in_the_book_of_parts(house: House) -> None:
    with house.browser() as client, house.browser("/ws/okx") as relayed:
        client.recv(), relayed.recv()
        tasks = house.names(house.engine) + [name for name in house.names(house.web) if not name.startswith(("Task-", "starlette", "web"))]
        threads = [thread.name for thread in threading.enumerate()]
    ours = [name for name in threads if name.startswith(("dope", "tape", "job", "live", "feed"))]
    assert len(tasks) >= 15 and len(ours) >= 3, (tasks, threads)
    assert not [name for name in (*tasks, *ours) if part_of(name) is None and not name.startswith("Task-")]
    assert not [name for name in tasks if name.startswith("Task-") and name in house.names(house.engine)], house.names(house.engine)


# -- what nothing can mend -------------------------------------------------------------------------------------------
@pytest.mark.kills("runtime main", "dope-runtime", "feed", "feed failure", "feed stop", "keeper")  # the thread ends with its main task
@pytest.mark.parametrize("name", ["runtime main", "feed", "feed failure", "feed stop", "keeper feed ticks", "keeper runtime probe"])
def test_the_end_of_what_holds_the_rest_is_the_end_of_the_engine_and_is_seen(tmp_path: Path, name: str) -> None:
    taken, endpoints = nobody()
    house = House(tmp_path, source="live", endpoints=endpoints, record=False)
    try:
        house.cancel(name)
        assert house.died.wait(60)
        until(lambda: house.health()[0] == 503, "/health")
        assert house.board.read().data["mode"]["stopped"] is True
        assert house.runtime.died
    finally:
        house.close()
        taken.close()


def test_what_ends_again_and_again_ends_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dope.watch.FIRST_PAUSE_S", 0.01)
    taken, endpoints = nobody()
    house = House(tmp_path, source="live", endpoints=endpoints, record=False)
    try:
        while not house.died.wait(0.1):  # a connection that waits out its back-off
            house.cancel("connection")
        assert house.board.read().data["mode"]["stopped"] is True
    finally:
        house.close()
        taken.close()


STUCK = """
import asyncio, sys, time
import app, dope.watchdog
dope.watchdog.END_S = 1.5
start = app._Server.startup
async def startup(self, sockets=None):
    await start(self, sockets)
    asyncio.get_running_loop().call_later(1.0, time.sleep, 600)
app._Server.startup = startup
app.run(["serve", "--source", "live", "--port", "0"])
"""


@pytest.mark.full
@pytest.mark.kills("web loop")
def test_a_web_server_that_stands_still_ends_the_process_with_code_70(tmp_path: Path) -> None:
    taken, endpoints = nobody()
    environment = surroundings(tmp_path, endpoints=endpoints, record=False)
    ended = subprocess.run([sys.executable, "-c", STUCK], env={**environment, "PYTHONPATH": str(ROOT)}, cwd=tmp_path, capture_output=True,
                           text=True, timeout=240, check=False)  # fmt: skip
    taken.close()
    assert ended.returncode == 70, ended.stderr
    assert "the web loop has not turned for 1 s; threads:" in ended.stderr and "given up" in ended.stderr


@pytest.mark.full
def test_after_a_pause_of_the_whole_process_every_book_is_stale_until_it_is_proved_again(tmp_path: Path) -> None:
    with Program(tmp_path, "--source", "sim") as program:
        program.wait_ready()
        program.process.send_signal(signal.SIGSTOP)
        time.sleep(20.0)
        program.process.send_signal(signal.SIGCONT)
        awake = time.time() * 1000
        until(lambda: "stale" in " ".join(event["text"] for event in program.live()["events"]), "stale books")

        def proved() -> bool:  # anew: a book that had stayed live through the pause would have been so since before
            now = program.live()["instruments"]
            return bool(now) and all(row["state"] == "LIVE" and row["since"] >= awake - 100 for row in now)

        until(proved, "every book live again, none through the pause")
        rows = until(lambda: (now := program.live()["venues"]) and all(row["state"] == "live" for row in now) and now, "connections")
        assert all(row["books_live"] == row["books_total"] for row in rows)
        until(lambda: program.get("/health").status_code == 200, "all is well")


#: what no test ends, and why
NOT_ENDED = {
    "dope-announcer": "prints one line and ends; nothing depends on it",
    "job owner watch": "in the worker, which has no door; tests/test_jobs.py ends its owner",
    "replay marks": "in the replay's process, which has no door; reads once, and what was played is marked without it",
    "connector": "of dope.integration, in the loop of another program; its status says so",
    "trial work": "of app.py sim, which runs alone and ends with it",
    "dope-undertaker": "sleeps until the engine has died; tests/app/test_ending.py sees what it does then",
}


def killed() -> set[str]:
    """The parts that tests say they end, by their mark ``kills``."""
    marks: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.kills":
                names = RESTARTED if any(isinstance(arg, ast.Starred) for arg in node.args) else [ast.literal_eval(a) for a in node.args]
                marks.update(names)
    return marks


def test_every_part_of_the_program_is_ended_by_some_test() -> None:
    """A new part needs a line in PARTS, and then a test that ends it."""
    assert killed() | set(NOT_ENDED) == {part.name for part in PARTS} and not killed() & set(NOT_ENDED)
