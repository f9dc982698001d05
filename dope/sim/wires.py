"""Where the words of each simulated venue have their prices, sizes, numbers, checksums and snapshots: what faults need to act on them.

A message is read as JSON in which numbers stay as they are written (``Raw``), changed, and written again; one that is packed, or
protobuf, is unpacked before and packed again.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from dope.errors import UnknownName
from dope.sim.protobuf import as_frame, as_text

GZIP = b"\x1f\x8b"


class Wire(NamedTuple):
    """Of one venue. ``sides`` are the names under which levels stand; ``price`` and ``size`` are their places in a level."""

    book: str  #: what the topics of books contain
    trade: str  #: what the topics of trades contain
    snapshot: str = ""  #: what the first message of a book contains; "" = it comes by REST
    rest: str = ""  #: what the path of a snapshot by REST contains
    sides: tuple[str, ...] = ("bids", "asks")  #: () = the second element of an array
    price: int | str = 0
    size: int | str = 1
    numbers: tuple[str, ...] = ()  #: fields that count messages or changes; "#" = the element before the last
    checksum: str = ""  #: the field, or the word of an array
    overlaps: bool = False  #: a difference begins with the number that the one before it ended with
    counted: bool = False  #: each message of a connection has the number after that of the one before


_BINANCE = Wire("@depth", "rade", rest="depth", sides=("b", "a"), numbers=("U", "u", "pu", "lastUpdateId"))
_BYBIT = Wire("orderbook.50", "publicTrade", '"snapshot"', sides=("b", "a"), numbers=("u", "seq"))
_GATE = Wire("obu:", "trades:", '"full":true', sides=("b", "a"), numbers=("U", "u"))

WIRES = {
    "binance_spot": _BINANCE,
    "binance_usdm": _BINANCE,
    "binance_coinm": _BINANCE,
    "bitfinex": Wire("book:", "trades:", ",[[", sides=(), size=2, numbers=("#",), checksum="cs", counted=True),
    "bybit": _BYBIT,
    "bybit_linear": _BYBIT,
    "coinbase": Wire(
        "level2:", "market_trades:", '"type":"snapshot"', sides=("updates",), price="price_level", size="new_quantity",
        numbers=("sequence_num",), counted=True,
    ),
    "coinbase_exchange": Wire("level2_batch:", "matches:", '"type":"snapshot"', sides=("changes",), price=1, size=2),
    "gate": _GATE,
    "gate_futures": _GATE,
    "gemini": Wire("@depth", "@trade", sides=("b", "a"), numbers=("U", "u"), overlaps=True),
    "htx": Wire(".mbp.", ".trade.", '"rep"', numbers=("seqNum", "prevSeqNum")),
    "htx_linear": Wire(".depth.", ".trade.", '"event":"snapshot"', numbers=("version",)),
    "hyperliquid": Wire("l2Book:", "trades:", sides=("levels",), price="px", size="sz"),
    "kraken": Wire("book:", "trade:", '"type":"snapshot"', price="price", size="qty", checksum="checksum"),
    "kucoin": Wire("level2:", "match:", rest="level2_100", numbers=("sequenceStart", "sequenceEnd", "sequence")),
    "mexc": Wire(".depth.", ".deals.", rest="depth", numbers=("fromVersion", "toVersion", "lastUpdateId")),
    "okx": Wire("books:", "trades:", '"action":"snapshot"', numbers=("seqId", "prevSeqId"), checksum="checksum"),
}  # fmt: skip

#: what a venue says before it ends connections, where it says anything
SHUTDOWN = {
    "okx": '{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please reconnect."}',
    "binance_spot": '{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1767225600000}}',
    "binance_usdm": '{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1767225600000}}',
    "binance_coinm": '{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1767225600000}}',
    "bitfinex": '{"event":"info","code":20051,"msg":"Stopping. Please try to reconnect"}',
    "gate": '{"time":1,"channel":"spot.system","event":"update","result":{"type":"upgrade","msg":"soon"}}',
    "gate_futures": '{"time":1,"channel":"futures.system","event":"update","result":{"type":"upgrade","msg":"soon"}}',
}
#: and what it says before maintenance
MAINTENANCE = {
    "kraken": '{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"maintenance","api_version":"v2"}]}',
    "bitfinex": '{"event":"info","code":20060,"msg":"Entering in Maintenance mode. Please pause any activity and resume after."}',
}


def wire(venue: str) -> Wire:
    """Raises UnknownName for a venue without an entry."""
    if venue not in WIRES:
        raise UnknownName("venue", venue, WIRES)
    return WIRES[venue]


class Raw(str):
    """A number as it is written."""

    __slots__ = ()


def unpacked(payload: str | bytes) -> str | None:
    """The text of a message, packed or not; None = it is no text."""
    if isinstance(payload, str):
        return payload
    if payload[:2] == GZIP:
        return gzip.decompress(payload).decode()
    try:
        return as_text(payload)
    except ValueError:
        return None


def packed_like(payload: str | bytes, text: str) -> str | bytes:
    """A text in the form of another message. What is no text of a frame of protobuf becomes the first half of that message."""
    if isinstance(payload, str):
        return text
    if payload[:2] == GZIP:
        return gzip.compress(text.encode(), 1, mtime=0)
    try:
        return as_frame(text)
    except ValueError:
        return payload[: len(payload) // 2]


def read(text: str) -> Any:
    """JSON with its numbers as ``Raw``. Raises ValueError."""
    return json.loads(text, parse_int=Raw, parse_float=Raw, parse_constant=Raw)


def written(value: Any) -> str:
    """The JSON of what ``read`` gave, changed or not."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name, ensure_ascii=False)}:{written(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(written(each) for each in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def like(old: Any, new: str) -> Any:
    """``new`` as a number where ``old`` is one, else as a text."""
    return Raw(new) if isinstance(old, Raw) else new


