"""What holding a basis pays: entry, funding at every settlement until the exit, convergence, and four fees. Closed form, no market here.

Two legs: ``a`` (spot, or a perpetual) and ``b`` (a perpetual). Side +1 is long a and short b: it earns b's funding while that is
positive, pays a's, and gains when b comes down to a. Side −1 is the other way round. Figures are bps of the notional of one leg.
A basis is no arbitrage: it stands for good reasons, and most of what it seems to pay is eaten by four fees.
"""

from __future__ import annotations

import msgspec
import numpy as np

HOUR_NS = 3_600_000_000_000
DAYS = 365
BPS = 1e4
LONGEST_H = 24 * 90  #: a break-even later than this is none


class Fund(msgspec.Struct, frozen=True):
    """Funding of a perpetual as it stands: ``rate`` per interval, a fraction that the long side pays; times in ns."""

    rate: float
    next_ns: int
    interval_ns: int

    @property
    def annual_pct(self) -> float:
        """Percent per year, at this rate throughout."""
        return funding_annual_pct(self.rate, self.interval_ns / HOUR_NS)


NO_FUND = Fund(0.0, 0, HOUR_NS)  #: of spot


class Outcome(msgspec.Struct, frozen=True):
    """What one side would bring: ``funding + convergence − fees = net``, all bps; ``events`` = settlements of (a, b) in the time."""

    side: int
    events: tuple[int, int]
    funding: float
    convergence: float
    fees: float

    @property
    def net(self) -> float:
        return self.funding + self.convergence - self.fees


class Hold(msgspec.Struct, frozen=True):
    """From ``now`` until ``until`` (ns), out at ``exit_bps``; ``fees`` = of buying a, selling a, buying b, selling b, fractions.

    All four are paid, whichever side it is: one leg is bought first and sold last, the other one sold first and bought last.
    """

    now: int
    until: int
    funds: tuple[Fund, Fund]
    fees: tuple[float, float, float, float]
    exit_bps: float = 0.0

    @property
    def fees_bps(self) -> float:
        """Both legs, in and out."""
        return sum(self.fees) * BPS

    def outcome(self, entry_bps: float, side: int) -> Outcome:
        """What this side brings when it gets in at a basis of ``entry_bps``."""
        events = (settlements(self.now, self.until, self.funds[0]), settlements(self.now, self.until, self.funds[1]))
        funding = events[1] * self.funds[1].rate - events[0] * self.funds[0].rate
        return Outcome(side, events, side * funding * BPS, side * (entry_bps - self.exit_bps), self.fees_bps)

    def break_even_ns(self, entry_bps: float, side: int) -> int | None:
        """How long it must be held until nothing is lost, at today's rates; 0 = from the start, None = not within ``LONGEST_H``."""
        owed = self.fees_bps - side * (entry_bps - self.exit_bps)
        if owed <= 0.0:
            return 0
        last = self.now + LONGEST_H * HOUR_NS
        times, gains = [], []
        for fund, sign in zip(self.funds, (-side, side), strict=True):
            if fund.rate:
                instants = np.arange(first_after(self.now, fund), last + 1, fund.interval_ns, dtype=np.int64)
                times.append(instants)
                gains.append(np.full(len(instants), sign * fund.rate * BPS))
        if not times:
            return None
        at, gain = np.concatenate(times), np.concatenate(gains)
        order = np.argsort(at, kind="stable")
        at, total = at[order], np.cumsum(gain[order])
        ends = np.append(at[1:] != at[:-1], True)  # what settles at one instant counts together
        enough = np.flatnonzero((total >= owed - 1e-9) & ends)
        return int(at[enough[0]]) - self.now if len(enough) else None


def basis_bps(a: float, b: float) -> float:
    """By how much b is above a, bps."""
    return (b / a - 1.0) * BPS


def funding_annual_pct(rate: float, interval_h: float) -> float:
    """Percent per year of a rate per interval."""
    return rate * 24.0 / interval_h * DAYS * 100.0


def apr_pct(net_bps: float, hold_h: float) -> float:
    """Percent per year of what is earned in ``hold_h``, not compounded."""
    return net_bps / 100.0 * 24.0 * DAYS / hold_h


def first_after(now: int, fund: Fund) -> int:
    """The first settlement after ``now`` (one at ``now`` itself is over). Without a known one: whole intervals of UTC."""
    known, step = fund.next_ns, fund.interval_ns
    if known > now:
        return known
    return known + ((now - known) // step + 1) * step


def settlements(now: int, until: int, fund: Fund) -> int:
    """Settlements in (now, until]."""
    if fund is NO_FUND:
        return 0
    first = first_after(now, fund)
    return (until - first) // fund.interval_ns + 1 if first <= until else 0
