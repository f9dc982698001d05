"""The command line: serve (default), record, import, replay, backtest, sim, and the care of what is on disk: verify, repair, backup,
restore, bundle; "python app.py COMMAND --help" explains each."""

from __future__ import annotations

import asyncio
import atexit
import json
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
import uvicorn
from loguru import logger

from dope import __version__, logs
from dope.board import Board
from dope.care.commands import refuse_mixture, register, replay_bundle
from dope.errors import DopeError, FolderTaken, TapeError
from dope.replay import replay as replay_tapes
from dope.replay import summary
from dope.runtime import EXIT_ENGINE_DIED, Runtime
from dope.settings import Settings, load, unknown_variables
from dope.tape.files import refuse_second
from dope.tape.importing import import_lines, natives_of
from dope.tape.read import Tape
from dope.venues import chosen, make

EXIT_TAKEN = 75  #: another process records into the folder: EX_TEMPFAIL, trying later may help
BEGIN_LOOK_S = 0.05  #: s between two looks whether a recording has begun
DEATH_GRACE_S = 5.0  #: s that a dead engine is shown on the page before the process ends with code 70

app = typer.Typer(add_completion=False, help=__doc__, pretty_exceptions_enable=False, rich_markup_mode=None)
Tapes = Annotated[list[Path], typer.Argument(help="recordings (.dope), several are merged by time; or one bundle (.zip)")]


def _settings(log_file: str = "", **given: Any) -> Settings:
    """Settings with the options that were really given on the command line on top. Begins to log; a ``log_file`` is in ``data/logs/``."""
    settings = load({name: value for name, value in given.items() if value is not None})
    file = settings.data_dir / "logs" / log_file if log_file else None
    atexit.register(logs.start(settings.log_level, secrets=settings.secrets, as_json=settings.log_json, file=file))
    chosen(settings.venues)  # an unknown one is told before anything runs
    for name in unknown_variables(os.environ):
        logger.warning("environment variable {} sets nothing: misspelt?", name)
    return settings