def levels(said: Any, where: Wire) -> list[Any]:
    """Every level of a book message, in its order; they may be changed in place."""
    if where.sides:
        return [level for name, each in fields(said) if name in where.sides for level in _levels(each, where)]
    return list(_levels(said[1], where)) if isinstance(said, list) and len(said) > 1 else []


def _levels(value: Any, where: Wire) -> Iterator[Any]:
    if isinstance(value, dict):
        if where.price in value:
            yield value
    elif isinstance(value, list):
        place = where.price if isinstance(where.price, int) else len(value)
        if len(value) > place and isinstance(value[place], str) and len(value) > 1:
            yield value
        else:
            for each in value:
                yield from _levels(each, where)


def fields(value: Any) -> Iterator[tuple[str, Any]]:
    """Every (name, value) at any depth."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield name, each
            yield from fields(each)
    elif isinstance(value, list):
        for each in value:
            yield from fields(each)


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object at any depth."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    for each in value if isinstance(value, list) else ():
        yield from objects(each)


def lists(value: Any) -> Iterator[list[Any]]:
    """Every list at any depth."""
    if isinstance(value, list):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from lists(each)


def renumbered(said: Any, where: Wire, rule: Callable[[int], int]) -> None:
    """Put ``rule(number)`` for every number that counts; -1 stays what it is."""
    if where.numbers == ("#",):
        if isinstance(said, list) and len(said) > 2 and isinstance(said[-2], Raw):
            said[-2] = Raw(rule(int(said[-2])))
        return
    for row in objects(said):
        for name in where.numbers:
            if isinstance(old := row.get(name), str) and old.isdigit():
                row[name] = like(old, str(rule(int(old))))


FIRST, BEFORE = ("U", "sequenceStart", "fromVersion"), ("pu", "prevSeqId", "prevSeqNum")  #: what a difference begins with, what it follows


def following(said: Any, where: Wire, place: int) -> None:
    """Number a difference as the one ``place`` behind itself: each of them counts one number."""
    for row in objects(said):
        counts = {name: int(row[name]) for name in where.numbers if isinstance(row.get(name), str) and row[name].isdigit()}
        last = max((number for name, number in counts.items() if name not in (*FIRST, *BEFORE, "seq")), default=None)
        for name, number in counts.items():
            if name in FIRST and last is not None:
                number = last + place - where.overlaps
            elif name in BEFORE and last is not None:
                number = last + place - 1
            else:
                number += place
            row[name] = like(row[name], str(number))
