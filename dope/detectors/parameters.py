"""Parameters of detectors: figures with a unit, a range and a meaning, changed while the market runs and kept on the tape.

A detector that has some names itself (``NAME``), its ``PARAMETERS`` (a frozen Struct of floats, each annotated with its range, its
unit as the title and what it does as the description), holds them as ``parameters`` and wants ``Setting``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import inspect

from dope.types import Fault, Setting

P = TypeVar("P", bound=msgspec.Struct)
Values = dict[str, dict[str, float]]  #: detector → name → value


class Parametrised(Protocol):
    """A detector with parameters; ``parameters`` is an instance of ``PARAMETERS``."""

    NAME: str
    PARAMETERS: type[msgspec.Struct]

    @property
    def parameters(self) -> msgspec.Struct: ...


class Parameter(msgspec.Struct, frozen=True):
    """One parameter as it is shown: ``least`` and ``most`` may be had themselves."""

    detector: str
    name: str
    value: float
    usual: float
    unit: str
    least: float
    most: float
    about: str


class _Told(msgspec.Struct):
    """What a SET frame says of parameters; the rest of it is for others."""

    parameters: Values | None = None


_told = msgspec.json.Decoder(_Told)


def parametrised(detectors: Iterable[Any]) -> list[Parametrised]:
    """Those of them that have parameters, in order."""
    return [detector for detector in detectors if hasattr(detector, "PARAMETERS")]


def table(detectors: Iterable[Any]) -> list[Parameter]:
    """Every parameter of these detectors as it is in force."""
    found = []
    for detector in parametrised(detectors):
        for field in inspect.type_info(detector.PARAMETERS).fields:  # type: ignore[attr-defined]
            words, kind = field.type.extra_json_schema or {}, field.type.type
            found.append(
                Parameter(
                    detector.NAME, field.name, getattr(detector.parameters, field.name), field.default,
                    words.get("title", ""), kind.ge, kind.le, words.get("description", ""),
                )
            )  # fmt: skip
    return found


def in_force(detectors: Iterable[Any]) -> Values:
    """The values in force, as ``changed`` takes them."""
    return {detector.NAME: msgspec.structs.asdict(detector.parameters) for detector in parametrised(detectors)}


def changed(parameters: P, values: Mapping[str, Any]) -> P:
    """These parameters with some values changed. Raises ValueError for an unknown name and for a value out of its range."""
    kinds = {field.name: field.type.type for field in inspect.type_info(type(parameters)).fields}  # type: ignore[attr-defined]
    for name, value in values.items():
        if name not in kinds:
            raise ValueError(f"unknown parameter {name!r}; one of {', '.join(kinds)}")
        low, high = kinds[name].ge, kinds[name].le
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise ValueError(f"{name} cannot be {value!r}: from {low:g} to {high:g}")
    return msgspec.structs.replace(parameters, **{name: float(value) for name, value in values.items()})


def checked(detectors: Iterable[Any], values: Mapping[str, Any]) -> Values:
    """All parameters with these changes, detector → name → value. Raises ValueError for what cannot be."""
    known = {detector.NAME: detector.parameters for detector in parametrised(detectors)}
    for name, own in values.items():
        if name not in known:
            raise ValueError(f"no detector {name!r} with parameters; one of {', '.join(known)}")
        if not isinstance(own, Mapping):
            raise ValueError(f"parameters of {name} must be name → value")
        known[name] = changed(known[name], own)
    return {name: msgspec.structs.asdict(parameters) for name, parameters in known.items()}


def told(event: Setting, detector: str, parameters: P) -> tuple[P, tuple[Fault, ...]]:
    """The parameters of this detector after a SET frame, and what was wrong with it; what is wrong changes nothing."""
    try:
        values = (_told.decode(event.data).parameters or {}).get(detector)
        return (parameters if values is None else changed(parameters, values)), ()
    except ValueError as error:  # of the decoder, too
        return parameters, (Fault(event.ts, "", "", f"parameters of {detector} that cannot be taken: {error}"[:300], event.data[:200]),)
