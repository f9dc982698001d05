"""A topic that was refused is visible and asked for again: after a minute, then less and less often, as long as its connection stands."""

from __future__ import annotations

import json

import pytest

from dope.types import CLOSED, DATA, TICK, Ack, Event, Frame, Send
from dope.venues import make
from dope.venues._refusals import FIRST_NS as FIRST
from dope.venues._refusals import MOST_NS as MOST
from dope.venues.base import Venue
from tests.frames import T0, opened

S = 1_000_000_000


def refused(channel: str = "trades") -> bytes:
    text = f"Wrong URL or channel:{channel},instId:BTC-USDT doesn't exist."
    return json.dumps({"event": "error", "code": "60018", "msg": text, "connId": "a"}).encode()


def confirmed(channel: str = "trades") -> bytes:
    return json.dumps({"event": "subscribe", "arg": {"channel": channel, "instId": "BTC-USDT"}, "connId": "a"}).encode()


class Talk:
    """OKX on one connection, all channels but the trades confirmed."""

    def __init__(self) -> None:
        self.venue: Venue = make("okx", ("BTC-USDT",))
        self.told: list[Event] = []
        kind, data = opened("public", ("BTC-USDT",))
        self.say(T0, kind, data)
        for channel in ("books", "bbo-tbt"):
            self.say(T0, DATA, confirmed(channel))
        self.asked()

    def say(self, ts: int, kind: int, data: bytes = b"0") -> None:
        venue = "" if kind == TICK else "okx"
        self.told += self.venue.receive(Frame(ts, venue, 1, kind, data))

    def asked(self) -> list[str]:
        """Topics that it asked for since the last call."""
        sent = [topic for action in self.venue.actions if isinstance(action, Send) for topic in action.topics]
        self.venue.actions.clear()
        return sent


def test_it_is_asked_for_again_after_a_minute_then_after_two_and_at_last_once_an_hour() -> None:
    talk, now, pauses = Talk(), T0, []
    for _ in range(9):
        talk.say(now, DATA, refused())
        before = now
        while not (asked := talk.asked()):
            now += 30 * S
            talk.say(now, TICK)
            assert now - before <= MOST + 30 * S
        assert asked == ["trades:BTC-USDT"], "what was confirmed is not asked for again"
        pauses.append((now - before) // S)
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    acks = [event for event in talk.told if isinstance(event, Ack) and not event.ok]
    assert len(acks) == 9 and all("60018" in ack.reason for ack in acks), "each refusal is told"


def test_once_confirmed_it_is_not_asked_for_again() -> None:
    talk = Talk()
    talk.say(T0, DATA, refused())
    talk.say(T0 + FIRST, TICK)
    assert talk.asked() == ["trades:BTC-USDT"]
    talk.say(T0 + FIRST, DATA, confirmed())
    talk.say(T0 + 2 * MOST, TICK)
    assert talk.asked() == []


def test_with_its_connection_it_is_forgotten() -> None:
    talk = Talk()
    talk.say(T0, DATA, refused())
    talk.say(T0 + S, CLOSED, b'{"code":1000,"reason":""}')
    talk.say(T0 + 2 * MOST, TICK)
    assert talk.asked() == []


@pytest.mark.parametrize("channel", ["tickers", "books5"])
def test_what_was_never_asked_for_is_not_asked_for_because_it_was_refused(channel: str) -> None:
    talk = Talk()
    talk.say(T0, DATA, confirmed())
    about = {"channel": channel, "instId": "BTC-USDT"}
    talk.say(T0, DATA, json.dumps({"event": "error", "code": "60018", "arg": about, "msg": "no"}).encode())
    talk.say(T0 + 2 * MOST, TICK)
    assert talk.asked() == []
