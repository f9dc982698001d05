"""What a newcomer, a build server and a container find: pins that agree, short verbs, an image without privileges."""

from __future__ import annotations

import json
import os
import re
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def pins(name: str) -> dict[str, str]:
    """package → exact version; a line of any other form is an error."""
    lines = [line.strip() for line in text(name).splitlines() if line.strip() and not line.startswith("#")]
    found = {}
    for line in lines:
        requirement = Requirement(line)
        (exact,) = requirement.specifier
        assert exact.operator == "==" and "*" not in exact.version, line
        found[canonicalize_name(requirement.name)] = exact.version
    return found


def needed(names: set[str]) -> set[str]:
    """Everything that these packages pull in here, themselves included."""
    waiting = [Requirement(line) for name in names for line in text(name).splitlines() if "==" in line and not line.startswith("#")]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement = waiting.pop()
        for extra in ("", *requirement.extras):
            mark = (canonicalize_name(requirement.name), extra)
            if mark not in seen:
                seen.add(mark)
                below = [Requirement(each) for each in distribution(requirement.name).requires or ()]
                waiting += [each for each in below if each.marker is None or each.marker.evaluate({"extra": extra})]
    return {name for name, _ in seen}


def test_every_requirement_is_pinned_and_locked_to_the_same_version() -> None:
    run, lock, dev, dev_lock = (pins(f"requirements{part}") for part in (".txt", ".lock", "-dev.txt", "-dev.lock"))
    assert run.items() <= lock.items() and dev.items() <= dev_lock.items()
    assert not set(lock) & set(dev_lock), "the program's packages stand in requirements.lock only"


def test_the_locks_leave_out_nothing_that_is_pulled_in() -> None:
    lock, dev_lock = pins("requirements.lock"), pins("requirements-dev.lock")
    assert needed({"requirements.txt"}) <= set(lock)
    assert needed({"requirements.txt", "requirements-dev.txt"}) <= set(lock) | set(dev_lock)


def test_what_is_installed_is_what_is_locked() -> None:
    different = []
    for name, version in (pins("requirements.lock") | pins("requirements-dev.lock")).items():
        try:
            found = distribution(name).version
        except PackageNotFoundError:
            continue  # of another platform
        if found != version and name != "setuptools":
            different.append(f"{name}: {found} is installed, {version} is locked")
    assert not different


def test_there_are_few_verbs_and_each_says_what_it_does() -> None:
    verbs = re.findall(r"^([a-z]+):(.*)$", text("Makefile"), re.MULTILINE)
    assert {"run", "demo", "test", "check", "bench", "clean"} <= {verb for verb, _ in verbs} and len(verbs) <= 10
    assert all("## " in rest for _, rest in verbs)


def test_make_leaves_the_users_pip_settings_alone() -> None:
    for name in ("Makefile", ".ci/run"):
        assert not re.search(r"--(extra-)?index-url|--no-index|--find-links|--trusted-host|PIP_|unset", text(name)), name


