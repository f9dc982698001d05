"""The rules of the house that one file can break, as functions over source code: each takes a module and gives back complaints."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: room → floor; imports go strictly down. ``errors`` lies below everything: whoever refuses something needs it.
FLOORS = {
    "errors": -1.0,
    "types": 0, "format": 0, "tables": 0, "quantiles": 0, "settings": 0.2, "symbols": 0.2,
    "venues": 0.5, "market": 0.5,
    "detectors": 1, "model": 1,
    "engine": 2, "rows": 2, "backtest": 2,
    "logs": 2.5, "watch": 2.5,
    "feed": 3, "tape": 3, "board": 3, "store": 3, "shelf": 3, "sim": 3, "jobs": 3,
    "runtime": 4, "scale": 4,
    "integration": 4.5,
    "dashboard": 5, "api": 5,
    "app": 6,
}  # fmt: skip
#: rooms that fill several files without a folder of their own
RUNTIME = ("session", "history", "sources", "commands", "training", "picture", "replay", "care", "sealing", "workers", "worlds",
           "engines", "recordings", "reel", "player", "projector", "replays", "tail", "storage", "watching", "instruments",
           "matrices", "relay", "muting", "trial", "scene", "audit", "promises", "promise", "growth", "readings",
           "findings", "crowded", "queries", "kept", "sealer", "shown", "slices", "standing")  # fmt: skip
ROOM_OF = {**dict.fromkeys(RUNTIME, "runtime"), "fast_lane": "engine", "watchdog": "watch", "heap": "watch", "__init__": "errors"}
#: the screens read the board and show it: of what lies below they may know only this
SCREENS = ("dashboard", "api")
SCREENS_MAY = ("board", "types", "symbols", "tables", "format", "settings", "errors", "watch")

PURE_UP_TO = 2
IMPURE = frozenset({"asyncio", "threading", "socket", "time", "os", "random", "logging", "loguru", "dash", "subprocess", "secrets", "uuid"})
ASKS_TIME = frozenset({"now", "utcnow", "today"})

VENUE_NAMES = re.compile(
    r"binance|okx|okex|kraken|coinbase|bybit|kucoin|gate\.?io|\bhtx|huobi|mexc|bitfinex|gemini|hyperliquid|bitget", re.IGNORECASE
)
MAY_NAME_VENUES = ("dope/venues/", "dope/sim/", "dope/settings.py")

VAGUE = frozenset({"util", "utils", "helper", "helpers", "manager", "managers", "common", "misc"})

HARD = {"lines of file": 500, "lines of function": 80, "parameters": 10}
SOFT = {"lines of file": 300, "lines of function": 40, "parameters": 6}

#: where what the tests must be able to drive is taken from the machine itself: path (or folder) → (what, why)
SEAMS: dict[str, tuple[frozenset[str], str]] = {
    "dope/tape/": (frozenset({"file"}), "the room of files"),
    "dope/care/": (frozenset({"file"}), "looks after files"),
    "dope/shelf.py": (frozenset({"file"}), "model files"),
    "dope/store/": (frozenset({"clock"}), "how long a question may take; the time of the recording is handed in"),
    "dope/tape/importing.py": (frozenset({"clock"}), "stamps the day of the import"),
    "dope/api/clients.py": (frozenset({"clock"}), "rate limit per client; decides nothing about the market"),
    "dope/api/live.py": (frozenset({"clock"}), "measures its own work; decides nothing about the market"),
    "dope/sim/__main__.py": (frozenset({"clock"}), "the process of the sample market starts now"),
    "dope/runtime.py": (frozenset({"clock"}), "watches its own thread and schedules trainings; the market's time comes with the frames"),
    "app.py": (frozenset({"clock"}), "waits for the web server to listen, and before it ends"),
    "dope/market/compiled.py": (frozenset({"file"}), "machine code is used again only while all its sources are the same"),
    "dope/session.py": (frozenset({"chance"}), "two machines must not reconnect in step"),
    "dope/integration/connector.py": (frozenset({"chance"}), "likewise"),
}
#: the only places that may catch everything, each once: a loop or process whose end must be told
SUPERVISORS = ("dope/runtime.py", "dope/jobs.py", "dope/watch.py")


@dataclass(frozen=True)
class Module:
    """One source file: ``path`` relative to the repository, with forward slashes. Parsed when a rule looks at it."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def name(self) -> str:
        """As it is imported: ``dope.feed.clock``; a folder's __init__ is the folder."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def room(self) -> str:
        return room(self.name)


Rule = Callable[[Module], Iterable[str]]


def modules(*folders: str) -> list[Module]:
    """All files below these folders (or these files), in a fixed order."""
    found = [path for folder in folders for path in ([ROOT / folder] if folder.endswith(".py") else sorted((ROOT / folder).rglob("*.py")))]
    return [Module(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in found if path.exists()]


def room(name: str) -> str:
    parts = name.split(".")
    first = parts[1] if parts[0] == "dope" and len(parts) > 1 else "__init__" if parts[0] == "dope" else parts[0]
    return ROOM_OF.get(first, first)


def imports(module: Module) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of all imports; ``from a import b`` gives ``a.b``, whether b is a module or a name in a."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.name.split(".") if module.path.endswith("__init__.py") else module.name.split(".")[:-1]
                base = ".".join([*package[: len(package) - node.level + 1], *([base] if base else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (node for node in ast.walk(module.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    """All parameters but self and cls."""
    args = function.args
    rest = [each for each in (args.vararg, args.kwarg) if each is not None]
    every = [*args.posonlyargs, *args.args, *args.kwonlyargs, *rest]
    return every[1:] if every and every[0].arg in ("self", "cls", "mcs") else every


def dotted(node: ast.expr) -> str:
    """``a.b.c`` of an attribute chain; whatever it hangs on that is no name becomes ``?``."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def calls(module: Module) -> Iterator[tuple[ast.Call, str]]:
    yield from ((node, dotted(node.func)) for node in ast.walk(module.tree) if isinstance(node, ast.Call))


