"""The way of an event to the screen: what a page notes of each message, and what the parts of the way are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bench.figures import Figure, figure

#: notes, in ms since 1970 by the page's clock: [stamp of the newest event, shown], [stamp of an event, shown, what it waited for a
#: publication], and of each message [drawn, encoded, sent and received less the clocks' difference, taken in, shown], ms each
HOOK = """() => {
  window.px = { newest: [], every: [], parts: [] };
  const real = DOPE.receive, now = () => performance.timeOrigin + performance.now();
  DOPE.receive = (message) => {
    const got = now(), used = real(message), taken = now();
    if (!used || message.type !== "delta") return used;
    const stamp = message.event_ns / 1e6, events = (message.data.events || []).filter((e) => e.kind === "opp").map((e) => e.t);
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => {
        const shown = now();
        if (stamp && Object.keys(message.data).length) {
          window.px.newest.push([stamp, shown]);
          const published = message.t - message.age_ms;
          window.px.parts.push([published - stamp, message.age_ms, got - message.t, taken - got, shown - taken]);
        }
        for (const t of events) window.px.every.push([t, shown, stamp - t]);
      };
      channel.port2.postMessage(0);
    });
    return used;
  };
}"""

TAKE = """() => {
  const told = window.px;
  window.px = { newest: [], every: [], parts: [] };
  return { ...told, own: [DOPE.delay(0.5), DOPE.delay(0.99)] };
}"""


#: the way of the newest event of a message to the screen, in the order of ``HOOK``
WAY = ("drawing the publication", "waiting for the broadcaster, and encoding", "to the page, until its thread is free",
       "taken in by the page", "until the frame is drawn")  # fmt: skip


class Phase(NamedTuple):
    """One stretch of the run: which watchers, when (ns of the monotonic clock), CPU seconds of the program, messages to clients."""

    kind: str
    start: int
    end: int
    cpu_s: float
    updates: int
    pixel: dict[str, list[float]]  #: ms
    way: list[list[float]] = []  #: of each message, ms by part of ``WAY``


def pixels(phases: Sequence[Phase]) -> list[Figure]:
    """Delays to the screen of one kind of phase."""
    told: list[Figure] = []
    names = {"newest": ("newest event shown → pixel", 100.0), "every": ("any event → pixel", None)}
    for name, (words, target) in names.items():
        values = [np.array(phase.pixel[name]) for phase in phases if phase.pixel.get(name)]
        samples = sum(map(len, values))
        for q in (50, 95):
            if samples >= 20:
                wanted = target if q == 95 and phases[0].kind.endswith("watchers") else None
                rounds = [float(np.percentile(each, q)) for each in values]
                told.append(figure(f"{words}, {phases[0].kind}: p{q}", "ms", rounds, samples, target=wanted))
    told += ways(phases)
    own = [phase.pixel["own"][0] for phase in phases if phase.pixel.get("own")]
    if own:
        told.append(figure(f"the page's own p50, {phases[0].kind}", "ms", own, len(own)))
    return told


def ways(phases: Sequence[Phase]) -> list[Figure]:
    """What the way to the screen is made of: on average, and of the slowest twentieth, whose parts sum to what they took."""
    told: list[Figure] = []
    rows = np.array([row for phase in phases for row in phase.way]).reshape(-1, len(WAY))
    waited = [wait for phase in phases for wait in phase.pixel.get("waited", ())]
    if waited:
        mean = float(np.mean(waited))
        told.append(figure(f"an event's wait for the next publication, {phases[0].kind}: mean", "ms", [mean], len(waited)))
    if len(rows) < 20:
        return told
    whole = rows.sum(axis=1)
    slow = rows[np.argsort(whole)[-max(1, len(rows) // 20) :]]
    for words, some in (("mean", rows), ("slowest 5 %", slow)):
        means = some.mean(axis=0)
        for name, value in zip(WAY, means.tolist(), strict=True):
            note = f"{100 * value / means.sum():.0f} %"
            told.append(figure(f"newest event → pixel, {phases[0].kind}, {words}: {name}", "ms", [value], len(some), note=note))
    return told