@app.command()
def serve(
    source: Annotated[str | None, typer.Option(help="auto, live or sim")] = None,
    tape: Annotated[list[Path] | None, typer.Option(help="play these recordings over loopback instead of a market")] = None,
    speed: Annotated[float | None, typer.Option(help="speed of the simulated market or of the tape")] = None,
    host: Annotated[str | None, typer.Option(help="address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="port; 0 = any free one")] = None,
    seed: Annotated[int | None, typer.Option(help="seed of the simulated market")] = None,
    scenario: Annotated[str | None, typer.Option(help="what the simulated market plays; README lists it")] = None,
    record: Annotated[bool | None, typer.Option(help="record everything that reaches the engine")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="folder of tapes")] = None,
    model_dir: Annotated[Path | None, typer.Option(help="folder of models")] = None,
) -> None:
    """Open the dashboard, the API and the streams on one port."""
    settings = _settings(
        "dope.log", source=source, sim_rate=speed, host=host, port=port, sim_seed=seed, sim_scenario=scenario,
        record=record, data_dir=data_dir, model_dir=model_dir,
    )  # fmt: skip
    raise typer.Exit(_serve(settings, _readable(tape or ())))


def _readable(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The same paths, if all of them are tapes with something on them. Raises TapeError for the first that is not."""
    for path in paths:
        if not Tape(path, tolerant=True).count:
            raise TapeError(f"{path}: nothing is recorded on this tape")
    return tuple(paths)


def _serve(settings: Settings, tapes: tuple[Path, ...]) -> int:
    from dope.api import mount, server_options
    from dope.dashboard import pages
    from dope.dashboard.app import build, policy

    if not tapes:
        _refuse_second(settings)
    listener = _listen(settings)
    settings = settings.model_copy(update={"port": listener.getsockname()[1]})
    board = Board()
    dead = threading.Event()
    runtime = Runtime(settings, board, tapes=tapes, on_death=dead.set)
    dash = build(board, settings)
    paths = [page.PATH for page in pages()]
    mount(
        dash.server, board, settings, alive=runtime.alive, clock_ns=runtime.clock.now, pages=paths, page_policy=policy(dash),
        watch=runtime.watch,
    )  # fmt: skip
    server = _Server(uvicorn.Config(dash.server, log_level="warning", **server_options(settings)), runtime)
    for number in (signal.SIGTERM, signal.SIGINT):  # for the moments in which uvicorn does not listen to them itself
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    threading.Thread(target=_announce, args=(server, settings), name="dope-announcer", daemon=True).start()
    threading.Thread(target=_end_when_dead, args=(server, dead), name="dope-undertaker", daemon=True).start()
    runtime.start()
    try:
        server.run(sockets=[listener])
    finally:
        runtime.stop()
    logger.info("stopped")
    return EXIT_ENGINE_DIED if runtime.died else 0


def _refuse_second(settings: Settings) -> None:
    """One program per folder. Raises FolderTaken, which names the other one, before a socket or a market is opened."""
    if settings.record:
        for source in ("live", "sim") if settings.source == "auto" else (settings.source,):
            refuse_second(settings.data_dir / source)


class _Server(uvicorn.Server):
    """The web server, its loop watched like the engine's: a page that nobody serves is ended for whoever restarts us."""

    def __init__(self, config: uvicorn.Config, runtime: Runtime) -> None:
        super().__init__(config)
        self._runtime = runtime

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As it starts, it is attended to."""
        self._runtime.watchdog.attend("web", asyncio.get_running_loop())
        self._runtime.watchdog.arm("web", self._give_up)
        await super().startup(sockets)

    def _give_up(self) -> None:
        """From the watchdog's thread: this loop will not hear of any wish to end."""
        self._runtime.stop()
        os._exit(EXIT_ENGINE_DIED)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=256)
    except OSError as error:
        why = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise DopeError(f"cannot listen on {settings.host}:{settings.port}: {why}; choose another with --port") from error


def _announce(server: uvicorn.Server, settings: Settings) -> None:
    while not server.started:
        if server.should_exit:
            return
        time.sleep(0.05)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    print(f"DOPE {__version__} is at http://{host}:{settings.port}/", flush=True)


def _end_when_dead(server: uvicorn.Server, dead: threading.Event) -> None:
    dead.wait()
    time.sleep(DEATH_GRACE_S)
    server.should_exit = True


@app.command()
def record(
    source: Annotated[str | None, typer.Option(help="auto, live or sim")] = None,
    seconds: Annotated[float, typer.Option(help="how long; 0 = until interrupted")] = 0.0,
    data_dir: Annotated[Path | None, typer.Option(help="folder of tapes")] = None,
    seed: Annotated[int | None, typer.Option(help="seed of the simulated market")] = None,
) -> None:
    """Record without a dashboard."""
    settings = _settings("record.log", source=source, data_dir=data_dir, sim_seed=seed, record=True)
    _refuse_second(settings)
    over = threading.Event()
    runtime = Runtime(settings, Board(), on_death=over.set)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    runtime.start()
    while runtime.session is None and not over.wait(BEGIN_LOOK_S):
        pass  # the time that was asked for is that of the recording: choosing a market may take long
    over.wait(seconds or None)
    session = runtime.session
    runtime.stop()
    if session is not None and session.recording_trouble:
        raise DopeError(f"nothing was recorded: {session.recording_trouble}")
    print(json.dumps({"tapes": [str(path) for path in session.tape_paths()] if session is not None else []}))
    raise typer.Exit(EXIT_ENGINE_DIED if runtime.died else 0)


@app.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(help="NAME.jsonl.gz (with .recv_ns.gz, .side.tsv.gz beside it) or lines of `<ns> <json>`")],
    venue: Annotated[str, typer.Option(help="whose messages these are")],
    out: Annotated[Path, typer.Option(help="the tape to write")],
) -> None:
    """Turn foreign recordings into a tape."""
    settings = _settings()
    machine = make(venue, settings.symbols)
    report = import_lines(files, machine, out, natives=natives_of(files, machine))
    print(json.dumps(msgspec.to_builtins(report)))


