"""Protobuf frames as texts and back (MEXC): how they are written, and how faults can read, change and write them like all others.

A frame becomes JSON whose fields have their names, in their order; a level is ``[price, size]``, numbers stay numbers, texts stay texts.
A field that was left out stays so, one without a name is ``#NUMBER``. What has been changed is written as it stands there, whether it
fits or not: a text where a number was is a text on the wire, a number where a text was a float, a list a message of its elements.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

VARINT, EIGHT, TEXT, FOUR = 0, 1, 2, 5  #: wire types
UNHEARD_OF = 2047  #: the number of fields without a name


class Field(NamedTuple):
    """``fields`` = those of the message that it is, () = they have no names; None = a number or a text. ``many`` = any number of them."""

    number: int
    name: str
    fields: tuple[Field, ...] | None = None
    many: bool = False


def _texts(*names: str) -> tuple[Field, ...]:
    return tuple(Field(number, name) for number, name in enumerate(names, 1))


DEPTH = (Field(1, "asks", (), True), Field(2, "bids", (), True), Field(3, "eventType"), Field(4, "fromVersion"), Field(5, "toVersion"))
DEAL = _texts("price", "quantity", "tradeType", "time", "tradeId")
CANDLE = _texts("interval", "windowStart", "open", "close", "high", "low", "volume", "amount", "windowEnd")
FRAME = (
    Field(1, "channel"), Field(3, "symbol"), Field(5, "createTime"), Field(6, "sendTime"), Field(308, "candle", CANDLE),
    Field(313, "depth", DEPTH), Field(314, "deals", (Field(1, "deals", DEAL, True), Field(2, "eventType"))),
    Field(315, "touch", _texts("bid", "bidSize", "ask", "askSize")),
)  # fmt: skip


# -- writing -------------------------------------------------------------------------------------------------------
def varint(n: int) -> bytes:
    """Seven bits per byte, lowest first; negative numbers do not occur."""
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def tagged(number: int, value: int | str | bytes) -> bytes:
    """One field; what is 0 or empty is left out, as proto3 does."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value) if value else b""
    return packed(number, value.encode() if isinstance(value, str) else value) if value else b""


def message(*values: int | str | bytes) -> bytes:
    """Fields 1, 2, 3 … of one message."""
    return b"".join(tagged(number, value) for number, value in enumerate(values, 1))


def packed(number: int, data: bytes) -> bytes:
    """A field with a length, empty or not."""
    return varint(number << 3 | TEXT) + varint(len(data)) + data


# -- as text -------------------------------------------------------------------------------------------------------
def as_text(frame: bytes) -> str:
    """A frame as JSON. Raises ValueError for what is none."""
    try:
        return json.dumps(_read(frame, FRAME), ensure_ascii=False, separators=(",", ":"))
    except IndexError:
        raise ValueError("a frame that is cut") from None


def as_frame(text: str) -> bytes:
    """The frame of such a text, changed or not. Raises ValueError for what is no JSON object."""
    value = json.loads(text, parse_float=_Written, parse_int=_Written, parse_constant=_Written)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return _write(value, FRAME)


class _Written(str):
    """A number as it is written."""

    __slots__ = ()


def _read(data: bytes, schema: tuple[Field, ...]) -> dict[str, Any]:
    known = {field.number: field for field in schema}
    found: dict[str, Any] = {field.name: [] for field in schema if field.many}
    for number, value in _fields(data):
        field = known.get(number, Field(number, f"#{number}"))
        each = value if isinstance(value, int) else _meant(value, field)
        if field.many:
            found[field.name].append(each)
        else:
            found[field.name] = each
    return found


def _meant(value: bytes, field: Field) -> Any:
    if field.fields is None:
        return value.decode()
    return _read(value, field.fields) if field.fields else _places(value)


def _places(data: bytes) -> list[str | int | None]:
    """Fields 1, 2, 3 … of a message."""
    found = {number: value.decode() if isinstance(value, bytes) else value for number, value in _fields(data)}
    return [found.get(number) for number in range(1, max(found, default=0) + 1)]


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        value, at = _varint(data, at) if tag & 7 in (VARINT, TEXT) else (0, at)
        if tag & 7 == VARINT:
            yield tag >> 3, value
            continue
        size = {TEXT: value, EIGHT: 8, FOUR: 4}.get(tag & 7, len(data))
        if at + size > len(data):
            raise ValueError("a field that is longer than its message")
        yield tag >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while data[at] > 0x7F:
        value, shift, at = value | (data[at] & 0x7F) << shift, shift + 7, at + 1
    return value | data[at] << shift, at + 1


def _write(value: Mapping[str, Any], schema: tuple[Field, ...]) -> bytes:
    known = {field.name: field for field in schema}
    out = b""
    for name, each in value.items():
        number = int(name[1:]) if name[:1] == "#" and name[1:].isdigit() else UNHEARD_OF
        field = known.get(name, Field(number, name))
        if field.many and isinstance(each, list):
            out += b"".join(_field(field, one) for one in each)
        else:
            out += _field(field, each)
    return out


def _field(field: Field, value: Any) -> bytes:
    if isinstance(value, dict):
        return packed(field.number, _write(value, field.fields or ()))
    if isinstance(value, list):
        return packed(field.number, b"".join(_field(Field(number, ""), each) for number, each in enumerate(value, 1)))
    if isinstance(value, _Written):
        if value.isdigit() and int(value) < 1 << 64:
            return varint(field.number << 3 | VARINT) + varint(int(value))
        return varint(field.number << 3 | EIGHT) + struct.pack("<d", float(value))
    if value is None:
        return b""
    return packed(field.number, str(value).encode())
