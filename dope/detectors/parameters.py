"""Parameters of detectors: figures with a unit, a range and a meaning, changed while the market runs and kept on the tape.

A detector that has some names its ``PARAMETERS`` (a frozen Struct of floats, each annotated with its range, its unit as the title and
what it does as the description) and holds them as ``parameters``. It is called by its class, or as ``NAME`` says. ``Tuning`` gives it
others; one that keeps something made of them has a method ``take(parameters)``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import inspect

from dope.market.market import Market
from dope.types import Event, Fault, Setting

P = TypeVar("P", bound=msgspec.Struct)
Values = dict[str, dict[str, float]]  #: detector → name → value
PARAMETERS = "parameters"  #: name of these in a command, in a SET frame and in what is kept of a user's changes
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Parametrised(Protocol):
    """A detector with parameters; ``parameters`` is an instance of ``PARAMETERS``."""

    PARAMETERS: type[Any]
    parameters: Any


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

    parameters: dict[str, dict[str, Any]] | None = None


_told = msgspec.json.Decoder(_Told)


def name_of(detector: Any) -> str:
    """By which name it is known: its own, or that of its class as in ``depth_history``."""
    return getattr(detector, "NAME", "") or _WORD.sub("_", type(detector).__name__).lower()


def parametrised(detectors: Iterable[Any]) -> list[Parametrised]:
    """Those of them that have parameters, in order."""
    return [detector for detector in detectors if hasattr(detector, "PARAMETERS")]


def _fields(kind: type[Any]) -> Sequence[Any]:
    """The fields of a Struct, each with its range and words."""
    found: Any = inspect.type_info(kind)
    fields: Sequence[Any] = found.fields
    return fields


def table(detectors: Iterable[Any]) -> list[Parameter]:
    """Every parameter of these detectors as it is in force."""
    found = []
    for detector in parametrised(detectors):
        for field in _fields(detector.PARAMETERS):
            words, kind = field.type.extra_json_schema or {}, field.type.type
            found.append(
                Parameter(
                    name_of(detector), field.name, getattr(detector.parameters, field.name), field.default,
                    words.get("title", ""), kind.ge, kind.le, words.get("description", ""),
                )
            )  # fmt: skip
    return found


def in_force(detectors: Iterable[Any]) -> Values:
    """The values in force, as ``changed`` takes them."""
    return {name_of(detector): msgspec.structs.asdict(detector.parameters) for detector in parametrised(detectors)}


def changed(parameters: P, values: Mapping[str, Any]) -> P:
    """These parameters with some values changed. Raises ValueError for an unknown name and for a value out of its range."""
    kinds = {field.name: field.type.type for field in _fields(type(parameters))}
    for name, value in values.items():
        if name not in kinds:
            raise ValueError(f"unknown parameter {name!r}; one of {', '.join(kinds)}")
        low, high = kinds[name].ge, kinds[name].le
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise ValueError(f"{name} cannot be {value!r}: from {low:g} to {high:g}")
    return msgspec.structs.replace(parameters, **{name: float(value) for name, value in values.items()})


def checked(detectors: Iterable[Any], values: Mapping[str, Any]) -> Values:
    """All parameters with these changes, detector → name → value. Raises ValueError for what cannot be."""
    known = {name_of(detector): detector.parameters for detector in parametrised(detectors)}
    for name, own in values.items():
        if name not in known:
            raise ValueError(f"no detector {name!r} with parameters; one of {', '.join(known)}")
        if not isinstance(own, Mapping):
            raise ValueError(f"parameters of {name} must be name → value")
        known[name] = changed(known[name], own)
    return {name: msgspec.structs.asdict(parameters) for name, parameters in known.items()}


def parted(changes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a ``set`` changes of the rules, and of the parameters of detectors. Raises ValueError."""
    parameters = changes.get(PARAMETERS) or {}
    if not isinstance(parameters, Mapping):
        raise ValueError("parameters must be detector → name → value")
    return {name: value for name, value in changes.items() if name != PARAMETERS}, dict(parameters)


class Tuning:
    """Gives the detectors beside it the parameters of SET frames; what is wrong is a fault and changes nothing."""

    KINDS = (Setting,)

    def __init__(self, detectors: Sequence[Any]) -> None:
        self._detectors = {name_of(detector): detector for detector in parametrised(detectors)}

    def on(self, event: Event, market: Market) -> Sequence[Event]:
        if not isinstance(event, Setting):
            return ()
        try:
            values = _told.decode(event.data).parameters or {}
            new = {name: changed(self._of(name).parameters, own) for name, own in values.items()}
        except ValueError as error:  # of the decoder, too
            return (Fault(event.ts, "", "", f"parameters that cannot be taken: {error}"[:300], event.data[:200]),)
        for name, parameters in new.items():
            take = getattr(self._detectors[name], "take", None)
            if take is not None:
                take(parameters)
            else:
                self._detectors[name].parameters = parameters
        return ()

    def _of(self, name: str) -> Any:
        if name not in self._detectors:
            raise ValueError(f"no detector {name!r} with parameters; one of {', '.join(self._detectors)}")
        return self._detectors[name]
