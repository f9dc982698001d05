"""Nothing of ours turns text into markup or code: the page's scripts and the dashboard's Python, read as text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "assets").glob("*.js"))}
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "dope/dashboard").glob("*.py"))}
#: what makes markup or code of text in a browser
RAW = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|srcdoc|\beval\b|new Function|"
    r"dangerouslySetInnerHTML|setHTMLUnsafe|set(Timeout|Interval)\(\s*[\"'`]|importScripts|javascript:",
    re.IGNORECASE,
)
#: where a script may set an address, and that it is one of ours
ADDRESSES = re.compile(
    r"setAttribute\(\s*[\"'](?:href|src|action)|\.(?:href|src)\s*=(?!=)|\b(?:href|src)\s*:|"
    r"location\s*=|location\.assign|window\.open"
)
OUR_ADDRESSES = {
    "22-keys.js": ['.setAttribute("href", `/api/v1/export/opportunities.${kind}${query.size ? "?" + query : ""}`)'],
    "47-backtest-chart.js": ['URL.createObjectURL(new Blob([content], { type })), link = h("a", { href: url, download: name })'],
}
COMPONENTS = ("Markdown", "Iframe", "DangerouslySetInnerHTML", "ObjectEl", "Embed", "Script", "Base", "Meta")
ADDRESS_WORDS = ("href", "src", "srcDoc", "formAction", "action")


def raw_markup(name: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        if found := RAW.search(line):
            yield f"{name}:{number}: {found[0]}"


def other_addresses(name: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        left = line
        for known in OUR_ADDRESSES.get(name, ()):
            left = left.replace(known, "")
        if found := ADDRESSES.search(left):
            yield f"{name}:{number}: {found[0]}"


def risky_components(name: str, text: str) -> Iterator[str]:
    """Components that take markup, switches that allow it, and addresses that are not written down in the source."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in COMPONENTS:
            yield f"{name}:{node.lineno}: {called}"
        for word in node.keywords:
            if word.arg in ("dangerously_allow_code", "dangerously_allow_html", "dangerouslySetInnerHTML", "markdown_options"):
                yield f"{name}:{node.lineno}: {word.arg}"
            if word.arg in ADDRESS_WORDS and not _ours(word.value):
                yield f"{name}:{node.lineno}: {word.arg} built from data"


def _ours(value: ast.expr) -> bool:
    """A text that begins with / or # in the source, or the path of a page."""
    first = value.values[0] if isinstance(value, ast.JoinedStr) else value
    if isinstance(first, ast.Constant) and isinstance(first.value, str):
        return first.value.startswith(("/", "#")) and not first.value.startswith("//")
    return isinstance(value, ast.Attribute) and value.attr == "PATH"


def test_no_script_makes_markup_or_code_of_text() -> None:
    assert len(SCRIPTS) > 15
    assert not [found for name, text in SCRIPTS.items() for found in raw_markup(name, text)]


def test_no_script_sets_an_address_but_our_own() -> None:
    assert not [found for name, text in SCRIPTS.items() for found in other_addresses(name, text)]


def test_no_component_of_the_dashboard_takes_markup_or_foreign_addresses() -> None:
    assert len(PAGES) > 8
    assert not [found for name, text in PAGES.items() for found in risky_components(name, text)]


@pytest.mark.parametrize(
    "line",
    ["node.innerHTML = row.text;", "box.insertAdjacentHTML('beforeend', text)", "document.write(x)", "eval(text)", "new Function(text)()",
     "h('iframe', { srcdoc: text })", "setTimeout('go()', 5)", "React.createElement('b', { dangerouslySetInnerHTML: { __html: t } })"],
)  # fmt: skip
def test_each_way_to_make_markup_is_found(line: str) -> None:
    assert len(list(raw_markup("a.js", line))) == 1


@pytest.mark.parametrize(
    "line", ["a.href = row.url;", "h('a', { href: row.url })", "img.setAttribute('src', x)", "window.open(x)", "location = x"]
)
def test_each_foreign_address_is_found(line: str) -> None:
    assert len(list(other_addresses("22-keys.js", line))) == 1


@pytest.mark.parametrize(
    "code",
    ["dcc.Markdown(text)", "html.Iframe(srcDoc='/x')", "dbc.NavLink('a', href=row['url'])", "html.A('a', href=f'{row}')",
     "html.A(href='//evil')", "dcc.Markdown2('a', dangerously_allow_html=True)",
     "AgGrid(dangerously_allow_code=True)", "html.A('a', href='javascript:x()')"],
)  # fmt: skip
def test_each_risky_component_is_found(code: str) -> None:
    assert len(list(risky_components("a.py", code))) == 1
