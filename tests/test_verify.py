"""``make verify`` tells everything: what failed, what was skipped and why, what was missed, and what broke before it could tell."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from tests import verify
from tests.conftest import LONGEST
from tests.figures import VARIABLE, is_met, note, written
from tests.program import until

SCENE = """
import pytest
pytestmark = pytest.mark.full

def test_good(figure):
    figure("rows lost", 0, target="= 0", samples=12)
    figure("seconds lost", 1.7, unit="s", target=1.5)

def test_bad():
    assert 1 == 2, "as it must be"

def test_not_here():
    pytest.skip("no such disk here")

@pytest.fixture
def broken():
    raise RuntimeError("cannot begin")

def test_that_cannot_begin(broken):
    pass
"""


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A folder of its own with the fixture of ours."""
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    full: x\n")
    (tmp_path / "conftest.py").write_text("from tests.figures import figure, pytest_runtest_makereport\n")
    (tmp_path / "test_scene.py").write_text(SCENE)
    return tmp_path


def test_a_failing_test_is_in_the_report_and_makes_the_command_fail(scene: Path) -> None:
    page = scene / "REPORT.md"
    told = ["--no-bench", "--report", str(page), str(scene), "-n0", "-c", str(scene / "pytest.ini")]
    command = [sys.executable, "-m", "tests.verify", *told]
    done = subprocess.run(command, cwd=verify.ROOT, capture_output=True, text=True, check=False)
    text = page.read_text()
    assert done.returncode == 1, done.stderr
    assert "FAILED: 1 passed, 2 failed, 1 skipped; 2 targets, 1 met, 1 missed: seconds lost" in text
    lines = {line.split("::")[1].split("`")[0]: line for line in text.splitlines() if "::" in line and "target" not in line}
    assert "as it must be" in lines["test_bad"] and "**FAILED**" in lines["test_bad"]
    assert "no such disk here" in lines["test_not_here"] and "| skipped |" in lines["test_not_here"]
    assert "cannot begin" in lines["test_that_cannot_begin"]
    assert "| rows lost | = 0 | 0 | met | 12 |" in text and "| seconds lost | ≤ 1.5 | 1.7 s | **MISSED** | 1 |" in text


def test_when_all_is_well_the_command_says_so(scene: Path) -> None:
    command = ["--no-bench", "--report", str(scene / "r.md"), str(scene), "-n0", "-c", str(scene / "pytest.ini"), "-k", "good"]
    assert verify.main(command) == 0
    assert "**PASSED: 1 passed, 0 failed, 0 skipped; 2 targets, 1 met, 1 missed: seconds lost**" in (scene / "r.md").read_text()


def test_tests_that_cannot_even_be_gathered_are_a_failure(scene: Path) -> None:
    (scene / "test_scene.py").write_text("import nothing_of_that_name\n")
    assert verify.main(["--no-bench", "--report", str(scene / "r.md"), str(scene), "-n0", "-c", str(scene / "pytest.ini")]) == 1
    assert "pytest ended with code 2" in (scene / "r.md").read_text()


def test_what_measures_milliseconds_runs_first_and_alone_and_the_others_run_even_if_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[str] = []

    def run(arguments: Sequence[str], log: Path) -> int:
        runs.append(" ".join(arguments))
        return 3 if len(runs) == 1 else 0

    monkeypatch.setattr(verify, "_pytest", run)
    assert verify.run_tests([], tmp_path / "log", lambda: runs.append("memory")) == 3
    assert runs[0] == f"-n 0 {verify.ALONE}"
    dealt = "-n 3 --dist loadfile --no-loadscope-reorder"
    others = f"{dealt} --ignore {verify.ALONE} --ignore {verify.PAGES}"
    assert sorted(runs[1:]) == [others, f"{dealt} {verify.PAGES}", "memory"], "memory is no time: it may run beside"
    assert verify.BESIDE in [name for name, _, _ in verify.BENCHES]


def test_the_files_that_it_names_are_there() -> None:
    root = Path(__file__).resolve().parent.parent
    assert "pytest.mark.full" in (root / verify.ALONE).read_text(encoding="utf-8")
    assert all((root / "tests" / path).exists() for path in LONGEST)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("raise SystemExit(3)", "ended with code 3"),
        ("print('nothing is left in a file')", "does not show: p99"),
        ("import time; time.sleep(60)", "not finished after 1 s"),
    ],
)
def test_a_benchmark_that_breaks_or_does_not_show_what_it_should_is_a_failure(
    program: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "OUT", tmp_path)
    monkeypatch.setattr(verify, "BENCH_S", 1)
    (row,) = verify.run_bench("any", ("-c", program), ("p99",))
    assert (row["outcome"], row["reason"]) == ("failed", said)
    assert not verify.verdict([row])[1]


