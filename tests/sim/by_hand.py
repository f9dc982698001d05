"""One simulated venue and the engine before it, carried by hand: no sockets, no loop; what is said waits until somebody delivers it.

What a book should be is known from the market itself: plain dicts of ticks and lots, kept for every step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from dope.engine import Engine
from dope.market.book import Book
from dope.sim.dialogue import ANSWER, Client, Close, Reply, Said
from dope.sim.edits import wrong_checksum
from dope.sim.effects import Act, Doing
from dope.sim.journal import Fault
from dope.sim.kinds import KINDS
from dope.sim.listings import STEP_MS, ListingSpec
from dope.sim.market import SampleMarket
from dope.sim.port import Effect
from dope.sim.surge import Ahead
from dope.sim.venue import VenueClock, module
from dope.sim.wires import Wire, read, unpacked, wire, written
from dope.types import (
    CLOSED,
    DATA,
    LAG,
    LIVE,
    OPEN,
    REPLY,
    TICK,
    ClosedInfo,
    DepthChange,
    Event,
    Fetch,
    Frame,
    OpenInfo,
    Plan,
    Reconnect,
    ReplyInfo,
    Send,
    Touch,
)
from dope.venues import make
from tests.sim.known import ALL, Truth

MS = 1_000_000
BEGIN_MS = 100_000
PROVED = 10  #: levels that a checksum covers, where nothing else proves a book
TICK_STEPS = 10  #: of the market, from one of our own ticks to the next


class Line:
    """The server's end of a connection; nothing goes through it, the ``Tap`` takes all."""

    def __init__(self, target: str) -> None:
        self.request = SimpleNamespace(path=target)
        self.transport = self
        self.cut = False

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.cut

    def abort(self) -> None:
        self.cut = True


class Message:
    """One message on its way. ``key`` "" = not about a book; ``last`` = the last about this book of its step."""

    __slots__ = ("data", "key", "last", "step")

    def __init__(self, data: bytes, key: str, step: int) -> None:
        self.data, self.key, self.step, self.last = data, key, step, True


class Request(NamedTuple):
    """A question that is on its way, or its answer; ``due_ms`` = when the venue reads it."""

    fetch: Fetch
    due_ms: int
    answer: bytes | None = None
    status: int = 200


class Tap(Effect):
    """Takes what a port would send."""

    def __init__(self, venue: ByHand) -> None:
        self._venue = venue

    def out(self, client: Client, said: Said) -> tuple[Said, ...]:
        self._venue.said(client, said)
        return ()


class Probe:
    """A detector that must only hear of books that are LIVE."""

    KINDS: tuple[type[Event], ...] = (Touch, DepthChange)

    def __init__(self) -> None:
        self.heard = 0
        self.wrong: list[str] = []

    def on(self, event: Event, market: Any) -> Sequence[Event]:
        self.heard += 1
        book = market.books[event.key]  # type: ignore[attr-defined]
        if book.state != LIVE:
            self.wrong.append(f"a detector hears of {book.key}, which is {book.state}")
        return ()


class Link:
    """One of our connections: its plan, the venue's end of it, and what is on its way to us."""

    def __init__(self, plan: Plan, client: Client) -> None:
        self.plan, self.client = plan, client
        self.waiting: deque[Message] = deque()
        self.open = True


