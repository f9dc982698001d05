"""What a fault at a port can be: messages lost, repeated, held, changed; answers changed; something done at once or at every step."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from dope.sim.dialogue import ANSWER, Client, Reply, Said
from dope.sim.journal import Fault, Value
from dope.sim.market import SampleMarket
from dope.sim.port import Effect, Port
from dope.sim.quoting import Market
from dope.sim.venue import VenueClock
from dope.sim.wires import Raw, packed_like, read, unpacked, wire, written

HELD_MAX = 20_000  #: messages that wait for one client; what comes then goes out at once

#: which messages: about a book, its changes, all of it; trades; what is about no book; all data; answers
BOOK, UPDATE, SNAPSHOT, TRADE, BESIDE, DATA, ANSWERS = "book", "update", "snapshot", "trade", "beside", "data", "answer"


class Act:
    """One fault under way: where, with which numbers, its dice, and the market's clock.

    ``done`` counts what it did; ``over`` ends it with the present step. ``later(ms, call)`` calls after so much virtual time.
    """

    def __init__(
        self, fault: Fault, params: Mapping[str, Value], port: Port, clock: VenueClock, market: Market | None,
        later: Callable[[float, Callable[[], None]], None],
    ) -> None:  # fmt: skip
        self.fault, self.params, self.port, self.clock, self.market, self.later = fault, params, port, clock, market, later
        self.sample: SampleMarket = clock.sample
        self.wire = wire(fault.venue)
        self.rng = random.Random(f"{fault.seed}/{fault.kind}/{fault.venue}/{fault.symbol}")
        self.times = int(params.get("times", 0))  #: how often it happens; 0 = as long as it lasts
        self.done = 0
        self.first_ms = 0
        self.over = False
        self.kept: dict[str, Said] = {}  #: what is to be said again, by topic
        self.natives = {m.spec.native: m for m in self.sample.markets.values() if m.spec.venue == fault.venue}
        self._about: dict[str, Market | None] = {}  # by topic

    def number(self, name: str) -> float:
        """A parameter that is a number."""
        return float(self.params[name])

    def count(self, name: str) -> int:
        """A parameter that is a whole number."""
        return int(self.params[name])

    def about(self, topic: str) -> Market | None:
        """The market of a topic: that with the longest name in it."""
        if topic not in self._about:
            lower = topic.lower()
            named = [native for native in self.natives if native.lower() in lower]
            self._about[topic] = self.natives[max(named, key=len)] if named else None
        return self._about[topic]

    def concerns(self, said: Said, which: str) -> bool:
        """Whether this message is of the kind and of the market that it happens to."""
        if which == ANSWERS:
            return said.topic == ANSWER
        if said.raw or not said.data or (self.market is not None and self.about(said.topic) is not self.market):
            return False
        if which in (DATA, TRADE):
            return which == DATA or self.wire.trade in said.topic
        if which == BESIDE or self.wire.book not in said.topic:
            return which == BESIDE and self.wire.book not in said.topic
        return which == BOOK or (which == SNAPSHOT) == self.is_snapshot(said)

    def is_snapshot(self, said: Said) -> bool:
        """Whether a message of a book holds all of it."""
        text = unpacked(said.payload) if self.wire.snapshot else None
        return text is not None and self.wire.snapshot in text

    def happens(self) -> bool:
        """The dice; False once it is over."""
        return not self.over and (self.fault.p >= 1.0 or self.rng.random() < self.fault.p)

    def did(self) -> None:
        """It happened once more."""
        self.done += 1
        self.first_ms = self.first_ms or self.sample.now_ms
        self.over = self.over or self.done == self.times


class Doing(Effect):
    """An effect with a beginning, steps of 10 ms and an end. ``whole`` = itself, or what it is a part of."""

    def __init__(self) -> None:
        self.whole: Doing = self

    def start(self) -> Awaitable[None] | None:
        """It begins."""
        return None

    def step(self) -> None:
        """Each step, before the venue says what is new."""

    def stop(self) -> Awaitable[None] | None:
        """It ends."""
        return None


Memory = dict[str, Any]
Change = Callable[[Act, Memory, Said], Iterable[Said] | None]  #: None = this one is not for it


class Messages(Doing):
    """Changes messages on their way out, each client's with a memory of its own."""

    def __init__(self, act: Act, change: Change, which: str = UPDATE) -> None:
        super().__init__()
        self._act, self._change, self._which = act, change, which
        self._memories: dict[int, Memory] = {}

    def out(self, client: Client, said: Said) -> Iterable[Said]:
        if not self._act.concerns(said, self._which) or not self._act.happens():
            return (said,)
        changed = self._change(self._act, self._memories.setdefault(client.number, {}), said)
        if changed is None:
            return (said,)
        self._act.did()
        return changed


