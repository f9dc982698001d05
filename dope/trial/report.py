"""What a trial comes to: one line per kind of planted thing, every missed and false one in words, and whether all is well."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from dope.settings import Settings
from dope.sim.crossed import Crossed
from dope.sim.exact import Exact
from dope.sim.venue import listings
from dope.trial import rounds
from dope.trial.alarms import alarms
from dope.trial.contrasts import Contrasts, Waits
from dope.trial.crossing import crossings
from dope.trial.finding import Finding
from dope.trial.judge import arbitrage, dislocations, legs, reread, rules_of
from dope.trial.leads import Leading
from dope.trial.moves import Moves
from dope.trial.seen import Seen
from dope.trial.stage import Case, Played, play, ready
from dope.trial.stepped import run_stepped

LINES = 200  #: of each sort that are told in words
COLUMNS = ("kind", "injected", "due", "detected", "missed", "false", "off", "late", "stale", "unsure", "p50 ms", "p99 ms", "max ms")


def run(case: Case, settings: Settings, *, stepped: bool) -> dict[str, Any]:
    """Play the case and judge it, as one JSON object; ``ok`` = nothing was missed, false or off. Crosses are watched besides."""
    ready()
    crosses = sorted({spec.symbol for spec in listings(case.venues) if spec.cross} - set(settings.symbols))
    settings = settings.model_copy(update={"symbols": (*settings.symbols, *crosses)})
    done: list[Played] = []

    async def main() -> None:
        done.append(await play(case, settings))

    run_stepped(main()) if stepped else asyncio.run(main())
    return report(done[0])


def report(played: Played) -> dict[str, Any]:
    """What was found in a play that is over."""
    exact, crossed = Exact(legs(played), rules_of(played)), Crossed(legs(played), rules_of(played))
    ways, seen = rounds.watcher(played), Seen()
    waits = Waits()
    reread(played, exact, crossed, ways, seen, waits, traded=seen.traded, over=waits.over)  # once for all: it makes every book anew
    lives, moves = exact.finish(played.end_ms), Moves(played, seen)
    findings = [
        dislocations(played, lives), arbitrage(played, lives), crossings(played, crossed.finish(played.end_ms)),
        rounds.triangles(played, ways.finish(played.end_ms)), moves.jumps(), moves.links(),
        Leading(played, moves).finding(), Contrasts(played, seen, waits).finding(), moves.bursts(), *alarms(played),
    ]  # fmt: skip
    books = played.session.engine.market.books.values()
    case = played.case
    return {
        "seed": case.seed, "seconds": case.seconds, "scenario": case.scenario,
        "venues": list(case.venues), "faults": len(case.faults), "stepped": played.stepped,
        "ready_s": (played.ready_ms - played.at_ms[0]) / 1000,
        "messages": sum(server.port.sent for server in played.world.servers.values()), "markets": len(books),
        "stalls": len(played.stalls), "longest_stall_ms": max((stop - start for start, stop in played.stalls), default=0),
        "kinds": [_row(finding) for finding in findings],
        "words": {sort: [line for f in findings for line in getattr(f, sort)][:LINES] for sort in ("missed", "false", "off")},
        "ok": not any(finding.missed or finding.false or finding.off for finding in findings),
    }  # fmt: skip


def _row(finding: Finding) -> dict[str, Any]:
    ordered = sorted(finding.latency_ms)
    row: dict[str, Any] = {name: getattr(finding, name) for name in ("kind", "injected", "due", "detected")}
    row |= {name: len(getattr(finding, name)) for name in ("missed", "false", "off")}
    row |= {name: getattr(finding, name) for name in ("late", "stale", "unsure")}
    for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99), ("max_ms", 1.0)):
        row[name] = ordered[math.ceil(share * len(ordered)) - 1] if ordered else None
    return row


def table(found: dict[str, Any]) -> str:
    """The same to be read."""
    rows = [COLUMNS, *([_cell(value) for value in row.values()] for row in found["kinds"])]
    widths = [max(len(row[k]) for row in rows) for k in range(len(COLUMNS))]
    lines = []
    for first, *rest in rows:
        lines.append("  ".join([first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]))
    for sort, told in found["words"].items():
        lines += [f"{sort}: {line}" for line in told]
    played = f"{found['seconds']:g} s of {len(found['venues'])} venues, {found['markets']} markets, {found['messages']} messages"
    late = f"our own loop was late {found['stalls']} times, at most {found['longest_stall_ms']} ms"
    lines.append(f"seed {found['seed']}, scenario {found['scenario']}, {played}, {'stepped' if found['stepped'] else late}")
    return "\n".join([*lines, "all is well" if found["ok"] else "NOT well"])


def _cell(value: Any) -> str:
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
