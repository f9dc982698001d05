"""Faults of the venues against what the session noticed: each kind must show in the way that its registry says, and nothing else may.

  due      "noticed" and "closed" kinds that did something, at venues that number their messages where it takes numbers to notice;
           "silent" kinds that lasted longer than the silence limit of the venue
  found    a gap, a book that is not LIVE, or a closed connection of that venue, from the fault on until SOON_MS after it
  false    such a thing without any fault of that venue within RECOVERY_MS before it, or because of a kind of which nothing is due
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from dope.sim.journal import Planted
from dope.sim.kinds import KINDS
from dope.trial.doubts import RECOVERY_MS, faults_of, lasted
from dope.trial.finding import Finding, when
from dope.trial.stage import MS, Played
from dope.types import ClosedInfo

SOON_MS = 5_000
AFTER_STALL_MS = 1_000  #: what our own loop missed shows so soon after it
SLACK_MS = 500  #: on top of a silence limit
REASONS = ("disconnected", "unsubscribed")  #: of gaps that follow from a closed connection
NUMBERS = ("gap", "reorder")  #: kinds that only who numbers messages can notice


_closed = msgspec.json.Decoder(ClosedInfo).decode


class Sign(NamedTuple):
    """Something that the session noticed; ``key`` "" = of the whole venue."""

    ms: int
    venue: str
    key: str
    words: str


def signs(played: Played) -> list[Sign]:
    """All that the session noticed of the venues since every book was LIVE, oldest first."""
    witness, found = played.witness, []
    for gap in witness.gaps:
        if gap.reason not in REASONS:
            found.append(Sign(gap.ts // MS, gap.key.partition(":")[0], gap.key, f"gap: {gap.reason}"))
    for state in witness.states:
        if state.state != "LIVE" and state.was == "LIVE":
            found.append(Sign(state.ts // MS, state.key.partition(":")[0], state.key, f"{state.state}: {state.reason}"))
    for link in witness.links:
        if not link.up and not (why := _closed(link.about)).planned:
            found.append(Sign(link.ts // MS, link.venue, "", f"connection closed: {why.reason}"))
    return sorted(sign for sign in found if sign.ms > played.ready_ms)


def alarms(played: Played) -> list[Finding]:
    """One finding for each kind of fault that was planted, and one for what had no cause."""
    noticed, planted = signs(played), faults_of(played)
    found: dict[str, Finding] = {}
    for entry in planted:
        finding = found.setdefault(entry.kind, Finding(entry.kind))
        finding.injected += 1
        start, end = lasted(played, entry)
        first = played.at(int(entry.params.get("first_ms", 0)) or entry.start_ms)
        key = f"{entry.venue}:{entry.symbol}" if entry.symbol else ""
        hits = [s for s in noticed if s.venue == entry.venue and key in ("", s.key or key) and first <= s.ms <= end + SOON_MS]
        due = KINDS[entry.kind].due
        if due == "nothing":
            finding.false += [f"event {entry.id} {entry.kind} at {key or entry.venue}: {s.words} at {when(played, s.ms)}" for s in hits]
        elif _is_due(played, entry, start, end):
            finding.due += 1
            if hits:
                finding.detected += 1
                finding.latency_ms.append(hits[0].ms - first)
            else:
                finding.missed.append(f"event {entry.id} {entry.kind} at {key or entry.venue} {when(played, start)}: nothing was noticed")
    alarm = Finding("alarm without a cause")
    for sign in noticed:
        spans = [lasted(played, entry) for entry in planted if entry.venue == sign.venue]
        if any(start <= sign.ms <= end + RECOVERY_MS for start, end in spans):
            continue
        if any(start <= sign.ms <= stop + AFTER_STALL_MS for start, stop in played.stalls):
            alarm.late += 1
        else:
            alarm.false.append(f"{sign.key or sign.venue} at {when(played, sign.ms)}: {sign.words}")
    return [*found.values(), alarm]


def _is_due(played: Played, entry: Planted, start: int, end: int) -> bool:
    venue, due = played.session.engine.venues[entry.venue], KINDS[entry.kind].due
    if due == "silent":
        return end - start >= venue.IDLE_S * 1000 + SLACK_MS
    if due not in ("noticed", "closed") or (not venue.NUMBERED and entry.kind in NUMBERS):
        return False
    return "done" not in entry.params or bool(entry.params["done"])
