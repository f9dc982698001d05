"""How often one address may ask: a token bucket per address and kind of request, in bounded memory."""

from __future__ import annotations

import ipaddress
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

MAX_BUCKETS = 8192  #: address and kind; beyond, the bucket not used for longest is forgotten (and would be full again soon)
#: reads that go through files or many rows
COSTLY_PATHS = ("/api/v1/export/", "/api/v1/history", "/api/v1/gaps", "/api/v1/matrix", "/api/v1/pair")
COSTLY_WISHES = frozenset({"train", "backtest", "replay"})
READING_POSTS = ("/_dash-update-component",)  #: the page's own way to read


class Limit(NamedTuple):
    """``per_s`` in the long run, ``burst`` at once."""

    per_s: float
    burst: float


class Rates:
    """``limits`` per kind of request; ``clock_ns`` never falls."""

    def __init__(self, limits: Mapping[str, Limit], clock_ns: Callable[[], int]) -> None:
        self._limits, self._clock_ns = limits, clock_ns
        self._lock = threading.Lock()
        self._buckets: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()

    def take(self, address: str, kind: str) -> int:
        """Spend one request: 0 = welcome, else whole seconds until the next one may come."""
        with self._lock:
            limit, key, left = self._left(address, kind)
            if left < 1.0:
                return self._wait(limit, left)
            self._buckets[key] = (left - 1.0, self._clock_ns())
            self._buckets.move_to_end(key)
            while len(self._buckets) > MAX_BUCKETS:
                self._buckets.popitem(last=False)
            return 0

    def wait(self, address: str, kind: str) -> int:
        """What ``take`` would answer, without spending."""
        limit, _, left = self._left(address, kind)
        return 0 if left >= 1.0 else self._wait(limit, left)

    def _left(self, address: str, kind: str) -> tuple[Limit, tuple[str, str], float]:
        limit, key = self._limits[kind], (block(address), kind)
        had, at = self._buckets.get(key, (limit.burst, 0))
        return limit, key, min(limit.burst, had + max(0, self._clock_ns() - at) / 1e9 * limit.per_s)

    @staticmethod
    def _wait(limit: Limit, left: float) -> int:
        return max(1, math.ceil((1.0 - left) / limit.per_s))


@lru_cache(maxsize=4096)
def block(address: str) -> str:
    """Who counts as one: an IPv4 address, or an IPv6 network of 64 bits, which one subscriber has whole."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((parsed, 64), strict=False))
    return address


def kind_of(method: str, path: str) -> str | None:
    """Which bucket a request is taken from; None = files, the live stream and what supervisors ask."""
    if path.startswith(COSTLY_PATHS):
        return "costly"
    if path.startswith("/api/") or path in READING_POSTS or path in ("/metrics", "/openapi.json", "/sign-in"):
        return "reads" if method in ("GET", "HEAD") or path in READING_POSTS else "writes"
    return None
