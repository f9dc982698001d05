"""Topics that a venue refused, and when they are asked for again: after a minute, then less and less often."""

from __future__ import annotations

FIRST_NS, MOST_NS = 60_000_000_000, 3_600_000_000_000  #: until a refused topic is asked for again; doubles each time


class Refusals:
    """Those of one connection."""

    def __init__(self) -> None:
        self.taken = False  #: something was confirmed
        self._topics: dict[str, tuple[int, int]] = {}  # topic → (ns when it is asked for again, ns between the last two times)

    def refused(self, topic: str, ts: int) -> None:
        """It was asked for, and refused at ``ts``."""
        old = self._topics.get(topic)
        pause = FIRST_NS if old is None else min(2 * old[1], MOST_NS)
        self._topics[topic] = ts + pause, pause

    def confirmed(self, topic: str) -> None:
        """It is no longer refused."""
        self._topics.pop(topic, None)

    def due(self, ts: int) -> list[str]:
        """What is to be asked for again now; told once, also if nobody answers."""
        found = [topic for topic, (again, _) in self._topics.items() if ts >= again]
        for topic in found:
            self._topics[topic] = ts + MOST_NS, self._topics[topic][1]
        return found
