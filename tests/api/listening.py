"""A client of a relay, and what it hears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect

from tests.api.house import House

PATIENCE = 60  #: messages that may come before what is waited for, at least one a second; never how long it took
Message = dict[str, Any]


def dial(house: House, path: str, **options: Any) -> connect:
    given = {"origin": house.url, "compression": None, "max_size": None, **options}
    return connect(f"ws://127.0.0.1:{house.port}/ws/{path}", **given)


async def hear(line: ClientConnection) -> Message:
    message: Message = orjson.loads(await line.recv())
    return message


async def hear_until(line: ClientConnection, condition: Callable[[Message], Any]) -> list[Message]:
    """All messages up to the first of which that is true."""
    heard = [await hear(line)]
    while not condition(heard[-1]):
        assert len(heard) < PATIENCE, "it never came"
        heard.append(await hear(line))
    return heard


async def becomes(condition: Callable[[], Any], what: str) -> None:
    for _ in range(100 * PATIENCE):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"never: {what}")


def book(message: Message, key: str = "okx:BTC-USDT") -> dict[str, Any]:
    """The newest row of one book, {} when the message has none."""
    return next((row for row in message["books"] if row["key"] == key), {})


def ids(heard: list[Message]) -> list[str]:
    return [trade["id"] for message in heard for trade in message["trades"]]
