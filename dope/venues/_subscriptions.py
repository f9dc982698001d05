"""What a venue was asked for and has not confirmed yet, what it refused, and when all that is to be sent has left; by connection."""

from __future__ import annotations

from collections.abc import Iterable

from dope.venues._refusals import Refusals


class Subscriptions:
    """All connections of one venue; times are ns."""

    def __init__(self) -> None:
        self.unacked: dict[int, dict[str, int]] = {}  #: connection → topic → when it was asked for
        self._refusals: dict[int, Refusals] = {}  # by connection
        self._free: dict[int, int] = {}  # connection → when all that is to be sent has left

    def asked(self, conn: int, topics: Iterable[str], at: int) -> None:
        """These topics are asked for, in a text that leaves ``at`` this time."""
        self.unacked.setdefault(conn, {}).update(dict.fromkeys(topics, at))

    def answered(self, conn: int, topic: str, ts: int, *, ok: bool, bare: bool = False) -> bool:
        """The venue confirmed or refused this topic, which brings no data when it is ``bare``. True = something asked for is refused."""
        refusals = self._refusals.setdefault(conn, Refusals())
        waited = self.unacked.get(conn, {}).pop(topic, None) is not None
        if ok:
            refusals.confirmed(topic)
            refusals.taken = refusals.taken or not bare
        elif waited:
            refusals.refused(topic, ts)
        return waited and not ok

    def hopeless(self, conn: int) -> bool:
        """Everything is answered, and nothing that brings data was taken: nothing will ever come of this connection."""
        return not self.unacked.get(conn) and not (conn in self._refusals and self._refusals[conn].taken)

    def waiting(self, conn: int) -> list[str]:
        """Topics that are neither confirmed nor refused."""
        return list(self.unacked.get(conn, ()))

    def late(self, since: int) -> list[tuple[int, list[str]]]:
        """(connection, topics) of those that were asked for before ``since`` and have no answer."""
        found = [(conn, [topic for topic, asked in topics.items() if asked < since]) for conn, topics in self.unacked.items()]
        return [(conn, topics) for conn, topics in found if topics]

    def due(self, ts: int) -> list[tuple[int, list[str]]]:
        """(connection, topics) of those that were refused and are to be asked for again now."""
        return [(conn, refusals.due(ts)) for conn, refusals in self._refusals.items()]

    def leaves(self, conn: int, ts: int, per_s: float) -> int:
        """When a text that is to be sent now leaves: behind those before it, so many a second."""
        at = max(ts, self._free.get(conn, 0))
        self._free[conn] = at + int(1e9 / per_s)
        return at

    def closed(self, conn: int) -> None:
        """The connection has ended."""
        for kept in (self.unacked, self._refusals, self._free):
            kept.pop(conn, None)
