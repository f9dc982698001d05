"""What can be wrong in the words of a venue: numbers out of order, values that are none, names and times of something else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from dope.sim.book import ASK, BID
from dope.sim.dialogue import Said
from dope.sim.effects import Act, Edit, Memory
from dope.sim.wires import Raw, fields, levels, like, lists, objects, packed_like, read, renumbered, unpacked, written

HOUR_MS = 3_600_000
NUMBER = re.compile(r"\d+\.?\d*")
TIME = re.compile(r"(?<![\d.])\d{13}(?![\d.])")
UNITS = {"s": -3, "us": 3, "ns": 6}
BIDS = ("bids", "b")

#: names that no venue should send
EVIL = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "../../../../etc/passwd",
    "..%2f..%2fetc%2fpasswd", "BTC-USDT\r\nSet-Cookie: a=b",
    "BTC-USDT\x00", "\u202eTDSU-CTB", "BTC\u200b-USDT", "=cmd|' /C calc'!A0", "'; DROP TABLE ticks; --", "\x1b[31mBTC-USDT", "{{7*7}}",
    "javascript:alert(1)", "BTC-USDT" * 2000, "-rf", "CON", "", "\U0001f600",
)  # fmt: skip


# -- numbers -------------------------------------------------------------------------------------------------------
def numbers_of(value: Any, names: tuple[str, ...]) -> Iterator[int]:
    """The counting numbers of a message."""
    if names == ("#",):
        if isinstance(value, list) and len(value) > 2 and isinstance(value[-2], Raw):
            yield int(value[-2])
        return
    yield from (int(each) for name, each in fields(value) if name in names and isinstance(each, str) and each.isdigit())


class Renumbering:
    """Puts ``rule(first, number)`` for all numbers of a market, or of a connection; ``first`` is the first one seen."""

    def __init__(self, rule: Callable[[int, int], int]) -> None:
        self._rule = rule
        self._first: int | None = None

    def __call__(self, act: Act, value: Any) -> bool:
        found = list(numbers_of(value, act.wire.numbers))
        if not found:
            return False
        first = self._first = min(found) if self._first is None else self._first
        renumbered(value, act.wire, lambda number: self._rule(first, number))
        return True


def wrong_checksum(act: Act, value: Any) -> bool:
    """A checksum that is off by one."""
    name = act.wire.checksum
    if isinstance(value, list):
        if len(value) < 3 or value[1] != name:
            return False
        value[2] = Raw(int(value[2]) ^ 1)
        return True
    rows = [row for row in objects(value) if name in row]
    for row in rows:
        row[name] = Raw(int(row[name]) ^ 1)
    return bool(rows)


def no_checksum(act: Act, value: Any) -> bool:
    """A message without its checksum."""
    rows = [row for row in objects(value) if act.wire.checksum in row]
    for row in rows:
        del row[act.wire.checksum]
    return bool(rows)


# -- values --------------------------------------------------------------------------------------------------------
def first_level(change: Callable[[Act, Any, Any], None], *, price: bool = True) -> Edit:
    """Changes one field of the first level of a message."""

    def edit(act: Act, value: Any) -> bool:
        found = [level for level in levels(value, act.wire) if not is_zero(act, level)]
        if not found:
            return False
        change(act, found[0], act.wire.price if price else act.wire.size)
        return True

    return edit


def is_zero(act: Act, level: Any) -> bool:
    """Whether a level says that it is gone."""
    text = level[1] if act.wire.sides == () else level[act.wire.size]
    return float(text) == 0.0


def put(form: str) -> Callable[[Act, Any, Any], None]:
    """This text in place of what is there: the parameter of this name."""

    def change(act: Act, level: Any, place: Any) -> None:
        level[place] = like(level[place], str(act.params[form]))

    return change


def any_price(act: Act, value: Any) -> bool:
    """A text of no number in place of the first price of a message about no book: a number within a percent of the market's own."""
    market = act.market
    if market is None:
        return False
    mid = (market.book.best(BID) + market.book.best(ASK)) / 2 * market.spec.tick_e6 / 1e6
    rows: list[Any] = [*objects(value), *lists(value)]
    for row in rows:
        for place, each in row.items() if isinstance(row, dict) else enumerate(row):
            if isinstance(each, str) and NUMBER.fullmatch(each) and abs(float(each) - mid) < mid / 100:
                row[place] = like(each, str(act.params["form"]))
                return True
    return False


def scientific(act: Act, level: Any, place: Any) -> None:
    """The same number with an exponent."""
    level[place] = like(level[place], f"{Decimal(level[place]).normalize():E}")


def swapped(act: Act, level: Any, place: Any) -> None:
    """A number as a text, a text as a number."""
    old = level[place]
    level[place] = str.__str__(old) if isinstance(old, Raw) else Raw(old)


def listed(act: Act, level: Any, place: Any) -> None:
    """A list in place of a value."""
    level[place] = [level[place]]


def nothing(act: Act, level: Any, place: Any) -> None:
    """No value."""
    level[place] = None


def removed(act: Act, level: Any, place: Any) -> None:
    """No field."""
    del level[place]


