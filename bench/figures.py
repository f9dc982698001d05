"""Figures as every benchmark reports them: quantiles, one table, the machine they come from, and the same as JSON in bench/out."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

import msgspec
import numpy as np

OUT = Path(__file__).resolve().parent / "out"
QUANTILES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0))
ENOUGH = 10  #: samples that must lie beyond a quantile for it to be told


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measured figure: ``value`` is the median of ``rounds`` repetitions; ``target`` an upper bound, None = told only."""

    name: str
    value: float
    unit: str
    samples: int
    rounds: tuple[float, ...]
    target: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met, None without one."""
        return None if self.target is None else self.value <= self.target


def figure(name: str, unit: str, rounds: Sequence[float], samples: int, *, target: float | None = None, note: str = "") -> Figure:
    """The median of ``rounds``."""
    kept = tuple(map(float, rounds))
    return Figure(name=name, value=median(kept), unit=unit, samples=samples, rounds=kept, target=target, note=note)


def quantiles(values: np.ndarray) -> dict[str, float]:
    """p50 … max by name; one with fewer than ENOUGH samples beyond it is left out, so that no chance is told as a tail."""
    ordered = np.sort(values)
    told = [(name, q) for name, q in QUANTILES if q == 1.0 or len(ordered) * (1.0 - q) >= ENOUGH]
    return {name: float(ordered[min(len(ordered) - 1, int(len(ordered) * q))]) for name, q in told} if len(ordered) else {}


class Machine:
    """The machine, and how busy it was between the start and the end of a benchmark."""

    def __init__(self) -> None:
        self._load, self._began = os.getloadavg()[0], time.monotonic()

    def facts(self) -> dict[str, float | int | str]:
        """What belongs beside every figure."""
        return {
            "cores": os.cpu_count() or 0, "load_start": self._load, "load_end": os.getloadavg()[0],
            "real_time": os.sched_getscheduler(0) != os.SCHED_OTHER,
            "python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}",
            "seconds": round(time.monotonic() - self._began, 1),
        }  # fmt: skip

    def line(self) -> str:
        """The same for people."""
        facts = self.facts()
        return (
            "{cores} cores, load average {load_start:.1f} at the start and {load_end:.1f} at the end, Python {python} on {system}, "
            "{seconds:.0f} s"
        ).format(**facts) + (", scheduled in real time" if facts["real_time"] else "")


def table(figures: Iterable[Figure]) -> str:
    """One line a figure: median, spread of the repetitions, unit, samples, target."""
    rows = [("", "median", "least … most", "unit", "samples", "target", "")]
    for each in figures:
        spread = f"{min(each.rounds):,.3g} … {max(each.rounds):,.3g}" if len(each.rounds) > 1 else ""
        target = "" if each.target is None else f"≤ {each.target:g} {'met' if each.met else 'MISSED'}"
        rows.append((each.name, f"{each.value:,.3g}", spread, each.unit, f"{each.samples:,}", target, each.note))
    widths = [max(len(row[i]) for row in rows) for i in range(6)]
    right = [[cell.rjust(width) for cell, width in zip(row[1:6], widths[1:], strict=True)] for row in rows]
    aligned = [[row[0].ljust(widths[0]), *cells, row[6]] for row, cells in zip(rows, right, strict=True)]
    return "\n".join("  ".join(cells).rstrip() for cells in aligned)


def publish(bench: str, machine: Machine, figures: Sequence[Figure], *, folder: Path = OUT) -> None:
    """Print the table and the machine, and leave both in ``folder`` as JSON."""
    print(table(figures))
    print(machine.line(), flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    told = {"bench": bench, "machine": machine.facts(), "figures": [msgspec.to_builtins(each) | {"met": each.met} for each in figures]}
    (folder / f"{bench}.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
