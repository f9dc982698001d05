"""A surge: a venue says everything several times, books' differences too, each with numbers of its own, and its numbers go on from there.

A level says a size, not a change, so a difference that is said again leaves the book as it is; only its numbers must be those that follow.
What the venue says of that market from then on, over whatever connection and by REST, counts on behind them (``Ahead``).
"""

from __future__ import annotations

from collections.abc import Iterable

from dope.sim.dialogue import ANSWER, Client, Reply, Said
from dope.sim.effects import DATA, Act, Doing
from dope.sim.port import Effect
from dope.sim.wires import following, packed_like, read, renumbered, unpacked, written

OWED_MAX = 10_000  #: messages that one client may still be owed
HEAD = 400  #: characters of an answer in which the market is named


class Ahead(Effect):
    """By how many numbers each market is ahead of what its server counts. Stands before all other effects, for as long as the port does."""

    def __init__(self, act: Act) -> None:
        self.by: dict[str, int] = {}  #: native name → numbers
        self._act = act
        self._newest: tuple[str | bytes, Said] | None = None  # a payload, which many clients may get, and what became of it

    @classmethod
    def of(cls, act: Act) -> Ahead:
        """That of the port of this fault."""
        effects = act.port.effects
        if not effects or not isinstance(effects[0], Ahead):
            effects.insert(0, cls(act))
        first = effects[0]
        assert isinstance(first, Ahead)
        return first

    def out(self, client: Client, said: Said) -> Iterable[Said]:
        if said.raw:
            return (said,)
        if self._newest is None or self._newest[0] is not said.payload:
            text = unpacked(said.payload) or ""
            moved = self._moved(said.topic if said.topic != ANSWER else text[:HEAD], text)
            self._newest = said.payload, said._replace(payload=packed_like(said.payload, moved)) if moved else said
        return (self._newest[1],)

    async def rest(self, target: str, reply: Reply) -> Reply:
        return self.answered(target, reply)

    def answered(self, target: str, reply: Reply) -> Reply:
        """The answer to a request for this path and query, with its numbers moved on."""
        moved = self._moved(target, reply.body if isinstance(reply.body, str) else "") if self._act.wire.rest in target else ""
        return reply._replace(body=moved) if moved else reply

    def _moved(self, about: str, text: str) -> str:
        """A message with its numbers moved on; "" = it has none."""
        lower = about.lower()
        native = max((name for name in self._act.natives if name.lower() in lower), key=len, default="")
        by = self.by.get(native, 0)
        if not by:
            return ""
        try:
            value = read(text)
        except ValueError:
            return ""
        renumbered(value, self._act.wire, lambda number: number + by)
        return written(value)


class Surge(Doing):
    """For ``s`` seconds a client gets ``x`` messages for each one. Only a whole book that differences follow is not said again."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self._act, self._more = act, max(0.0, act.number("x") - 1.0)
        self._owed: dict[Client, float] = {}
        self._newest: tuple[str | bytes, list[Said]] | None = None  # a difference, which many clients may get, and what follows it

    def start(self) -> None:
        self._act.later(self._act.number("s") * 1000, self._end)

    def _end(self) -> None:
        self._act.over = True

    def out(self, client: Client, said: Said) -> Iterable[Said]:
        act, where = self._act, self._act.wire
        if said.raw or act.over or not act.concerns(said, DATA):
            return (said,)
        owed = self._owed[client] = min(self._owed.get(client, 0.0) + self._more, OWED_MAX)
        of_book = where.book in said.topic and where.sides != ("levels",)
        if of_book and act.is_snapshot(said):
            return (said,)
        again = self._again(said, int(owed), of_book=of_book)
        self._owed[client] = owed - len(again)
        act.done += len(again)
        act.first_ms = act.first_ms or act.sample.now_ms
        client.ahead += len(again) if where.counted else 0
        return (said, *again)

    def _again(self, said: Said, times: int, *, of_book: bool) -> list[Said]:
        """What follows a message."""
        where = self._act.wire
        if not where.numbers or not (of_book or where.counted):
            return [said] * times
        if where.counted:
            return [self._numbered(said, place) for place in range(1, times + 1)]
        if self._newest is None or self._newest[0] is not said.payload:
            market = self._act.about(said.topic)
            ahead = Ahead.of(self._act).by
            if market is not None:
                ahead[market.spec.native] = ahead.get(market.spec.native, 0) + times
            self._newest = said.payload, [self._numbered(said, place) for place in range(1, times + 1)]
        return self._newest[1]

    def _numbered(self, said: Said, place: int) -> Said:
        value = read(unpacked(said.payload) or "null")
        if self._act.wire.counted:
            renumbered(value, self._act.wire, lambda number: number + place)
        else:
            following(value, self._act.wire, place)
        return said._replace(payload=packed_like(said.payload, written(value)))