def digits(act: Act, level: Any, place: Any) -> None:
    """A whole number of so many digits."""
    level[place] = like(level[place], "9" * act.count("digits"))


def zeros(act: Act, value: Any) -> bool:
    """Levels that are gone, with another way to write nothing."""
    found = [level for level in levels(value, act.wire) if is_zero(act, level)] if act.wire.sides else []
    for level in found:
        level[act.wire.size] = like(level[act.wire.size], str(act.params["form"]))
    return bool(found)


def extra(act: Act, value: Any) -> bool:
    """Fields that nobody has heard of, in every object."""
    rows = list(objects(value))
    for row in rows:
        row["unheard_of"] = {"of": [Raw("1"), None, "x"]}
    return bool(rows)


def novelty(act: Act, text: str) -> str:
    """A message of a kind that does not exist."""
    return written(dict.fromkeys(("channel", "event", "type", "e", "ch", "topic"), "novelty") | {"data": [{"action": "novelty"}]})


# -- times ---------------------------------------------------------------------------------------------------------
def _times(act: Act, text: str, new: Callable[[int], int]) -> str | None:
    now = act.sample.now_ms

    def moved(match: re.Match[str]) -> str:
        old = int(match.group())
        return str(new(old)) if abs(old - now) < HOUR_MS else match.group()

    changed = TIME.sub(moved, text)
    return None if changed == text else changed


def other_unit(act: Act, text: str) -> str | None:
    """All times in ms in another unit."""
    power = UNITS[str(act.params["unit"])]
    return _times(act, text, lambda ms: ms * 10**power if power > 0 else ms // 10**-power)


def other_time(act: Act, text: str) -> str | None:
    """All times in ms moved."""
    return _times(act, text, lambda ms: ms + int(act.number("s") * 1000))


# -- books ---------------------------------------------------------------------------------------------------------
def is_bid(act: Act, value: Any, level: Any) -> bool:
    """Which side a level of a message is on."""
    where = act.wire
    if where.sides == ():
        return not str(level[2]).startswith("-")
    if where.sides == ("updates",):
        return bool(level["side"] == "bid")
    if where.sides == ("changes",) and isinstance(level, list) and level[0] in ("buy", "sell"):
        return bool(level[0] == "buy")
    if where.sides == ("levels",):
        return any(level is each for name, both in fields(value) if name == "levels" for each in both[0])
    return any(level is each for name, side in fields(value) if name in BIDS and isinstance(side, list) for each in side)


def far(act: Act, value: Any) -> bool:
    """Levels far behind those that are kept, as if somebody had asked for them."""
    found = levels(value, act.wire)
    rows = [side for name, side in fields(value) if name in act.wire.sides and isinstance(side, list) and side]
    for side in rows:
        level = side[0].copy()
        worse = Decimal("0.5") if is_bid(act, value, side[0]) else Decimal(2)
        level[act.wire.price] = like(level[act.wire.price], f"{Decimal(level[act.wire.price]) * worse:f}")
        if not is_zero(act, level):
            side.append(level)
    return bool(found) and bool(rows)


def emptied(*, both: bool) -> Edit:
    """A snapshot without levels, or without asks."""

    def edit(act: Act, value: Any) -> bool:
        if act.wire.sides == ():
            kept = [] if both else [level for level in value[1] if not str(level[2]).startswith("-")]
            value[1] = kept
            return True
        gone = [level for level in levels(value, act.wire) if both or not is_bid(act, value, level)]
        _strip(value, {id(level) for level in gone})
        return bool(gone)

    return edit


def _strip(value: Any, gone: set[int]) -> None:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, list):
        value[:] = [each for each in value if id(each) not in gone]
    for each in list(children):
        _strip(each, gone)


# -- names ---------------------------------------------------------------------------------------------------------
def renamed(name: Callable[[Act], str]) -> Callable[[Act, str], str | None]:
    """The message, but about a market of another name."""

    def make(act: Act, text: str) -> str | None:
        natives = [act.market.spec.native] if act.market is not None else list(act.natives)
        written_name = json.dumps(name(act))[1:-1]
        for native in natives:
            for form in (native, native.upper()):
                if form in text:
                    return text.replace(form, written_name)
        return None

    return make


def evil(act: Act) -> str:
    """One of the names that no venue should send, all in turn."""
    return EVIL[act.done % len(EVIL)]


# -- frames --------------------------------------------------------------------------------------------------------
def cut(act: Act, text: str) -> str:
    """The first half."""
    return text[: len(text) // 2]


def remembered(act: Act, memory: Memory, said: Said) -> list[Said] | None:
    """A snapshot in place of every later one of the same topic."""
    first = act.kept.setdefault(said.topic, said)
    return None if first is said else [_with_times_of(first, said)]


def _with_times_of(old: Said, new: Said) -> Said:
    """An old message; where numbers belong to the connection it has that of the new one."""
    text, fresh = unpacked(old.payload), unpacked(new.payload)
    if text is None or fresh is None or not text.startswith("["):
        return old
    value, told = read(text), read(fresh)
    value[-2:] = told[-2:]
    return old._replace(payload=packed_like(old.payload, written(value)))

