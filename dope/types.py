"""The words of the house: what moves between the rooms (Frame, Event, Action), frozen and typed.

Units, everywhere: times are int nanoseconds UTC (``ts`` = when our socket received it, on a monotonic clock
anchored once to UTC; ``ts_exch`` = the venue's own stamp, 0 when it gives none); prices in quote currency
per one unit of base; sizes in base currency (contracts are converted by the instrument's ``contract_value``).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

import msgspec

# -- frames: everything that reaches the engine, in one global order -------------------------------------------------
DATA = 0  #: a WebSocket message, exactly as received
OPEN = 1  #: a connection is open; data = OpenInfo as JSON
SENT = 2  #: we sent this text
CLOSED = 3  #: a connection has ended; data = ClosedInfo as JSON
REPLY = 4  #: an answer to a Fetch; data = ReplyInfo as JSON, newline, raw body
LAG = 5  #: our own loop was late; data = seconds as text
TICK = 6  #: the 10 ms clock; data = wall-clock offset in ns as text
SET = 7  #: rules and fees are in force from here on: at the start of a run, and when a user changes them; data = JSON

#: what is watched unless somebody says otherwise; which of them a venue trades stands in the venue's own table
DEFAULT_SYMBOLS = (
    "BTC-USDT", "ETH-USDT", "SOL-USDT", "BTC-USD", "ETH-USD", "SOL-USD", "BTC-USDT-PERP", "ETH-USDT-PERP", "SOL-USDT-PERP",
    "BTC-USD-PERP", "ETH-USD-PERP", "SOL-USD-PERP", "BTC-USDC-PERP", "ETH-USDC-PERP", "SOL-USDC-PERP",
    "USDT-USD", "USDC-USD", "USDC-USDT", "USDT-USDC",
)  # fmt: skip

KIND_NAMES = ("data", "open", "sent", "closed", "reply", "lag", "tick", "set")


class Frame(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One thing that happened at the edge of the house. ``conn`` is the connection epoch: never reused in a run."""

    ts: int
    venue: str  #: venue id; "" for TICK, LAG and SET
    conn: int
    kind: int
    data: bytes


class OpenInfo(msgspec.Struct, frozen=True):
    """Payload of an OPEN frame. ``symbols`` None = accept whatever instrument comes (imported recordings)."""

    plan: str
    url: str
    symbols: tuple[str, ...] | None = None


DELIVERS, REPLACED, UNWATCHED = "a socket delivers", "replaced by a new connection", "no longer watched"
PLANNED = (DELIVERS, REPLACED, UNWATCHED)  #: why the session itself ends what is in order: nothing is missing for it


class ClosedInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """Payload of a CLOSED frame: the WebSocket close code (1006 = no close frame), the reason in words, and whether it was ours and one
    of ``PLANNED``: a venue may say the same words."""

    code: int
    reason: str
    planned: bool = False


class ReplyInfo(msgspec.Struct, frozen=True):
    """First line of a REPLY frame. ``status`` 0 = no answer at all (refused, timed out); ``key`` is the Fetch's."""

    key: str
    status: int
    url: str
    retry_after_s: float = 0.0


SENTINEL = "sentinel"  #: kind of the hidden markets by which the program tests itself; ids of their venues begin with it


# -- what is traded --------------------------------------------------------------------------------------------------
class Instrument(msgspec.Struct, frozen=True):
    """One listed market at one venue.

    ``symbol`` is canonical: ``BTC-USDT``, perpetual ``BTC-USDT-PERP``. ``contract_value`` is base units per contract
    (quote units if ``inverse``), 1.0 for spot, None when not known: such an instrument is shown but never a leg.
    ``lot``, ``min_size`` in base units, ``min_notional`` in quote; 0.0 = not known / no limit. What counts in thousands
    (1000PEPE) has a contract value of 1000. ``status`` is "trading", or the venue's own word for why it does not trade.
    """

    venue: str
    symbol: str
    native: str
    base: str
    quote: str
    kind: str  #: "spot" | "perp" | "future" | "option" | "reference" (a price that nobody trades at) | SENTINEL
    contract_value: float | None = 1.0
    inverse: bool = False
    tick: float = 0.0
    lot: float = 0.0
    min_size: float = 0.0
    min_notional: float = 0.0
    status: str = "trading"

    @property
    def key(self) -> str:
        """``venue:symbol``, the one name of this market everywhere in the house."""
        return f"{self.venue}:{self.symbol}"