class ByHand:
    """The venue, the engine, and between them the lines. Nothing moves by itself."""

    def __init__(self, venue: str, specs: Sequence[ListingSpec], seed: int = 1) -> None:
        self.venue, self.sample = venue, SampleMarket(seed, specs)
        self.ms = BEGIN_MS  #: of our clock; that of the venue's limits, too
        self.wire = wire(venue)
        self.server = module(venue).Server(VenueClock(self.sample), clock=lambda: self.ms / 1000)
        self.server.port.effects.append(Tap(self))
        self.server.port.end = self._end
        self.symbols = [spec.symbol for spec in specs]
        self.machine = make(venue, self.symbols, self.server.port.endpoints)
        self.probe = Probe()
        self.engine = Engine({venue: self.machine}, [self.probe])
        depth = self.machine.DEPTH or ALL
        self.truths = {key: Truth(market, depth) for key, market in self.sample.markets.items()}
        self.shallow = {key: Truth(market, PROVED) for key, market in self.sample.markets.items()}
        self.links: dict[int, Link] = {}
        self.requests: deque[Request] = deque()
        self.answered: dict[str, list[bytes]] = {}  #: bodies of earlier answers, by the key of their request
        self.newest: dict[tuple[str, int], int] = {}  #: (book, connection) → step of the newest message about it that was heard there
        self.torn: set[tuple[str, int]] = set()  #: those of which one of several messages of a step was heard
        self.leaving: list[int] = []  #: connections that end as soon as those in their place have spoken
        self.told: list[Event] = []
        self.heard = 0  #: messages
        self._groups: dict[tuple[int, str], Message] = {}
        self._natives = sorted(((m.spec.native.lower(), key) for key, m in self.sample.markets.items()), key=lambda pair: -len(pair[0]))
        self._about: dict[str, str] = {}
        self._numbers = 0
        self._ping_ms = 0

    @property
    def now(self) -> int:
        """Our clock, ns."""
        return self.sample.epoch_ms * MS + (self.ms - BEGIN_MS) * MS

    # -- what the venue says -------------------------------------------------------------------------------------------
    def said(self, client: Client, said: Said) -> None:
        """A message goes into its line."""
        link = self.links.get(client.number)
        if link is None:
            return
        payload = said.payload
        key = self._book_of(said.topic) if said.data else ""
        message = Message(payload.encode() if isinstance(payload, str) else payload, key, self.sample.steps)
        if key:
            before = self._groups.get((client.number, key))
            if before is not None and before.step == message.step:
                before.last = False
            self._groups[client.number, key] = message
        link.waiting.append(message)

    def _book_of(self, topic: str) -> str:
        if topic not in self._about:
            lower = topic.lower()
            self._about[topic] = next((key for name, key in self._natives if name in lower), "") if self.wire.book in topic else ""
        return self._about[topic]

    def _end(self, client: Client, close: Close) -> None:
        """The venue ends a connection."""
        if client.number in self.links:
            self.close(client.number, close.code, close.reason)

    # -- time ----------------------------------------------------------------------------------------------------------
    def move(self, steps: int) -> None:
        """The market goes on, the venue says what is new; our own clock ticks."""
        for _ in range(steps):
            self.sample.step()
            self.ms += STEP_MS
            for key, market in self.sample.markets.items():
                if market.book.changes:
                    self.truths[key].enter(self.sample.steps)
                    if self.machine.INTEGRITY == "checksum":
                        self.shallow[key].enter(self.sample.steps)
            for effect in self.server.port.effects:
                if isinstance(effect, Doing):
                    effect.step()
            self.server.publish()
            if self.sample.steps % TICK_STEPS == 0:
                self.tick()

    def silence(self, ms: int) -> None:
        """Time passes in which the venue does nothing at all."""
        for _ in range(ms // 100):
            self.ms += 100
            self.tick()

    def tick(self) -> None:
        """Our own clock, the pings that the feed sends by it, and what waits for its time."""
        if self.machine.PING is not None and self.ms >= self._ping_ms:
            self._ping_ms = self.ms + int(self.machine.PING[0] * 1000)
            for number in [number for number, link in self.links.items() if link.open]:
                self._say(number, self.machine.PING[1])
        self._hear(Frame(self.now, "", 0, TICK, b"0"))

    def late(self, seconds: float) -> None:
        """Our own loop was late."""
        self.ms += int(seconds * 1000)
        self._hear(Frame(self.now, "", 0, LAG, str(seconds).encode()))

    # -- what we hear --------------------------------------------------------------------------------------------------
    def hear(self, number: int, count: int, *, together: bool = False) -> int:
        """The next messages of a connection, one by one or all in one call; how many there were."""
        link, messages = self.links.get(number), list[Message]()
        while link is not None and link.waiting and len(messages) < count:
            messages.append(link.waiting.popleft())
        if together:
            for message in messages:
                self._count(number, message)
            self._hear(*(Frame(self.now, self.venue, number, DATA, message.data) for message in messages))
        else:
            for message in messages:
                self.take(number, message)
                if link is None or not link.open:
                    break
        return len(messages)

    def take(self, number: int, message: Message) -> None:
        """This message of a connection."""
        self._count(number, message)
        self._hear(Frame(self.now, self.venue, number, DATA, message.data))

    def _count(self, number: int, message: Message) -> None:
        self.heard += 1
        where = message.key, number
        if message.key and message.step >= self.newest.get(where, 0):
            self.newest[where] = message.step
            (self.torn.discard if message.last else self.torn.add)(where)

    def wrong(self, book: Book, depth: int | None = None) -> str:
        """Why a LIVE book is none that it may be after what was heard; "" = all is well. ``depth`` = as deep as it is proved."""
        where = book.key, book.conn
        truth = self.truths[book.key] if depth is None else self.shallow[book.key]
        return "" if where in self.torn else truth.wrong(truth.ours(book), self.newest.get(where, 0))

    def _hear(self, *frames: Frame) -> None:
        """To the engine, and what it asks for to the venue."""
        self.told += self.engine.step_many(list(frames)) if len(frames) > 1 else self.engine.step(frames[0]) if frames else ()
        while actions := self.engine.drain():
            for _, action in actions:
                self._act(action)

    def _act(self, action: Any) -> None:
        if isinstance(action, Fetch):
            self.requests.append(Request(action, self.ms + int(action.delay_s * 1000)))
        elif action.conn in self.links and self.links[action.conn].open:
            if isinstance(action, Send):
                self._say(action.conn, action.text)
            elif isinstance(action, Reconnect) and action.planned:
                self.hand_over(action.conn)
            elif isinstance(action, Reconnect):
                self.cut(action.conn, 1000)

    def _say(self, number: int, text: str) -> None:
        link = self.links[number]
        answers = self.server.heard(link.client, text, self.ms / 1000)
        link.client.last = self.ms / 1000
        if isinstance(answers, Close):
            self.close(number, answers.code, answers.reason)
            return
        for answer in answers:
            self.server.port.send([link.client], answer, data=False, binary=isinstance(answer, bytes), topic=ANSWER)

    # -- connections ---------------------------------------------------------------------------------------------------
    def connect(self, plan: Plan) -> int:
        """Open a connection; its number."""
        self._numbers += 1
        url = self.machine.address(plan, self._reply(plan.fetch)[1]) if plan.fetch is not None else plan.url
        parts = urlsplit(url)
        client = Client(Line(parts.path + (f"?{parts.query}" if parts.query else "")), self._numbers, self.ms / 1000)  # type: ignore[arg-type]
        self.links[client.number] = Link(plan, client)
        self.server.port.clients.add(client)
        for text in self.server.opened(client):
            self.server.port.send([client], text, data=False, binary=isinstance(text, bytes))
        self._hear(Frame(self.now, self.venue, client.number, OPEN, msgspec.json.encode(OpenInfo(plan.name, url, plan.symbols))))
        return client.number

    def close(self, number: int, code: int = 1006, reason: str = "") -> None:
        """A connection ends; what was on its way is lost."""
        link = self.links[number]
        link.open = False
        link.waiting.clear()
        self.server.port.clients.discard(link.client)
        self.torn = {where for where in self.torn if where[1] != number}
        self._hear(Frame(self.now, self.venue, number, CLOSED, msgspec.json.encode(ClosedInfo(code, reason))))

    def cut(self, number: int, code: int = 1006, without: str = "") -> int:
        """A connection ends and is replaced by a new one, whose number is given; ``without`` = a symbol no longer watched."""
        name = self.links[number].plan.name
        self.close(number, code)
        del self.links[number]
        plan = next(plan for plan in self.machine.plan() if plan.name == name)
        return self.connect(msgspec.structs.replace(plan, symbols=tuple(symbol for symbol in plan.symbols if symbol != without)))

    def hand_over(self, number: int) -> None:
        """A connection is replaced on purpose: the new one opens before the old one ends, with ``mend``."""
        self.leaving.append(number)
        self.connect(self.links[number].plan)

    def mend(self, *, now: bool = False) -> None:
        """Connections that the venue has ended are opened anew; those that were replaced end when no book needs them, or now."""
        needed = {book.conn for _, book, _ in self.books() if book.state == LIVE}
        for number in [number for number in self.leaving if now or number not in needed]:
            self.leaving.remove(number)
            if number in self.links and self.links[number].open:
                self.close(number, 1000)
            self.links.pop(number, None)
        for number, link in list(self.links.items()):
            if not link.open or link.client.ws.cut:  # type: ignore[attr-defined]
                if link.open:
                    self.close(number)
                del self.links[number]
                self.connect(link.plan)

    # -- requests ------------------------------------------------------------------------------------------------------
    def _reply(self, fetch: Fetch) -> tuple[int, bytes]:
        parts = urlsplit(fetch.url)
        now = self.ms / 1000
        if fetch.method == "POST" and self.server.POSTS:
            reply: Reply = self.server.posted(unquote(parts.path), fetch.body.encode(), now)
        else:
            reply = self.server.rest(unquote(parts.path), dict(parse_qsl(parts.query)), now)
        for effect in self.server.port.effects:
            reply = effect.answered(fetch.url, reply) if isinstance(effect, Ahead) else reply
        return reply.status, reply.body.encode() if isinstance(reply.body, str) else reply.body

    def read(self) -> None:
        """The venue reads the requests whose time has come: their answers are on their way."""
        for place, request in enumerate(self.requests):
            if request.answer is None and request.due_ms <= self.ms:
                status, body = self._reply(request.fetch)
                self.requests[place] = request._replace(answer=body, status=status)
                kept = self.answered.setdefault(request.fetch.key, [])
                kept.append(body)
                del kept[:-5]

    def ready(self) -> list[int]:
        """Places of the requests whose answers are on their way."""
        return [place for place, request in enumerate(self.requests) if request.answer is not None]

    def answer(self, place: int, *, body: bytes | None = None, status: int | None = None) -> None:
        """An answer arrives, or another in its place."""
        request = self.requests[place]
        del self.requests[place]
        assert request.answer is not None
        fetch = request.fetch
        head = msgspec.json.encode(ReplyInfo(fetch.key, request.status if status is None else status, fetch.url))
        self._hear(Frame(self.now, self.venue, fetch.conn, REPLY, head + b"\n" + (request.answer if body is None else body)))

    # -- all of it -----------------------------------------------------------------------------------------------------
    def all_heard(self) -> None:
        """Whatever is on its way arrives."""
        self.mend()
        for number in list(self.links):
            while number in self.links and self.links[number].open and self.hear(number, 100):
                pass
        self.read()
        while self.ready():
            self.answer(self.ready()[0])

    def tidy(self) -> None:
        """Forget the books of long ago: no message of their time is on its way any more."""
        for truth in (*self.truths.values(), *self.shallow.values()):
            truth.forget()

    def books(self) -> Iterator[tuple[str, Book, Truth]]:
        """The books that the engine has, beside what is known of them."""
        for key, truth in self.truths.items():
            book = self.engine.market.books.get(key)
            if book is not None:
                yield key, book, truth

    def begin(self, *, rounds: int = 200) -> bool:
        """Connect, and let all go well until every book is LIVE; False = it never was."""
        for plan in self.machine.plan():
            self.connect(plan)
        return self.settle(rounds=rounds)

    def settle(self, *, rounds: int = 200) -> bool:
        """Let all go well until every book is LIVE, and every message of a step was heard."""
        for _ in range(rounds):
            self.all_heard()
            books = self.engine.market.books
            if not self.torn and all(key in books and books[key].state == LIVE for key in self.truths):
                return True
            self.move(10)
        return False


def is_first(message: Message, where: Wire) -> bool:
    """Whether a message about a book holds all of it, where others do not."""
    if not where.snapshot:
        return False
    packed = message.data[:1] == b"\x1f"
    return where.snapshot in (unpacked(message.data if packed else message.data.decode()) or "")


def shortened(message: Message) -> Message:
    """The first half of a message; what it was about nobody can read."""
    return Message(message.data[: len(message.data) // 2], "", message.step)


def spoiled(message: Message, where: Wire) -> Message:
    """A message whose checksum is wrong."""
    value = read(unpacked(message.data.decode()) or "")
    if not wrong_checksum(SimpleNamespace(wire=where), value):  # type: ignore[arg-type]
        return message
    return Message(written(value).encode(), message.key, message.step)


def suffer(hand: ByHand, fault: Fault) -> Act:
    """Let a fault act at the venue from now on."""
    kind = KINDS[fault.kind]
    market = hand.sample.markets[f"{fault.venue}:{fault.symbol}"]
    clock = VenueClock(hand.sample)
    act = Act(fault, {**kind.params, **fault.params}, hand.server.port, clock, market, lambda ms, call: None)
    hand.server.port.effects.insert(0, kind.make(act))
    return act
