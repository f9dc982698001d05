"""HTX whole books (``depth.step0``) of spot and coin-margined swaps, as recorded in 2021 and 2022; packed frames or their texts.

Messages read, besides trades and pings as today:
    {"ch":"market.trioeth.depth.step0","ts":…,"tick":{"bids":[[9.121E-7,92730.24],…],"asks":[…],"version":…,"ts":…}}          spot
    {"ch":"market.ATOM-USD.depth.step0","ts":…,"tick":{"mrid":74377472700,"id":s,"bids":[…],"asks":[…],"version":s,"ts":…}}   swaps

Book recipe: 1 each message is the whole book of up to 150 levels; 2 one whose number is lower than the last one's came late and is left
out: spot counts ``version``, swaps ``mrid`` (their version is the second, which repeats); 3 a message marked "update" is a difference
made by whoever recorded it: not read. Sizes of swaps are contracts of 100 USD (BTC) or 10 USD (all others).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from dope.types import BookUpdate, Event, Frame, Instrument, Plan
from dope.venues._htx_wire import Handler, HtxVenue, Message
from dope.venues._written import split_quote
from dope.venues.base import MS, Known
from dope.venues.htx import QUOTES

FACE = {"BTC": 100.0}  #: USD per contract, else 10
_NO = msgspec.Raw(b"")


class Whole(msgspec.Struct):
    bids: msgspec.Raw
    asks: msgspec.Raw
    version: int
    mrid: int = -1


_whole = msgspec.json.Decoder(Whole)


class HtxStep0(HtxVenue):
    """Spot."""

    ID, LABEL, SHORT = "htx_step0", "HTX whole books (recordings)", "HTX0"
    INTEGRITY, NUMBERED = "snapshot", False

    def handlers(self) -> dict[str, Handler]:
        return {"depth.step0": self._on_whole}

    def instrument(self, native: str) -> Instrument | None:
        pair = split_quote(native, QUOTES) if native.islower() else None
        if pair is None:
            return None
        base, quote = pair[0].upper(), pair[1].upper()
        return Instrument(self.ID, f"{base}-{quote}", native, base, quote, "spot")

    def native(self, symbol: str) -> str | None:
        return None

    def topics(self, socket: str, native: str) -> Sequence[str]:
        return ()

    def plan(self) -> tuple[Plan, ...]:
        return ()

    def again(self, known: Known, ts: int) -> None:
        """The next message is a whole book anyway."""

    def number(self, whole: Whole) -> int:
        """What orders the messages of one market."""
        return whole.version

    def _on_whole(self, frame: Frame, known: Known, message: Message, events: list[Event]) -> None:
        if message.update:
            raise ValueError("a difference, not a whole book")
        whole = _whole.decode(message.tick)
        number = self.number(whole)
        if number < 0:
            raise ValueError("a book without its number")
        if known.conn == frame.conn and known.last is not None and number < known.last:
            return
        known.conn, known.last = frame.conn, number
        events.append(BookUpdate(frame.ts, known.key, message.ts * MS, True, number, bytes(whole.bids), bytes(whole.asks)))


class HtxSwap(HtxStep0):
    """Coin-margined swaps: inverse contracts."""

    ID, LABEL, SHORT = "htx_swap", "HTX coin swaps (recordings)", "HTX-C"

    def instrument(self, native: str) -> Instrument | None:
        base, _, quote = native.partition("-")
        if not base or quote != "USD":
            return None
        return Instrument(self.ID, f"{base}-USD-PERP", native, base, "USD", "perp", FACE.get(base, 10.0), True)

    def number(self, whole: Whole) -> int:
        return whole.mrid
