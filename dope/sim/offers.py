"""What a venue offers can change: markets that are refused, gone, renamed, or new."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dope.errors import BadFault
from dope.sim.dialogue import ANSWER, Client, Close, Reply, Said
from dope.sim.effects import DATA, Act, Doing
from dope.sim.wires import Raw, packed_like, read, unpacked, written

NOWHERE = "zzq"  #: what a name becomes that is to be refused
#: what a market is called in the list of a venue that calls it otherwise everywhere else
IN_LISTS: Mapping[str, Callable[[str], str]] = {
    "bitfinex": lambda native: native.removeprefix("t"), "gemini": str.upper, "kraken": lambda native: native.replace("BTC", "XBT"),
}  # fmt: skip


class Rejected(Doing):
    """Requests for a market, or for those after the first ``most`` topics, meet a market that the venue does not know."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        self._act, self._most = act, act.count("most")
        names = [act.market.spec.native] if act.market is not None else list(act.natives)
        self._names = sorted({form for name in names for form in (name, name.upper())}, key=len, reverse=True)

    def heard(self, client: Client, text: str) -> str:
        if len(client.topics) < self._most or not self._act.happens():
            return text
        for name in self._names:
            if name in text:
                self._act.did()
                text = text.replace(name, _other(name))
        return text

    def out(self, client: Client, said: Said) -> Iterable[Said]:
        text = unpacked(said.payload) if said.topic == ANSWER else None
        if text is None:
            return (said,)
        for name in self._names:
            text = text.replace(_other(name), name)
        return (said._replace(payload=packed_like(said.payload, text)),)


def _other(name: str) -> str:
    new = NOWHERE.upper() if name[-1].isupper() else NOWHERE
    return name[:1] + new + name[3:] if len(name) > 4 else new


class Delisted(Doing):
    """A market is gone: no data, requests refused, not in the list; ``to`` = it is there under another name."""

    def __init__(self, act: Act, rejected: Rejected) -> None:
        super().__init__()
        self._act, self._rejected = act, rejected
        native = act.market.spec.native if act.market is not None else ""
        self._names = frozenset((native, IN_LISTS.get(act.fault.venue, str)(native)))

    def out(self, client: Client, said: Said) -> Iterable[Said]:
        if self._act.concerns(said, DATA):
            self._act.did()
            return ()
        return self._rejected.out(client, said)

    def heard(self, client: Client, text: str) -> str:
        return self._rejected.heard(client, text)

    async def rest(self, target: str, reply: Reply) -> Reply:
        text = unpacked(reply.body if isinstance(reply.body, str) else reply.body.decode())
        if text is None or reply.status != 200 or not any(name in text for name in self._names):
            return reply
        value, new = read(text), str(self._act.params["to"])
        if not new and isinstance(value, list) and isinstance(value[0], dict) and "universe" in value[0]:
            _strip_two(value[0]["universe"], value[1], self._names)
        return reply._replace(body=written(_without(value, self._names, new)))


class Unlisted(Doing):
    """A market that is not there yet: not in the list, unknown to whoever asks for it. After ``s`` it is new."""

    def __init__(self, act: Act) -> None:
        super().__init__()
        if act.market is None:
            raise BadFault("list_new needs the symbol of the market that is to come")
        self._act, self._market = act, act.market
        self._gone = Delisted(act, Rejected(act))

    def start(self) -> None:
        """Whoever watches it already begins anew, without it."""
        self._act.later(self._act.number("s") * 1000, self._listed)
        for client in list(self._act.port.clients):
            if any(self._act.about(topic) is self._market for topic in client.topics):
                self._act.port.end(client, Close(1001, "going away"))

    def _listed(self) -> None:
        self._act.did()
        self._act.over = True

    def out(self, client: Client, said: Said) -> Iterable[Said]:
        return () if self._act.concerns(said, DATA) else self._gone.out(client, said)

    def heard(self, client: Client, text: str) -> str:
        return self._gone.heard(client, text)

    async def rest(self, target: str, reply: Reply) -> Reply:
        if self._act.about(target) is self._market:
            return Reply(400, '{"code":-1121,"msg":"Invalid symbol."}')
        return await self._gone.rest(target, reply)


def _strip_two(rows: list[Any], beside: list[Any], names: frozenset[str]) -> None:
    """Take the rows that name one of these out of a list and out of the one beside it, which has the same order (Hyperliquid)."""
    for place in [place for place, row in enumerate(rows) if _names(row, names)][::-1]:
        del rows[place], beside[place]


def _without(value: Any, names: frozenset[str], new: str) -> Any:
    """JSON without the rows that have one of these names, or with another name in them."""
    if isinstance(value, list):
        return [_without(each, names, new) for each in value if new or not _names(each, names)]
    if isinstance(value, dict):
        kept = {key: each for key, each in value.items() if new or not (isinstance(each, dict) and _names(each, names))}
        return {key: _without(each, names, new) for key, each in kept.items()}
    return new if new and isinstance(value, str) and value in names and not isinstance(value, Raw) else value


def _names(value: Any, names: frozenset[str]) -> bool:
    if isinstance(value, dict):
        return any(isinstance(each, str) and each in names for each in value.values())
    return isinstance(value, list) and bool(value) and isinstance(value[0], str) and value[0] in names
