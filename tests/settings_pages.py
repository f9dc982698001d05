"""Writes what people read about the settings from the model itself: .env.example and the table in the README."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import AliasChoices

from dope.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
TABLE = re.compile(r"(<!-- settings -->\n).*?(<!-- /settings -->)", re.DOTALL)
HEAD = "# Copy to .env and take the # away where you want another value. Variables of the environment win over this file.\n"


def aliases(name: str) -> tuple[str, ...]:
    """All variable names that set this field, ours first."""
    alias = Settings.model_fields[name].validation_alias
    return tuple(str(each) for each in alias.choices) if isinstance(alias, AliasChoices) else (f"DOPE_{name.upper()}",)


def as_text(value: Any) -> str:
    """A default the way it is written in the environment."""
    match value:
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(str(each) for each in value)
        case dict():
            return "{}"
        case _:
            return f"{value:g}" if isinstance(value, float) else str(value)


def rows() -> list[tuple[str, str, str, str]]:
    """(variable, default, meaning with its unit, other accepted names) of each setting, in the order of the model."""
    return [
        (aliases(name)[0], as_text(field.get_default(call_default_factory=True)), field.description or "", ", ".join(aliases(name)[1:]))
        for name, field in Settings.model_fields.items()
    ]


def env_example() -> str:
    lines = [f"\n# {meaning}{f' (also {others})' if others else ''}\n#{name}={default}\n" for name, default, meaning, others in rows()]
    return HEAD + "".join(lines)


def readme_table() -> str:
    lines = ["| variable | default | meaning | also accepted |\n|---|---|---|---|\n"]
    for name, default, meaning, others in rows():
        shown = f"`{default}`" if default else "none"
        lines.append(f"| `{name}` | {shown.replace(',', ', ')} | {meaning.replace('|', '&#124;')} | {others} |\n")
    return "".join(lines)


def readme_with_table(text: str) -> str:
    """The README with the table between its two marks written anew; raises ValueError when a mark is missing."""
    new, found = TABLE.subn(lambda match: match[1] + readme_table() + match[2], text)
    if found != 1:
        raise ValueError("README.md must hold <!-- settings --> … <!-- /settings --> exactly once")
    return new


if __name__ == "__main__":
    (ROOT / ".env.example").write_text(env_example(), encoding="utf-8")
    readme = ROOT / "README.md"
    readme.write_text(readme_with_table(readme.read_text(encoding="utf-8")), encoding="utf-8")
