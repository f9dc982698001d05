"""Evil names through every place of the API, the streams and the page's own routes that takes one: no server error, no file.

The running program is asked, with an ear on every file that its process touches. The places come from the API's own
description and from what the door lets through, so that a new route is asked without being listed here.
"""

from __future__ import annotations

import http.client
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from dope.api.security import EXACT, PREFIXES
from tests.api.names import NAMES, Place, places
from tests.program import PATIENCE_S, ROOT, Program, until

UNHURRIED = {"reads_per_s": 1e6, "writes_per_s": 1e6, "costly_per_min": 1e6}
QUICK, FULL = 36, 4  #: every thirty-sixth (fourth) name at each place, other ones at the next place
#: where the program has something to look for; its script, which the processes that it starts read; figures of processes are in /proc
OWN = ("app.py", "tests/api/overheard.py", "dope", "assets")
ALLOWED = [sys.prefix, sys.base_prefix, *(str(ROOT / name) for name in OWN), "/usr/lib/python3"]
OF_PROCESSES = ("/proc/stat", "/proc/meminfo", "/proc/self/stat", "/proc/self/limits", "/proc/self/fd", "/dev/null")


class Overheard(Program):
    """The program with an ear on its files."""

    SCRIPT = ROOT / "tests" / "api" / "overheard.py"
    heard: ClassVar[Path]
    began = 0  #: bytes that were heard before the first question


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Overheard]:
    folder = tmp_path_factory.mktemp("names")
    Overheard.heard = folder / "heard"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVERHEARD", str(Overheard.heard))
        with Overheard(folder, "--source", "sim", **UNHURRIED) as running:
            running.wait_ready()
            running.began = running.heard.stat().st_size
            yield running


class Asker:
    """Sends requests as they are written, on one connection as long as the server keeps it."""

    def __init__(self, url: str) -> None:
        self._host = urlsplit(url).netloc
        self._url = url
        self._line = http.client.HTTPConnection(self._host, timeout=PATIENCE_S)

    def close(self) -> None:
        self._line.close()

    def ask(self, method: str, target: str, body: bytes | None, kind: str) -> int:
        """The status, 0 when the server hung up instead of reading on."""
        headers = {"Origin": self._url, "Content-Length": str(len(body or b""))} | ({"Content-Type": kind} if kind else {})
        try:
            self._line.putrequest(method, target, skip_accept_encoding=True)
            for name, value in headers.items():
                self._line.putheader(name, value)
            self._line.endheaders(body or None)
            answer = self._line.getresponse()
            answer.read()
            return answer.status
        except (ConnectionError, http.client.HTTPException):
            self._line.close()
            return 0


def everywhere(description: dict[str, object]) -> list[Place]:
    """The places of the API, and those behind the door that it does not describe."""
    beside = [Place("GET", prefix + tail, {}) for prefix in PREFIXES for tail in ("{}", "{}/x.js", "dash/{}")]
    beside += [Place(method, path, {"x": "{}"}) for path in sorted(EXACT) for method in ("GET", "POST") if path != "/_dash-ws-callback"]
    beside += [Place("POST", "/sign-in", {}, {"token": "x", "to": "/"}, (name,), form=True) for name in ("token", "to")]
    callback = {"output": "x.y", "outputs": {"id": "x", "property": "y"}, "inputs": [{"id": "a", "property": "b", "value": 1}],
                "changedPropIds": ["a.b"], "state": []}  # fmt: skip
    ways = [(), ("output",), ("outputs", "id"), ("outputs", "property"), ("inputs", 0, "id"), ("inputs",), ("changedPropIds", 0)]
    beside += [Place("POST", "/_dash-update-component", {}, callback, way) for way in ways]
    return [*places(description), Place("GET", "/{}", {}), *beside]


def test_the_corpus_and_the_places_are_as_many_as_they_should_be(program: Overheard) -> None:
    told = program.get("/openapi.json").json()
    known = everywhere(told)
    assert len(NAMES) >= 200 and len(known) > 130
    inputs = {(method.upper(), path) for path, methods in told["paths"].items() for method, op in methods.items()
              if op.get("parameters") or op.get("requestBody")}  # fmt: skip
    asked = {(place.method, place.path.split("/")[3] if place.path.startswith("/api/v1/") else "") for place in known}
    assert {(method, path.split("/")[3]) for method, path in inputs} <= asked


