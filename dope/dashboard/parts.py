"""Small parts that several pages use: an icon, a button that scripts carry out, attributes with a dash in their name."""

from __future__ import annotations

from typing import Any

from dash import html
from dash.development.base_component import Component


def attrs(values: dict[str, str]) -> dict[str, Any]:
    """``data-…`` and ``aria-…`` attributes, to be spread into a component: they are no Python names."""
    return dict(values)


def icon(name: str) -> Component:
    """A vendored Bootstrap icon; decoration only, so hidden from screen readers."""
    return html.I(className=f"bi bi-{name}", **attrs({"aria-hidden": "true"}))


def action(children: Any, act: str, *, label: str, css: str = "ib", key: str = "") -> Component:
    """A button that the scripts carry out as ``act``; ``label`` is its spoken name and tip, ``key`` its shortcut."""
    title = f"{label} ({key})" if key else label
    names = attrs({"data-act": act, "data-test": act, "aria-label": label})
    return html.Button(children, type="button", className=css, title=title, **names)


def skeleton(count: int, element: str) -> Component:
    """Grey bars over a block until its first data; the block's script hides or refills it."""
    bars = [html.Div(className="skel") for _ in range(count)]
    return html.Div(bars, id=element, className="overlay", **attrs({"data-test": element}))
