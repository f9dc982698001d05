"""What one check of a reference vector says, and the few ways of comparing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

Document = Mapping[str, Any]
NOT_YET = "not yet"
ANY = "*"  #: the only key of a part that answers for every key of its files: these are names of series


class Case(NamedTuple):
    """One line of the report; ``ok`` None = the product does not compute this yet."""

    case: str
    measured: str
    expected: str
    ok: bool | None


class Part(NamedTuple):
    """Who answers for some top-level keys of the files of one kind. ``check`` gets the file, and the folder of market data."""

    keys: tuple[str, ...]
    check: Callable[[Document, Path], Iterator[Case]]


def near(case: str, measured: float | None, expected: float | None, *, abs_tol: float = 0.0, rel_tol: float = 0.0) -> Case:
    """Two figures, equal within the larger of both tolerances; None and not-a-number equal only themselves."""
    return Case(case, _figure(measured), _figure(expected), _close(measured, expected, abs_tol, rel_tol))


def all_near(case: str, measured: Any, expected: Any, *, abs_tol: float = 0.0, rel_tol: float = 0.0) -> Case:
    """Two rows of figures; the report shows how many there are and the worst difference."""
    got, want = list(measured), list(expected)
    if len(got) != len(want):
        return Case(case, f"{len(got)} figures", f"{len(want)} figures", False)
    good = [_close(a, b, abs_tol, rel_tol) for a, b in zip(got, want, strict=True)]
    gaps = [abs(a - b) for a, b in zip(got, want, strict=True) if a is not None and b is not None and math.isfinite(a) and math.isfinite(b)]
    return Case(case, f"{sum(good)} of {len(want)} equal, worst difference {max(gaps, default=0.0):.3g}", f"within {abs_tol or rel_tol:g}",
                all(good))  # fmt: skip


def same(case: str, measured: object, expected: object) -> Case:
    """Two values that must be equal."""
    return Case(case, str(measured), str(expected), measured == expected)


def within(case: str, measured: float, low: float, high: float) -> Case:
    """A figure that must lie in a range, ends included."""
    return Case(case, _figure(measured), f"{_figure(low)} … {_figure(high)}", low <= measured <= high)


def _close(a: float | None, b: float | None, abs_tol: float, rel_tol: float) -> bool:
    if a is None or b is None:
        return a is b
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return a == b or abs(a - b) <= max(abs_tol, rel_tol * abs(b))


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.12g}"