# -- one module at a time --------------------------------------------------------------------------------------------
def floors(module: Module) -> Iterator[str]:
    """Imports go strictly down; only the files of one room import each other. Screens know only the board and words."""
    if module.room not in FLOORS:
        yield f"{module.path}: room {module.room!r} has no floor"
        return
    for line, name in imports(module):
        if name.split(".")[0] not in ("dope", "app", "tests", "bench"):
            continue
        other = room(name) if name.split(".")[0] != "dope" or room(name) in FLOORS else "errors"  # ``from dope import __version__``
        if other in ("tests", "bench"):
            yield f"{module.path}:{line}: imports {name}: the program does not know its checks"
        elif other != module.room and FLOORS[other] >= FLOORS[module.room]:
            yield f"{module.path}:{line}: {module.room} (floor {FLOORS[module.room]:g}) imports {name} (floor {FLOORS[other]:g})"
        elif module.room in SCREENS and other != module.room and other not in SCREENS_MAY:
            yield f"{module.path}:{line}: {module.room} imports {name}: screens read the board, nothing else"


def purity(module: Module) -> Iterator[str]:
    """Rooms that judge ask neither clock, chance, machine nor network."""
    if FLOORS.get(module.room, 9) > PURE_UP_TO:
        return
    for line, name in imports(module):
        if name.split(".")[0] in IMPURE:
            yield f"{module.path}:{line}: imports {name.split('.')[0]}"
    for call, name in calls(module):
        last = name.rsplit(".", 1)[-1]
        if "." in name and last in ASKS_TIME:
            yield f"{module.path}:{call.lineno}: calls {name}()"
        if (last == "default_rng" and not call.args and not call.keywords) or (".random." in name and last != "default_rng"):
            yield f"{module.path}:{call.lineno}: {name}() without a seed of ours"


def venue_names(module: Module) -> Iterator[str]:
    """Only the rooms of protocols, of their imitation and the defaults name a venue."""
    if module.path.startswith(MAY_NAME_VENUES):
        return
    for number, line in enumerate(module.text.splitlines(), 1):
        if found := VENUE_NAMES.search(line):
            yield f"{module.path}:{number}: names {found[0]}"


def names(module: Module) -> Iterator[str]:
    """A file is called by what it is."""
    stem = Path(module.path).stem
    if vague := VAGUE & set(stem.lower().split("_")):
        yield f"{module.path}: {min(vague)!r} says nothing"