class Reordered(Doing):
    """Every message that the dice choose goes out behind the ``k`` that follow it; ``again`` = it goes out in its place, too."""

    def __init__(self, act: Act, *, again: bool = False) -> None:
        super().__init__()
        self._act, self._k, self._again = act, act.count("k"), again
        self._held: dict[Client, tuple[Said, int]] = {}

    def out(self, client: Client, said: Said) -> Iterable[Said]:
        if not self._act.concerns(said, UPDATE):
            return (said,)
        if client not in self._held:
            if not self._act.happens():
                return (said,)
            self._act.done += 1
            self._held[client] = (said, self._k)
            return (said,) if self._again else ()
        late, left = self._held.pop(client)
        if left > 1:
            self._held[client] = (late, left - 1)
            return (said,)
        self._act.done -= 1
        self._act.did()
        return (said, late)

    def stop(self) -> None:
        for client, (late, _) in self._held.items():
            if not self._again:
                self._act.port.through(client, late, behind=self.whole)
        self._held.clear()


class Delayed(Doing):
    """What it concerns goes out ``ms`` later, in its order; ``batch`` = all that waits goes out together each ``ms``."""

    def __init__(self, act: Act, which: str, *, batch: bool = False) -> None:
        super().__init__()
        self._act, self._which, self._batch = act, which, batch
        self._wait = act.number("ms")
        self._held: deque[tuple[float, Client, Said]] = deque()

    def out(self, client: Client, said: Said) -> Iterable[Said]:
        if not self._act.concerns(said, self._which) or not self._act.happens() or len(self._held) >= HELD_MAX:
            return (said,)
        now = self._act.sample.now_ms
        due = self._held[0][0] if self._batch and self._held else now + self._wait
        self._held.append((due, client, said))
        return ()

    def step(self) -> None:
        self._let_go(self._act.sample.now_ms)

    def stop(self) -> None:
        self._let_go(float("inf"))

    def _let_go(self, now: float) -> None:
        while self._held and self._held[0][0] <= now:
            _, client, said = self._held.popleft()
            if client in self._act.port.clients:
                self._act.port.through(client, said, behind=self.whole)
                self._act.did()


class Answers(Doing):
    """Changes the answers to requests for snapshots; ``change`` gets target and answer."""

    def __init__(self, act: Act, change: Callable[[str, Reply], Awaitable[Reply]], *, every: bool = False) -> None:
        """``every`` = the answers to all requests."""
        super().__init__()
        self._act, self._change, self._every = act, change, every

    async def rest(self, target: str, reply: Reply) -> Reply:
        path = target.partition("?")[0]
        asked = self._every or (self._act.wire.rest != "" and self._act.wire.rest in path)
        about = self._act.market is None or self._act.about(target) is self._act.market
        if not asked or not about or not self._act.happens():
            return reply
        self._act.did()
        return await self._change(target, reply)


class Both(Doing):
    """Several effects as one."""

    def __init__(self, *effects: Doing) -> None:
        super().__init__()
        self._effects = effects
        for effect in effects:
            effect.whole = self

    def start(self) -> Awaitable[None] | None:
        started = [begun for effect in self._effects if (begun := effect.start()) is not None]
        return _all(started) if started else None

    def out(self, client: Client, said: Said) -> Iterable[Said]:
        going: Iterable[Said] = (said,)
        for effect in self._effects:
            going = [each for one in going for each in effect.out(client, one)]
        return going

    async def rest(self, target: str, reply: Reply) -> Reply:
        for effect in self._effects:
            reply = await effect.rest(target, reply)
        return reply

    def step(self) -> None:
        for effect in self._effects:
            effect.step()

    def stop(self) -> None:
        for effect in self._effects:
            effect.stop()


async def _all(waiting: list[Awaitable[None]]) -> None:
    await asyncio.gather(*waiting)


Edit = Callable[[Act, Any], bool]  #: changes what ``read`` gave; False = there was nothing to change


def edited(edit: Edit) -> Change:
    """Messages with their JSON changed."""

    def change(act: Act, memory: Memory, said: Said) -> Iterable[Said] | None:
        text = unpacked(said.payload)
        if text is None:
            return None
        value = read(text)
        return (said._replace(payload=packed_like(said.payload, written(value))),) if edit(act, value) else None

    return change


def text_changed(edit: Callable[[Act, str], str | None]) -> Change:
    """Messages with their text changed."""

    def change(act: Act, memory: Memory, said: Said) -> Iterable[Said] | None:
        text = unpacked(said.payload)
        new = None if text is None else edit(act, text)
        return None if new is None else (said._replace(payload=packed_like(said.payload, new)),)

    return change


def followed(make: Callable[[Act, str], str | None]) -> Change:
    """Messages, each followed by another that is made of it."""

    def change(act: Act, memory: Memory, said: Said) -> Iterable[Said] | None:
        text = unpacked(said.payload)
        new = None if text is None else make(act, text)
        return None if new is None else (said, said._replace(payload=packed_like(said.payload, new)))

    return change


def edited_body(act: Act, edit: Edit) -> Callable[[str, Reply], Awaitable[Reply]]:
    """Answers with their JSON changed."""

    async def change(target: str, reply: Reply) -> Reply:
        value = read(reply.body if isinstance(reply.body, str) else reply.body.decode())
        edit(act, value)
        return reply._replace(body=written(value))

    return change


def as_raw(value: object) -> Raw:
    """A number as it is to be written."""
    return Raw(str(value))