def test_make_says_clearly_when_python_is_too_old(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements.txt", "requirements.lock", "requirements-dev.txt", "requirements-dev.lock"):
        (tmp_path / name).write_text(text(name), encoding="utf-8")
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "cat", "cut", "cksum", "rm", "touch", "make"):
        (tools / tool).symlink_to(next(Path(folder, tool) for folder in os.defpath.split(":") if Path(folder, tool).exists()))
    for name in ("python3", "python3.11"):
        (tools / name).write_text("#!/bin/sh\nexit 1\n")
        (tools / name).chmod(0o755)
    done = subprocess.run(["make", "run"], cwd=tmp_path, env={"PATH": str(tools)}, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "DOPE needs Python 3.11 or newer" in done.stderr and not (tmp_path / ".venv").exists()


def test_the_ci_script_is_strict_and_can_be_run() -> None:
    path = ROOT / ".ci/run"
    assert os.access(path, os.X_OK) and "set -euo pipefail" in text(".ci/run")
    assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0
    assert text(".ci/run").rstrip().endswith("exec make test </dev/null")


# -- the image: there is no engine here to build it, so that its text is all that can be checked ----------------------
DOCKERFILE = re.sub(r"\\\n\s*", "", text("Dockerfile"))
STEPS = [tuple(line.split(None, 1)) for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]


def steps(verb: str) -> list[str]:
    return [rest for first, rest in STEPS if first == verb]


def test_the_image_has_two_stages_on_one_pinned_base() -> None:
    bases = [rest.split()[0] for rest in steps("FROM")]
    assert len(bases) == 2 and len(set(bases)) == 1 and re.fullmatch(r"python:3\.11\.\d+-slim-\w+", bases[0])


def test_the_image_runs_without_privileges_and_can_be_stopped_and_asked() -> None:
    assert [int(user) for user in steps("USER")[-1].split(":")] == [10001, 10001]
    assert [verb for verb, _ in STEPS].index("USER") < [verb for verb, _ in STEPS].index("CMD")
    assert json.loads(steps("CMD")[-1]) == ["python", "app.py"]
    health = json.loads(steps("HEALTHCHECK")[-1].split("CMD", 1)[1])
    assert "/health" in health[-1] and compile(health[-1], "health", "exec")
    assert steps("STOPSIGNAL") == ["SIGTERM"] and not steps("ADD")


def test_the_image_holds_no_secret_and_copies_only_what_is_let_in() -> None:
    assert not re.search(r"(password|secret|token|api_?key)", DOCKERFILE, re.IGNORECASE) and not steps("ARG")
    let_in = {line[1:] for line in text(".dockerignore").splitlines() if line.startswith("!")}
    copied = {part for rest in steps("COPY") if "--from" not in rest for part in rest.split()[:-1]}
    assert copied == let_in and all((ROOT / part).exists() for part in copied)
    assert text(".dockerignore").splitlines()[1] == "*"


def test_every_variable_that_the_image_sets_is_a_setting() -> None:
    from dope.settings import unknown_variables

    variables = re.findall(r"(DOPE_\w+)=", " ".join(steps("ENV")))
    assert variables and not unknown_variables(variables)


@pytest.mark.parametrize("name", [".venv/x", ".env", "data/live/1.dope", "models/spread.pkl", "models/.key", "dope/__pycache__/a.nbi"])
def test_what_is_made_by_running_stays_out_of_version_control(name: str) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git clone")
    assert subprocess.run(["git", "check-ignore", "-q", name], cwd=ROOT, check=False).returncode == 0


def test_commands_in_the_readme_exist() -> None:
    verbs = set(re.findall(r"^make (\w+)", text("README.md"), re.MULTILINE)) | set(re.findall(r"`make (\w+)`", text("README.md")))
    assert verbs and all(re.search(rf"^{verb}:", text("Makefile"), re.MULTILINE) for verb in verbs)
    table = text("README.md").split("## Commands")[1].split("##")[0]
    named = re.findall(r"^\| `(\w+)`", table, re.MULTILINE)
    declared = set(re.findall(r'@app\.command\((?:"(\w+)")?\)\n *def (\w+)', text("app.py") + text("dope/care/commands.py")))
    assert named and set(named) <= {name for pair in declared for name in pair}


#: `legend+*`, `.a>:nth-child(2)`: what stands at the right end fits every element, so that a new one in a list of 370 asks for all of them
ANYTHING = re.compile(r"(?:\+|~)\s*(?:\*|:(?!where|is|:))[^,{]*[,{]|>\s*:nth-(?:last-)?child[^,{]*[,{]")


@pytest.mark.parametrize("sheet", sorted((ROOT / "assets").glob("*.css")), ids=lambda path: path.name)
def test_no_rule_of_a_style_sheet_asks_every_element_for_its_neighbours(sheet: Path) -> None:
    assert [found.group() for found in ANYTHING.finditer(sheet.read_text(encoding="utf-8"))] == []


def test_such_a_rule_would_be_seen() -> None:
    rules = "legend+*{a:b}", ".t>:nth-child(2n)>*{a:b}", ".g>:nth-last-child(3)~.i,.x{a:b}"
    assert all(ANYTHING.search(rule) for rule in rules) and not ANYTHING.search("a+b{width:calc(1px + 2px)} .c>:first-child{d:e}")
