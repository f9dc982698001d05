"""The house stands as planned: floors, purity, names, seams and sizes, checked on the source itself.

Each rule is also shown a line of bad code, so that it is known to be able to fail.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from textwrap import dedent

import pytest

from dope.sim.venue import module as server_of
from dope.venues import ARCHIVED, SENTINELS, VENUES
from tests import house_graph
from tests import house_rules as house
from tests.house_rules import Module, Rule

PROGRAM = house.modules("dope", "app.py")
TESTS = house.modules("tests")
BENCH = house.modules("bench")


@pytest.mark.parametrize("rule", house.RULES, ids=lambda rule: rule.__name__)
def test_the_program_keeps_the_rule(rule: Rule) -> None:
    complaints = [complaint for module in PROGRAM for complaint in rule(module)]
    assert not complaints, f"{rule.__doc__}\n" + "\n".join(complaints)


@pytest.mark.parametrize("rule", [house.names, house.opening, house.sizes], ids=lambda rule: rule.__name__)
def test_checks_and_benchmarks_keep_the_rules_that_concern_them(rule: Rule) -> None:
    complaints = [complaint for module in [*TESTS, *BENCH] if module.text.strip() for complaint in rule(module)]
    assert not complaints, f"{rule.__doc__}\n" + "\n".join(complaints)


def test_no_module_imports_itself_through_others() -> None:
    assert not house_graph.cycles(PROGRAM)


def test_every_class_says_what_those_above_it_leave_to_it() -> None:
    missing = house_graph.unanswered(PROGRAM)
    assert not missing, "\n".join(missing)


def test_every_venue_and_every_simulated_one_can_be_made() -> None:
    """Also those from which others derive."""
    servers = [server_of(venue.ID).Server for venue in VENUES]
    made = [*VENUES, *ARCHIVED, *SENTINELS, *(getattr(server, "func", server) for server in servers)]  # some are one class for two venues
    left = {f"{each.__module__}.{each.__name__}": sorted(getattr(each, "__abstractmethods__", ())) for each in made}
    assert len(left) > 2 * len(VENUES) and not any(left.values()), left


def test_every_module_is_imported_by_a_test() -> None:
    missing = house_graph.untested(PROGRAM, TESTS)
    assert not missing, "no test imports these, not even through their room:\n" + "\n".join(missing)


def test_every_exception_from_the_seams_is_still_needed() -> None:
    taken = [(module.path, what) for module in PROGRAM for _, what, _ in house.takes(module)]
    needed = {place for place, (whats, _) in house.SEAMS.items() for path, what in taken if house.covers(place, path) and what in whats}
    left = {place for place in house.SEAMS if (house.ROOT / place).exists()} - needed
    assert not left, f"take these out of SEAMS: {sorted(left)}"
    assert len(house.SEAMS) <= 13, "seams are few, or they are none"


def test_everything_imported_is_pinned_in_the_requirements() -> None:
    text = (house.ROOT / "requirements.txt").read_text(encoding="utf-8")
    pinned = {re.split(r"[\[=]", line)[0].replace("-", "_") for line in text.splitlines() if "==" in line}
    called = {"sklearn": "scikit_learn", "pydantic": "pydantic_settings", "starlette": "fastapi", "llvmlite": "numba"}
    foreign = {name.split(".")[0] for module in PROGRAM for _, name in house.imports(module)} - {"dope", "app", *sys.stdlib_module_names}
    assert {called.get(name, name) for name in foreign} <= pinned


def test_what_is_long_is_printed_to_be_read() -> None:
    """A report, not a verdict: ``pytest tests/test_house.py -k printed -s`` shows it."""
    long = [entry for module in PROGRAM for entry in house.measures(module) if entry[2] > house.SOFT[entry[1]]]
    for where, what, many in sorted(long, key=lambda entry: (entry[1], -entry[2])):
        print(f"{many:4} {what:18} {where}")
    for path in sorted({module.name for module in PROGRAM} - house_graph.directly_tested(PROGRAM, TESTS)):
        print(f"     tested through others {path}")
    for place, (whats, why) in house.SEAMS.items():
        print(f"     seam {'+'.join(sorted(whats))}: {place}, {why}")
    assert all(many <= house.HARD[what] for _, what, many in long)


# -- each rule can fail ----------------------------------------------------------------------------------------------
LONG_FUNCTION = "def f() -> None:\n" + "    print()\n" * 81
MANY = ", ".join(f"a{i}: int" for i in range(11))


@pytest.mark.parametrize(
    ("rule", "path", "code", "complaint"),
    [
        (house.floors, "dope/market/book.py", "from dope.engine import Engine", "market (floor 0.5) imports dope.engine.Engine (floor 2)"),
        (house.floors, "dope/market/book.py", "import dope.venues.base", "imports dope.venues.base (floor 0.5)"),
        (house.floors, "dope/tape/read.py", "def f() -> None:\n    from dope.sim import world", "imports dope.sim.world (floor 3)"),
        (house.floors, "dope/feed/a.py", "from ..tape import read", "imports dope.tape.read"),
        (house.floors, "dope/dashboard/app.py", "from dope.engine import Engine", "screens read the board"),
        (house.floors, "dope/dashboard/app.py", "from dope.api import serve", "dashboard (floor 5) imports dope.api.serve (floor 5)"),
        (house.floors, "dope/types.py", "from dope import settings", "types (floor 0) imports dope.settings"),
        (house.floors, "dope/runtime.py", "import app", "imports app"),
        (house.floors, "dope/runtime.py", "from tests.frames import data", "does not know its checks"),
        (house.floors, "dope/attic.py", "", "has no floor"),
        (house.purity, "dope/engine.py", "import time", "imports time"),
        (house.purity, "dope/model/table.py", "from os.path import join", "imports os"),
        (house.purity, "dope/detectors/a.py", "def f(c: Clock) -> int:\n    return c.now()", "calls c.now()"),
        (house.purity, "dope/model/a.py", "import numpy as np\nx = np.random.rand(3)", "without a seed"),
        (house.purity, "dope/model/a.py", "import numpy as np\nx = np.random.default_rng()", "without a seed"),
        (house.venue_names, "dope/engine.py", 'if venue == "binance_spot": pass', "names binance"),
        (house.venue_names, "app.py", "# as OKX does", "names OKX"),
        (house.names, "dope/feed/socket_utils.py", "", "'utils' says nothing"),
        (house.names, "dope/managers.py", "", "'managers' says nothing"),
        (house.opening, "dope/a.py", "import math", "does not say what it is"),
        (house.signatures, "dope/a.py", "def f(a, *, b: int): ...", "f lacks types of a, its result"),
        (house.signatures, "dope/a.py", "async def f(**kwargs: int) -> None: ...", "passes **kwargs"),
        (house.blind_excepts, "dope/a.py", "try: f()\nexcept Exception: pass", "catches everything"),
        (house.blind_excepts, "dope/a.py", "try: f()\nexcept: pass", "catches everything"),
        (house.blind_excepts, "dope/a.py", "try: f()\nexcept (ValueError, BaseException) as e: raise X from e", "catches everything"),
        (house.blind_excepts, "dope/runtime.py", "try: f()\nexcept Exception: a()\ntry: f()\nexcept Exception: a()", ":4: catches"),
        (house.seams, "dope/feed/a.py", "import time\nx = time.time()", "time.time() takes the clock"),
        (house.seams, "dope/feed/a.py", "from datetime import datetime\nx = datetime.now(UTC)", "takes the clock"),
        (house.seams, "dope/feed/a.py", "import random\nx = random.uniform(0, 1)", "takes the chance"),
        (house.seams, "dope/feed/a.py", "import random\nx = random.Random()", "takes the chance"),
        (house.seams, "dope/feed/a.py", "x = open('f')", "takes the file"),
        (house.seams, "dope/feed/a.py", "x = path.open('rb')", "takes the file"),
        (house.seams, "dope/feed/a.py", "import asyncio\nx = asyncio.open_connection('h', 1)", "takes the socket"),
        (house.seams, "dope/tape/a.py", "import time\nx = time.monotonic()", "takes the clock"),
        (house.unsaid, "dope/a.py", "class A:\n    def f(self) -> int:\n        raise NotImplementedError", "f only raises"),
        (house.unsaid, "dope/a.py", "def f() -> int:\n    'Some.'\n    raise NotImplementedError('f')", "f only raises"),
        (house.sizes, "dope/a.py", "\n" * 501, "501 lines of file, at most 500"),
        (house.sizes, "dope/a.py", LONG_FUNCTION, "82 lines of function, at most 80"),
        (house.sizes, "dope/a.py", f"def f({MANY}) -> None: ...", "11 parameters, at most 10"),
    ],
)  # fmt: skip
def test_bad_code_is_complained_about(rule: Rule, path: str, code: str, complaint: str) -> None:
    complaints = list(rule(Module(path, code)))
    assert len(complaints) == 1 and complaint in complaints[0], complaints


@pytest.mark.parametrize(
    ("rule", "path", "code"),
    [
        (house.floors, "dope/engine.py", "from dope.market.market import Market\nfrom dope.types import Frame\nimport msgspec"),
        (house.floors, "dope/dashboard/app.py", "from dope.board import Board\nfrom dope.dashboard import shell"),
        (house.purity, "dope/feed/a.py", "import time"),
        (house.purity, "dope/model/a.py", "import numpy as np\nx = np.random.default_rng(7)"),
        (house.venue_names, "dope/venues/a.py", "# Binance"),
        (house.blind_excepts, "dope/a.py", "try: f()\nexcept BaseException:\n    close()\n    raise"),
        (house.blind_excepts, "dope/a.py", "try: f()\nexcept ValueError: pass"),
        (house.seams, "dope/feed/a.py", "import time\ndef f(clock: Clock = time.monotonic) -> None: clock()"),
        (house.seams, "dope/sim/a.py", "import random\nx = random.Random(7)"),
        (house.seams, "dope/feed/a.py", "breaker.open()\nfeed.open('okx')"),
        (house.unsaid, "dope/a.py", "def f(x: int) -> int:\n    if x:\n        raise NotImplementedError\n    return x"),
    ],
)
def test_good_code_is_left_alone(rule: Rule, path: str, code: str) -> None:
    assert not list(rule(Module(path, code)))


def test_a_circle_of_three_is_found() -> None:
    ring = [
        Module("dope/feed/a.py", "from dope.feed.b import x"),
        Module("dope/feed/b.py", "import dope.feed.c"),
        Module("dope/feed/c.py", "def f() -> None:\n    from dope.feed import a"),
        Module("dope/feed/d.py", "import dope.feed.a"),
    ]
    assert [line.split()[0] for line in house_graph.cycles(ring)] == ["dope.feed.a", "dope.feed.b", "dope.feed.c"]


ABOVE = "class Above(ABC):\n    @abstractmethod\n    def line(self) -> str: ...\n    @abc.abstractmethod\n    def read(self) -> str: ...\n"
BETWEEN = "from dope.a import Above as Up\nclass Between(Up):\n    def line(self) -> str: return ''\n"


@pytest.mark.parametrize(
    ("last", "missing"),
    [
        ("class Last(Between): ...", ["dope.c.Last does not say read"]),
        ("class Last(Between):\n    read: str", ["dope.c.Last does not say read"]),
        ("class Last(Between):\n    def read(self) -> str: return ''", []),
        ("class Last(Between):\n    read = Between.line", []),
        ("class Other: ...\nclass Last(Other, Between): ...", ["dope.c.Last does not say read"]),
        ("from dope import hand\nclass Last(hand.Between): ...", ["dope.c.Last does not say read"]),
        ("class Last(Between[int]): ...", ["dope.c.Last does not say read"]),
        ("class Last(Between): ...\nclass Below(Last):\n    def read(self) -> str: return ''", []),
        ("class Aside:\n    @abstractmethod\n    def line(self) -> str: ...", ["dope.b.Between does not say read"]),
    ],
)
def test_a_class_that_leaves_out_what_one_above_it_leaves_to_it_is_found(last: str, missing: list[str]) -> None:
    again = "from dope.b import Between as Between\n"  # handed on, as a room's first file does
    modules = [Module("dope/a.py", ABOVE), Module("dope/b.py", BETWEEN), Module("dope/hand.py", again)]
    assert house_graph.unanswered([*modules, Module("dope/c.py", "from dope.hand import Between\n" + last)]) == missing


def test_a_module_that_no_test_reaches_is_found() -> None:
    code = "def f() -> None: ..."
    program = [
        Module("dope/feed/a.py", "import dope.feed.b\nimport dope.tape.d\n" + code),
        *(Module(path, code) for path in ("dope/feed/b.py", "dope/feed/c.py", "dope/tape/d.py")),
    ]
    tests = [Module("tests/feed/test_a.py", "from dope.feed.a import f")]
    assert house_graph.untested(program, tests) == ["dope/feed/c.py", "dope/tape/d.py"]


def test_the_map_of_floors_knows_every_room_that_exists() -> None:
    assert {module.room for module in PROGRAM} <= set(house.FLOORS)
    assert len(PROGRAM) > 5 and all(isinstance(module, Module) for module in PROGRAM)


def test_the_architecture_names_every_file_of_the_runtime() -> None:
    text = (house.ROOT / "dope" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)`", text.partition("looked for")[2].partition("##")[0]))
    assert named == {"runtime", *house.RUNTIME}


def test_no_two_tests_of_one_file_share_a_name() -> None:
    """The second would silently replace the first."""
    for module in TESTS:
        counts = Counter(node.name for node in module.tree.body if isinstance(node, ast.FunctionDef))
        assert max(counts.values(), default=1) == 1, (module.path, counts.most_common(1))


def test_bad_examples_are_themselves_code() -> None:
    assert ast.parse(dedent(LONG_FUNCTION))