# -- events: what a venue understood ---------------------------------------------------------------------------------
class Event(msgspec.Struct, frozen=True, gc=False):
    """Base of all events and signals; ``ts`` is the receive time of the frame that caused it."""

    ts: int


class Listed(Event, frozen=True):
    """An instrument is seen for the first time, before any other event of its ``key``; once more when the venue's list changes it."""

    instrument: Instrument


class Instruments(Event, frozen=True, gc=False):
    """A venue's own list of instruments was read: ``count`` of them, ``unread`` further rows could not be used."""

    venue: str
    count: int
    unread: int


class Trade(Event, frozen=True, gc=False):
    key: str
    ts_exch: int
    price: float
    size: float
    side: str  #: the taker's: "buy" | "sell"
    trade_id: str


class Quote(Event, frozen=True, gc=False):
    """The venue's own best bid and ask. ``seq`` compares with BookUpdate.seq of the same key; -1 = not comparable."""

    key: str
    ts_exch: int
    seq: int
    bid: float
    bid_size: float
    ask: float
    ask_size: float


class BookUpdate(Event, frozen=True, gc=False):
    """Levels of one message, still as the venue's text. ``snapshot`` = forget the old book; size 0 = level gone.

    ``bids`` and ``asks`` are JSON arrays ``[["price","size",…],…]`` (b"" = absent). ``checksum`` None = none sent.
    """

    key: str
    ts_exch: int
    snapshot: bool
    seq: int
    bids: bytes
    asks: bytes
    checksum: int | None = None


class Bar(Event, frozen=True, gc=False):
    """A candle as the venue computes it; ``closed`` = final."""

    key: str
    open_ts: int
    interval_s: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    closed: bool


class Funding(Event, frozen=True, gc=False):
    """Perpetual: ``rate`` per interval as a fraction (None if this message has none), mark and index price."""

    key: str
    ts_exch: int
    rate: float | None
    next_ts: int
    mark: float | None
    index: float | None = None
    interval_h: float = 8.0


class Gap(Event, frozen=True):
    """The book of ``key`` is no longer known to be right. ``reason`` is one of GAP_REASONS."""

    key: str
    reason: str


GAP_REASONS = ("sequence", "checksum", "disconnected", "snapshot", "reset", "overflow", "unsubscribed", "halted")


class Fault(Event, frozen=True):
    """A message that could not be used; ``sample`` is its first 200 bytes. ``key`` "" when it names no instrument."""

    venue: str
    key: str
    reason: str
    sample: bytes = b""


class Ack(Event, frozen=True):
    """The venue confirmed (or refused) one topic."""

    venue: str
    conn: int
    topic: str
    ok: bool
    reason: str = ""


class Notice(Event, frozen=True):
    """The venue said something about itself: maintenance, shutdown, upgrade. ``code`` is ours: "shutdown", "status"…"""

    venue: str
    code: str
    text: str


class Tick(Event, frozen=True, gc=False):
    """The 10 ms clock; ``wall_offset`` = wall clock minus our clock in ns, so that a step of the system clock is seen."""

    wall_offset: int


class Confirmed(Event, frozen=True, gc=False):
    """Anything arrived that proves the numbered books of connection ``conn`` current (data, heartbeat)."""

    venue: str
    conn: int


class Checked(Event, frozen=True):
    """What the venue's REST says of its best levels, (price, size) as the venue counts them, best first: to compare with the book."""

    key: str
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]


class Setting(Event, frozen=True):
    """Rules and fees from a SET frame, for the detectors; ``data`` is theirs to read."""

    data: bytes


class Link(Event, frozen=True):
    """A connection is open (``up``) or has ended; ``about`` = OpenInfo or ClosedInfo as JSON."""

    venue: str
    conn: int
    up: bool
    about: bytes


def of_sentinel(event: Event) -> bool:
    """Whether this is about the hidden markets of the self-test: no table, chart, row or statistic shows it."""
    if isinstance(event, Listed):
        return event.instrument.kind == SENTINEL
    name: str = getattr(event, "venue", "") or getattr(event, "key", "") or getattr(event, "buy", "")
    return name.startswith(SENTINEL)


