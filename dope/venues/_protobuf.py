"""Protobuf frames without a schema compiler: fields by number, and level lists turned into the kernel's text in one go.

Weighed against the protobuf library: that makes an object per level, which then costs Python per level, and is one package
more for a handful of fixed messages. Here a list of levels becomes ``[["price","size"],…]`` without a loop in Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from operator import add

VARINT, EIGHT, TEXT, FOUR = 0, 1, 2, 5  #: wire types
MAX_SHIFT = 63
_WITH_HEADS = bytes((n + 4) & 255 for n in range(256))  #: bytes of a level by those of its two texts
_TAGS = (0x0A, 0x12)  #: of a level's two texts: fields 1 (price) and 2 (size)
_LENGTH, _NUMBER = rb"[\x01-\x29]", rb"[-+.0-9eE]+"  # no length is a character of a number: where a number ends is plain to see
_LEVEL = re.compile(rb"[\x0a\x12]([\x06-\x7f])\x0a(%b)(%b)\x12(%b)(%b)" % (_LENGTH, _NUMBER, _LENGTH, _NUMBER))
_RUNS = {tag: re.compile(b"(?:%b)+" % re.sub(rb"^\[[^]]*\]", rb"\\x%02x" % tag, _LEVEL.pattern)) for tag in _TAGS}


def varint(data: bytes, at: int) -> tuple[int, int]:
    """(value, next position). Raises ValueError or IndexError."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > MAX_SHIFT:
            raise ValueError("a number of more than ten bytes")


def field(data: bytes, at: int) -> tuple[int, int | bytes, int]:
    """One field: (its number, a number or the bytes of a text or message, next position). Raises ValueError or IndexError."""
    tag, at = varint(data, at)
    kind, size = tag & 7, 0
    if kind == VARINT:
        value, at = varint(data, at)
        return tag >> 3, value, at
    if kind == TEXT:
        size, at = varint(data, at)
    elif kind in (EIGHT, FOUR):
        size = 8 if kind == EIGHT else 4
    else:
        raise ValueError(f"no field begins with wire type {kind}")
    if at + size > len(data):
        raise ValueError("a field that is longer than its message")
    return tag >> 3, data[at : at + size], at + size


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of each field of a message, in order. Raises as ``field``."""
    at = 0
    while at < len(data):
        number, value, at = field(data, at)
        yield number, value


def levels(data: bytes, at: int) -> tuple[bytes, int]:
    """Repeated levels (field 1 or 2, each a price text 1 and a size text 2) as JSON, and the next position. Raises ValueError."""
    run = _RUNS[data[at]].match(data, at)
    if run is None:
        raise ValueError("levels of another form")
    lengths, price_lengths, prices, size_lengths, sizes = zip(*_LEVEL.findall(run[0]), strict=True)
    priced, sized = bytes(map(len, prices)), bytes(map(len, sizes))
    wholes = bytes(map(add, priced, sized)).translate(_WITH_HEADS)
    if (b"".join(price_lengths), b"".join(size_lengths), b"".join(lengths)) != (priced, sized, wholes):
        raise ValueError("a level whose length is not that of its digits")
    return b'[["%b"]]' % b'"],["'.join(map(b'","'.join, zip(prices, sizes, strict=True))), run.end()
