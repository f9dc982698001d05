"""Protobuf frames without a schema compiler: fields by number, and level lists turned into the kernel's text in one go.

Weighed against the protobuf library: that makes an object per level, and is one package more for a handful of fixed messages. Here a
list of levels becomes ``[["price","size"],…]`` by cutting bytes; a pattern that matches them all in one go took half as long again.
"""

from __future__ import annotations

VARINT, EIGHT, TEXT, FOUR = 0, 1, 2, 5  #: wire types
MAX_SHIFT = 63
PRICE, SIZE = 0x0A, 0x12  #: tags of a level's two texts: fields 1 and 2
LONG = 0x82  #: bytes of a level whose length takes more than one byte
DIGITS = b"-+.0123456789eE"  #: of a number


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
    tag, at = (data[at], at + 1) if data[at] < 0x80 else varint(data, at)
    kind, size = tag & 7, 0
    if kind == TEXT:
        size, at = (data[at], at + 1) if data[at] < 0x80 else varint(data, at)
    elif kind == VARINT:
        value, at = varint(data, at)
        return tag >> 3, value, at
    elif kind in (EIGHT, FOUR):
        size = 8 if kind == EIGHT else 4
    else:
        raise ValueError(f"no field begins with wire type {kind}")
    end = at + size
    if end > len(data):
        raise ValueError("a field that is longer than its message")
    return tag >> 3, data[at:end], end


def fields(data: bytes) -> list[tuple[int, int | bytes]]:
    """(number, value) of each field of a message, in order. Raises as ``field``."""
    at, end, found = 0, len(data), list[tuple[int, int | bytes]]()
    while at < end:
        tag = data[at]
        if tag < 0x80 and tag & 7 == TEXT and data[at + 1] < 0x80:  # a short text, as most are: the same as below, without a call
            start = at + 2
            at = start + data[at + 1]
            if at > end:
                raise ValueError("a field that is longer than its message")
            found.append((tag >> 3, data[start:at]))
        else:
            number, value, at = field(data, at)
            found.append((number, value))
    return found


def levels(data: bytes, at: int) -> tuple[bytes, int]:
    """Repeated levels (field 1 or 2, each a price text 1 and a size text 2) as JSON, and the next position.

    Raises ValueError or IndexError where a level has another form, or a length that is not that of its digits.
    """
    tag, end, texts = data[at], len(data), list[bytes]()
    while at < end and data[at] == tag:
        size_at = at + 4 + data[at + 3]
        stop = size_at + 2 + data[size_at + 1]
        if not (data[at + 2] == PRICE and data[size_at] == SIZE and stop == at + 2 + data[at + 1] and stop <= end and stop - at < LONG):
            raise ValueError("levels of another form")
        texts += data[at + 4 : size_at], data[size_at + 2 : stop]
        at = stop
    if b"".join(texts).translate(None, DIGITS):
        raise ValueError("a level that is no number")
    each = iter(texts)
    return b'[["%b"]]' % b'"],["'.join(map(b'","'.join, zip(each, each, strict=True))), at