# -- signals: what the detectors find -------------------------------------------------------------------------------
class Signal(Event, frozen=True):
    """Base of what detectors find, but opportunities: it becomes a row of the table ``signal`` and a line of the event tape."""

    KIND: ClassVar[str] = ""  #: kind of its line: "jump", "burst", "link"…

    @abstractmethod
    def line(self, label: Callable[[str], str]) -> tuple[str, str, str]:
        """(text, value with unit, tone: "pos" | "neg" | "warn" | "") for people; ``label`` gives a venue's name by its id."""


# -- actions: what a venue asks the feed to do -----------------------------------------------------------------------
class Send(msgspec.Struct, frozen=True):
    """Send this text on the connection; ``topics`` are those whose acknowledgement it will bring."""

    conn: int
    text: str
    topics: tuple[str, ...] = ()
    delay_s: float = 0.0  #: not before this long from now; of equal texts that wait only the newest is sent
    urgent: bool = False  #: before all others that wait for their turn: a venue waits for its pong


class Fetch(msgspec.Struct, frozen=True):
    """Do one REST request and give the answer back as a REPLY frame with this ``key`` and the same ``conn``.

    ``conn`` 0 = for the venue as a whole: it is asked whatever becomes of its connections.
    """

    conn: int
    key: str
    url: str
    method: str = "GET"
    body: str = ""
    weight: int = 1  #: cost against Limits.rest_weight_per_min
    delay_s: float = 0.0  #: not before this long from now (back-off of repeated fetches)


class Reconnect(msgspec.Struct, frozen=True):
    """Drop the connection and connect again.

    ``planned`` = the venue announced it: open the new one first. ``refused`` = it takes nothing that we ask for: wait for long.
    """

    conn: int
    reason: str
    planned: bool = False
    refused: bool = False


Action = Send | Fetch | Reconnect


# -- what a venue's connections look like ----------------------------------------------------------------------------
class Plan(msgspec.Struct, frozen=True):
    """One connection that a venue wants open: a name unique in the venue, its URL, the symbols it carries.

    ``fetch``: asked before each connecting; ``Venue.address`` makes the URL of its answer (a token, a host).
    ``secret``: stands at the end of the URL when it is dialled (a key), and nowhere else: not on tape, screen or log.
    """

    name: str
    url: str
    symbols: tuple[str, ...]
    fetch: Fetch | None = None
    secret: str = ""


class Limits(msgspec.Struct, frozen=True):
    """Published limits of a venue; the feed keeps below them."""

    connects_per_s: float = 1.0
    connects_per_5min: int = 60
    messages_per_s: float = 4.0  #: client → venue
    topics_per_socket: int = 200
    rest_weight_per_min: int = 1000


class Fee(msgspec.Struct, frozen=True):
    """One dated, sourced line of the fee table; maker and taker in basis points of the notional.

    ``currency`` says in what the fee of a buy is taken: "base" (received minus fee) or "quote" (cost plus fee).
    """

    venue: str
    kind: str
    maker_bps: float
    taker_bps: float
    currency: str
    source: str
    as_of: str
    confidence: str
    tier: str = "default"


# -- what the market makes of it: the events that detectors work on ---------------------------------------------------
LIVE, SYNCING, STALE, GAP, CROSSED, INVALID, HALTED, DOWN = "LIVE", "SYNCING", "STALE", "GAP", "CROSSED", "INVALID", "HALTED", "DOWN"
STATES = (SYNCING, LIVE, STALE, GAP, CROSSED, INVALID, HALTED, DOWN)


class BookState(Event, frozen=True):
    """The book of ``key`` entered ``state``; only LIVE may be used. ``since`` = when the state before had begun."""

    key: str
    state: str
    was: str
    reason: str
    since: int


class Touch(Event, frozen=True, gc=False):
    """The best bid or ask (price or size) of a LIVE book changed; sizes in base units, 0.0 price = empty side."""

    key: str
    bid: float
    bid_size: float
    ask: float
    ask_size: float


class DepthChange(Event, frozen=True, gc=False):
    """A LIVE book changed behind its touch; told only for keys in ``market.watched``."""

    key: str