def opening(module: Module) -> Iterator[str]:
    """A file opens with a sentence: what it is."""
    sentence = ast.get_docstring(module.tree) or ""
    if module.tree.body and "." not in sentence:
        yield f"{module.path}: does not say what it is"


def signatures(module: Module) -> Iterator[str]:
    """All signatures are typed; nothing is passed through unseen."""
    for function in functions(module):
        where = f"{module.path}:{function.lineno}: {function.name}"
        missing = [each.arg for each in parameters(function) if each.annotation is None]
        if missing or function.returns is None:
            yield f"{where} lacks types of {', '.join([*missing, *(['its result'] if function.returns is None else [])])}"
        if function.args.kwarg and function.args.kwarg.arg == "kwargs":
            yield f"{where} passes **kwargs through"


def blind_excepts(module: Module) -> Iterator[str]:
    """Nobody swallows what he does not know, but the loops whose end must be told (once each)."""
    found = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            blind = node.type is None or any(kind is not None and dotted(kind) in ("Exception", "BaseException") for kind in kinds)
            passes_on = any(isinstance(each, ast.Raise) and each.exc is None for each in node.body)
            if blind and not passes_on:
                found.append(f"{module.path}:{node.lineno}: catches everything")
    yield from found[1:] if module.path in SUPERVISORS else found


def seams(module: Module) -> Iterator[str]:
    """Clock, chance, files and sockets come in through constructors; whoever takes them himself is listed in SEAMS."""
    allowed = frozenset[str]().union(*(what for place, (what, _) in SEAMS.items() if covers(place, module.path)))
    yield from (f"{module.path}:{line}: {name}() takes the {what} itself" for line, what, name in takes(module) if what not in allowed)


def takes(module: Module) -> Iterator[tuple[int, str, str]]:
    """(line, "clock" | "chance" | "file" | "socket", call) of what a module takes from the machine by itself."""
    for call, name in calls(module):
        first, last = name.split(".")[0], name.rsplit(".", 1)[-1]
        if (first == "time" and "." in name and last != "strftime") or (first in ("datetime", "date") and last in ASKS_TIME):
            yield call.lineno, "clock", name
        elif first == "random" and "." in name and not (last == "Random" and call.args):
            yield call.lineno, "chance", name
        elif name in ("open", "os.open", "io.open") or (last == "open" and _has_mode(call)) or last in _WHOLE_FILE:
            yield call.lineno, "file", name
        elif name in ("asyncio.open_connection", "socket.socket", "socket.create_connection"):
            yield call.lineno, "socket", name


_WHOLE_FILE = frozenset({"read_text", "write_text", "read_bytes", "write_bytes"})


def _has_mode(call: ast.Call) -> bool:
    mode = call.args[0] if call.args else None
    return isinstance(mode, ast.Constant) and isinstance(mode.value, str) and re.fullmatch(r"[rwax][bt+]*", mode.value) is not None


def covers(place: str, path: str) -> bool:
    return path.startswith(place) if place.endswith("/") else path == place


def measures(module: Module) -> Iterator[tuple[str, str, int]]:
    """(where, what, how many) of everything that has a size."""
    yield module.path, "lines of file", len(module.text.splitlines())
    for function in functions(module):
        where = f"{module.path}:{function.lineno} {function.name}"
        yield where, "lines of function", (function.end_lineno or function.lineno) - function.lineno + 1
        yield where, "parameters", len(parameters(function))


def unsaid(module: Module) -> Iterator[str]:
    """What a derived class must say is an abstract method: one that raises NotImplementedError is missed only when it is called."""
    for function in functions(module):
        body = function.body[ast.get_docstring(function) is not None :]
        only = body[0] if len(body) == 1 else None
        raised = only.exc if isinstance(only, ast.Raise) else None
        if raised is not None and dotted(raised.func if isinstance(raised, ast.Call) else raised) == "NotImplementedError":
            yield f"{module.path}:{function.lineno}: {function.name} only raises NotImplementedError: mark it abc.abstractmethod"


def sizes(module: Module) -> Iterator[str]:
    """Nothing is so long that nobody reads it."""
    yield from (f"{where}: {many} {what}, at most {HARD[what]}" for where, what, many in measures(module) if many > HARD[what])


RULES: tuple[Rule, ...] = (floors, purity, venue_names, names, opening, signatures, blind_excepts, seams, unsaid, sizes)