def test_a_benchmark_that_takes_too_long_leaves_no_process_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "OUT", tmp_path)
    told = tmp_path / "pid"
    child = "import time; time.sleep(600)"
    program = f"import os, subprocess, sys; c = subprocess.Popen([sys.executable, '-c', '{child}'])"
    program += f"; open('{told}.new', 'w').write(str(c.pid)); os.rename('{told}.new', '{told}'); c.wait()"
    for patience_s in (1, 4, 16, 64):  # on a slow machine it may be ended before it has a child
        monkeypatch.setattr(verify, "BENCH_S", patience_s)
        (row,) = verify.run_bench("any", ("-c", program), ())
        assert row["outcome"] == "failed" and row["reason"] == f"not finished after {patience_s} s"
        if told.exists():
            break
    pid = int(told.read_text())
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, "its child's end")


def test_ended_from_outside_it_takes_with_it_what_its_tests_have_started(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    test = tmp_path / "test_long.py"
    child = "import time; time.sleep(600)"
    test.write_text(
        "import os, subprocess, sys\nimport pytest\n\n@pytest.mark.full\ndef test_it():\n"
        f"    c = subprocess.Popen([sys.executable, '-c', '{child}'], start_new_session=True)\n"
        f"    open('{told}.new', 'w').write(str(c.pid))\n    os.rename('{told}.new', '{told}')\n    c.wait()\n"
    )
    command = [sys.executable, "-m", "tests.verify", "--no-bench", "--report", str(tmp_path / "report.md"), str(test)]
    with subprocess.Popen(command, cwd=verify.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        until(told.exists, "a child of its test")
        running.terminate()
        assert running.wait(60) == 128 + signal.SIGTERM
    pid = int(told.read_text())
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, "that child's end")


def test_a_benchmark_of_before_is_not_taken_for_todays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "OUT", tmp_path)
    (tmp_path / "any.json").write_text('{"figures": [{"name": "p99", "value": 1, "unit": "µs", "target": 2, "met": true, "samples": 5}]}')
    assert [row["outcome"] for row in verify.run_bench("any", ("-c", "pass"), ("p99",))] == ["failed"]


FIGURES = (
    '{"figures": [{"name": "p99", "value": 3, "unit": "µs", "target": 2, "met": %s, "samples": 5, "note": ""},'
    ' {"name": "waiting", "value": 1.5, "unit": "µs", "target": null, "met": null, "samples": 7, "note": "50 %%"}]}'
)


@pytest.mark.parametrize("met", ["true", "false"])
def test_of_a_benchmark_that_missed_a_target_all_figures_are_told(met: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "OUT", tmp_path)
    program = f"open({str(tmp_path / 'any.json')!r}, 'w').write({FIGURES % met!r})"
    page = verify.report(verify.run_bench("any", ("-c", program), ("p99",)), seconds=1, now=datetime(2026, 11, 21, tzinfo=UTC))
    assert ("| waiting | 1.5 µs (50 %) | 7 |" in page) == ("## Where it goes" in page) == (met == "false")


def test_the_benchmarks_of_the_report_show_the_promises_under_the_names_looked_for() -> None:
    for name, command, promised in verify.BENCHES:
        source = (verify.ROOT / f"bench/{name}.py").read_text(encoding="utf-8")
        assert command[1] == f"bench.{name}" and promised and "publish(" in source


@pytest.mark.parametrize(
    ("value", "target", "met"),
    [(1.0, 1.0, True), (1.1, 1, False), (100, "≥ 100", True), (99, "≥ 100", False), (0, "= 0", True), (1, "= 0", False), (5, None, None)],
)
def test_a_target_is_a_bound_with_a_sign(value: float, target: str | float | None, met: bool | None) -> None:
    assert is_met(value, target) is met


def test_without_a_report_figures_go_nowhere(tmp_path: Path, figure: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    figure("nobody hears it", 1)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "log"))
    note(kind="figure", name="x")
    assert (tmp_path / "log").read_text() == '{"kind": "figure", "name": "x"}\n' and written(2.5) == "≤ 2.5"


def test_the_page_has_date_machine_commit_and_python() -> None:
    page = verify.report([], seconds=90, now=datetime(2026, 11, 21, 7, 5, tzinfo=UTC))
    assert "2026-11-21 07:05 UTC" in page and "cores" in page and "Python" in page and "commit" in page
    assert "FAILED: 0 passed" in page, "nothing proves nothing"