@pytest.mark.parametrize("every", [QUICK, pytest.param(FULL, marks=pytest.mark.full)])
def test_no_name_makes_an_error_or_opens_a_file(program: Overheard, every: int) -> None:
    asker, statuses = Asker(program.url), Counter[int]()
    errors = []
    for number, place in enumerate(everywhere(program.get("/openapi.json").json())):
        for name in NAMES[number % every :: every]:
            asked = place.request(name)
            status = asker.ask(*asked)
            if status == 503:  # on a slow machine the engine may count as silent
                until(lambda: program.get("/health").status_code == 200, "a living engine")
                status = asker.ask(*asked)
            statuses[status] += 1
            if status >= 500:
                errors.append((status, *asked[:2], place.spot, name[:80]))
    asker.close()
    assert not errors, (len(errors), errors[:40])
    assert {200, 404, 414, 422} <= set(statuses), "all kinds of answers came: the names did reach the inside"
    streams(program, every)
    nothing_was_touched(program)


def streams(program: Overheard, every: int) -> None:
    """The same names as the replay of a stream, and as what is said first."""
    base = program.url.replace("http", "ws")
    for name in NAMES[::every]:
        for path, said in ((Place("GET", "/ws/v1/replay/{}", {}).request(name)[1], ""), ("/ws/v1/live", name), *relayed(name)):
            try:
                with connect(base + path, origin=program.url, max_size=None, open_timeout=PATIENCE_S) as line:
                    line.recv()
                    line.send(said)
            except (WebSocketException, OSError, UnicodeError):
                continue
    until(lambda: program.get("/health").status_code == 200, "a living engine")


def relayed(name: str) -> list[tuple[str, str]]:
    """As a venue, as a symbol, and in both parameters."""
    return [(Place("GET", path, {}).request(name)[1], "") for path in ("/ws/{}", "/ws/ticker/{}")] + [
        (Place("GET", "/ws/okx", {parameter: "{}"}).request(name)[1], "") for parameter in ("symbol", "depth")
    ]


def nothing_was_touched(program: Overheard) -> None:
    folder = Path(program.heard).parent
    heard = program.heard.read_bytes()
    assert heard.count(b"\n", 0, program.began) > 1000, "the ear hears"
    events = [json.loads(line) for line in heard[program.began :].splitlines()]
    allowed = [Path(path) for path in (*ALLOWED, str(folder))]
    strange = {(event, name) for event, _, *names in events for name in names if not may_be_touched(event, name, allowed)}
    assert not strange, sorted(strange)[:40]
    ours = {name for _, _, *names in events for name in names if name.startswith(str(folder))}
    assert not {name for name in ours for part in NAMES if len(part) > 4 and part in name}


def test_what_the_page_itself_asks_is_answered(program: Overheard) -> None:
    """What is refused above is refused for its names: the page's own files and callback are there."""
    asker = Asker(program.url)
    script = program.get("/").text.partition('src="/_dash-component-suites/')[2].partition('"')[0]
    assert asker.ask("GET", f"/_dash-component-suites/{script}", None, "") == 200
    inputs = [{"id": "url", "property": "pathname", "value": "/backtest"}, {"id": "backtest-reload", "property": "n_clicks", "value": None}]
    parts = [{"id": "backtest-tape", "property": "children"}, {"id": "backtest-tapes-note", "property": "children"}]
    asked = {"output": "..backtest-tape.children...backtest-tapes-note.children..", "outputs": parts, "inputs": inputs, "state": [],
             "changedPropIds": ["url.pathname"]}  # fmt: skip
    for change, status in (({}, 200), ({"changedPropIds": []}, 200), ({"inputs": inputs[:1]}, 400), ({"outputs": parts[:1]}, 400),
                           ({"changedPropIds": ["x"]}, 400), ({"state": inputs}, 400), ({"output": "url.refresh"}, 400)):  # fmt: skip
        assert asker.ask("POST", "/_dash-update-component", json.dumps(asked | change).encode(), "application/json") == status, change
    asker.close()


def may_be_touched(event: str, name: str, allowed: list[Path]) -> bool:
    """Whether the program has business with that file, whatever it is asked."""
    if name in OF_PROCESSES or (name.startswith("/proc/") and name.split("/")[2].isdigit()):
        return True
    path = Path(name).resolve() if name.startswith("/") else None
    return path is not None and any(path.is_relative_to(folder) for folder in allowed)