@app.command()
def replay(
    tapes: Tapes,
    json_: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    speed: Annotated[float, typer.Option(help="recorded seconds per second, 0.1 or more; inf = as fast as it goes")] = math.inf,
) -> None:
    """Step a fresh engine over recordings and say what was seen."""
    settings = _settings()
    if refuse_mixture(tapes):
        found = asyncio.run(replay_bundle(tapes[0], speed))
    else:
        found = summary(*asyncio.run(replay_tapes(tapes, settings, speed)))
    _print_summary(found, json_)


def _print_summary(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(found))
        return
    for key, row in found["instruments"].items():
        counts = " ".join(f"{name} {row[name]}" for name in ("book_updates", "gaps", "faults", "crossed"))
        print(f"{key:36} {row['state']:8} bid {row['bid']} ask {row['ask']}  {counts}  live {row['live_seconds']:.1f} s")
    print(f"{found['frames']} frames · opportunities {found['opportunities']} · digest {found['digest']}")
    if "as_bundled" in found:
        print("the digest is the one it was bundled with" if found["as_bundled"] else "NOT the digest that it was bundled with")


@app.command()
def backtest(
    tapes: Tapes,
    latency_ms: Annotated[float, typer.Option(help="order latency of every venue, ms")] = 100.0,
    order_size: Annotated[float | None, typer.Option(help="largest order, quote currency")] = None,
) -> None:
    """Execute every opportunity of recordings, naively and honestly, and print both as JSON."""
    from dope.workers import backtest_worker

    settings = _settings(order_size=order_size)
    paths = [str(path) for path in _readable(tapes)]
    done = backtest_worker(lambda *_: None, paths, {"latency_ms": latency_ms}, settings.model_dump(mode="json"))
    print(json.dumps(done))


@app.command()
def sim(
    seed: Annotated[int, typer.Option(help="seed of the market")] = 7,
    seconds: Annotated[float, typer.Option(min=1.0, max=86_400.0, help="s to be played, from when every book is live")] = 60.0,
    venues: Annotated[str, typer.Option(help="venue ids, comma-separated; all = every one with order books")] = "all",
    scenario: Annotated[str, typer.Option(help="what the market and its venues do: calm, busy, burst, flash-crash, de-peg …")] = "usual",
    faults: Annotated[str, typer.Option(help="kind@venue:symbol:at:duration or jump@BTC:at, comma-separated, or a JSON list")] = "",
    real_time: Annotated[bool, typer.Option(help="as time goes by, instead of standing still until everybody was heard")] = False,
    json_: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Try the whole program on a market of which everything is known: what is planted must be found, and nothing else.

    The venues speak over loopback. An opportunity is due when the published books held it, after fees and in whole lots, for
    50 ms or longer in which nothing was wrong with both venues and neither was silent; found when one of the same two markets was told
    within 20 ms of it; false when the published books held none; off when its size, net or lifetime differs by more than a lot, a tick
    or 20 ms. Told apart: as unsure what nobody can know, such as who leads after a short while; as stale what a silent venue
    excuses; as late, in real time, what our own loop was too late for. Exit code 1 when anything was missed, false or off.
    """
    from dope.trial.faults import parse
    from dope.trial.report import run as try_out
    from dope.trial.report import table
    from dope.trial.stage import Case

    settings = _settings(log_level="WARNING")
    found = try_out(Case(seed, seconds, chosen(venues.split(",")), parse(faults), scenario), settings, stepped=not real_time)
    print(json.dumps(found) if json_ else table(found))
    raise typer.Exit(0 if found["ok"] else 1)


register(app, _settings)


def run(args: list[str]) -> None:
    """Entry point: without a command serve; our own errors are one line, not a traceback."""
    if not args or (args[0].startswith("-") and args[0] != "--help"):
        args = ["serve", *args]
    try:
        app(args)
    except FolderTaken as error:
        print(f"dope: {error}; choose another folder with --data-dir, or only watch: serve --no-record", file=sys.stderr)
        sys.exit(EXIT_TAKEN)
    except DopeError as error:
        print(f"dope: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    run(sys.argv[1:])
