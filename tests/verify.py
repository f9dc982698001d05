"""``make verify``: all tests of full size and the benchmarks that prove a promise, and what came of them in ``tests/REPORT.md``.

Nothing is hidden: a test that failed, one that was skipped and why, a target that was missed, a benchmark that broke. It ends with
code 1 when a test failed or a benchmark did not finish. A missed target alone does not: times are told, never tested.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import psutil

from tests.examples import ALL
from tests.figures import VARIABLE

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "tests" / "REPORT.md"
OUT = ROOT / "bench" / "out"
#: name, command, promise that no table may lack (else it was not proved)
BENCHES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("run", ("-m", "bench.run", "--contenders", "plain,engine"), ("engine: CPU per message",)),
    ("parts", ("-m", "bench.parts"),
     ("recording, on the hot path", "all default detectors", "all default detectors where four venues quote the same")),
    ("venues", ("-m", "bench.venues"), ("kraken ÷ okx, per message",)),
    ("store", ("-m", "bench.store"), ("per row of best prices", "spread, last hour", "3 M rows/s")),
    ("memory", ("-m", "bench.memory", "--messages", "20000000"), ("upper 95 % bound",)),
    ("latency", ("-m", "bench.latency"), ("10k/s due → signal p99", "50k/s due → signal p99", "planted signals missed")),
    ("watched", ("-m", "bench.watched", "--rounds", "1", "--seconds", "10"),
     ("5 browsers ÷ nobody", "newest event shown → pixel, 20 watchers: p95", "CPU per client")),
)
ALONE = "tests/tape/test_full_size.py"  #: measures milliseconds of a recording: nothing else runs beside it
PAGES = "tests/browser"  #: in processes of their own: the browser's library keeps an event loop running, others start theirs
BESIDE = "memory"  #: measures neither time nor CPU: it runs beside the tests that are dealt out
BENCH_S = 1500  #: s after which a benchmark counts as broken
STILL = ("-o", "timeout=1800")  #: s after which a test of full size counts as standing still

Row = dict[str, Any]


def run_tests(arguments: Sequence[str], log: Path, meanwhile: Callable[[], None]) -> int:
    """The tests of full size, or those that ``arguments`` name; each tells its end in ``log``. The first code that is not 0.

    ``meanwhile`` runs beside those that are dealt out to several processes, and has ended when this has.
    """
    alone = 0 if arguments else _pytest(("-n", "0", ALONE), log)
    parts = [arguments] if arguments else [("--ignore", ALONE, "--ignore", PAGES), (PAGES,)]
    with ThreadPoolExecutor(1) as beside:
        done = beside.submit(meanwhile)
        codes = [_pytest(("-n", "3", "--dist", "loadfile", "--no-loadscope-reorder", *part), log) for part in parts]
        done.result()
    return alone or max(codes)


def _pytest(arguments: Sequence[str], log: Path) -> int:
    """Those of full size, and properties on all of their examples."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "full or hypothesis", *STILL, *arguments]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, VARIABLE: str(log), ALL: "1"}, check=False).returncode


def end_group(group: int) -> None:
    """What a benchmark started and left behind would disturb all that come after it."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def end(signum: int, frame: object = None) -> NoReturn:
    """Ended from outside: all that was started ends with it, or it would disturb whatever runs next on this machine."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    os._exit(128 + signum)


def run_bench(name: str, command: Sequence[str], promised: Sequence[str]) -> list[Row]:
    """One benchmark: a row for itself, and one for each figure with a target. What it should have shown and did not is told too."""
    began, file, why = time.monotonic(), OUT / f"{name}.json", ""
    file.unlink(missing_ok=True)
    with subprocess.Popen([sys.executable, *command], cwd=ROOT, start_new_session=True) as running:
        try:
            code = running.wait(BENCH_S)
            why = f"ended with code {code}" if code else ""
        except subprocess.TimeoutExpired:
            why = f"not finished after {BENCH_S} s"
        finally:
            end_group(running.pid)
    told = json.loads(file.read_text(encoding="utf-8")) if file.exists() and not why else {"figures": []}
    figures = [each for each in told["figures"] if each["target"] is not None]
    missing = [words for words in promised if not any(words in each["name"] for each in figures)]
    why = why or (f"does not show: {'; '.join(missing)}" if missing else "")
    test = f"python {' '.join(command)}"
    rows: list[Row] = [
        {"kind": "figure", "test": test, "name": each["name"], "value": each["value"], "unit": each["unit"],
         "target": f"≤ {each['target']:g}", "met": each["met"], "samples": each["samples"]} for each in figures
    ]  # fmt: skip
    machine = "".join(f", {key} {told['machine'][key]:.1f}" for key in ("load_start", "load_end")) if "machine" in told else ""
    outcome, seconds = ("failed" if why else "passed"), round(time.monotonic() - began, 1)
    if not all(row["met"] for row in rows):
        shown = ("name", "value", "unit", "samples", "note")
        rows += [{"kind": "part", "test": test, **{name: each[name] for name in shown}} for each in told["figures"]]
    return [*rows, {"kind": "test", "test": test, "outcome": outcome, "seconds": seconds, "reason": why or machine.strip(", ")}]


def machine() -> list[str]:
    """What it ran on."""
    models = [line.split(":", 1)[1].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")]
    commit = subprocess.run(["git", "log", "-1", "--format=%h %s"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    changed = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    memory = psutil.virtual_memory().total / 2**30
    return [
        f"- commit: {commit or 'not a git clone'}{' (with changes that are not committed)' if changed else ''}",
        f"- machine: {models[0] if models else platform.processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
    ]


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def verdict(rows: Sequence[Row]) -> tuple[str, bool]:
    """One sentence, and whether everything passed."""
    tests = [row for row in rows if row["kind"] == "test"]
    of = {outcome: sum(row["outcome"] == outcome for row in tests) for outcome in ("passed", "failed", "skipped")}
    judged = [row for row in rows if row["kind"] == "figure" and row["met"] is not None]
    missed = [row["name"] for row in judged if not row["met"]]
    ok = of["failed"] == 0 and of["passed"] > 0
    words = f"{'PASSED' if ok else 'FAILED'}: {of['passed']} passed, {of['failed']} failed, {of['skipped']} skipped; "
    words += f"{len(judged)} targets, {len(judged) - len(missed)} met, {len(missed)} missed"
    return words + (": " + "; ".join(missed) if missed else ""), ok


def report(rows: Sequence[Row], *, seconds: float, now: datetime) -> str:
    """The page."""
    figures, tests = ([row for row in rows if row["kind"] == kind] for kind in ("figure", "test"))
    lines = [
        "# What `make verify` found", "", "Made by `make verify`; a number here is of this one run on this one machine.", "",
        f"- date: {now:%Y-%m-%d %H:%M} UTC, {seconds / 60:.0f} min", *machine(), f"- **{verdict(rows)[0]}**", "",
        "## Figures", "", "| claim | target | measured | | samples | where |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in figures:
        result = {True: "met", False: "**MISSED**", None: ""}[row["met"]]
        measured = f"{row['value']:,.4g} {row['unit']}".strip()
        lines.append(f"| {row['name']} | {row['target']} | {measured} | {result} | {row['samples']:,} | `{_short(row['test'])}` |")
    parts = [row for row in rows if row["kind"] == "part"]
    if parts:
        lines += ["", "## Where it goes, for what was missed", "", "| | measured | samples | where |", "|---|---|---|---|"]
        for row in parts:
            measured = f"{row['value']:,.4g} {row['unit']}".strip() + (f" ({row['note']})" if row["note"] else "")
            lines.append(f"| {row['name']} | {measured} | {row['samples']:,} | `{_short(row['test'])}` |")
    lines += ["", "## Tests and benchmarks", "", "| what | outcome | s | |", "|---|---|---|---|"]
    order = {"failed": 0, "skipped": 1, "passed": 2}
    for row in sorted(tests, key=lambda each: order[each["outcome"]]):
        outcome = row["outcome"] if row["outcome"] != "failed" else "**FAILED**"
        reason = " ".join(row["reason"].replace("|", "\\|").split())[-200:]
        lines.append(f"| `{_short(row['test'])}` | {outcome} | {row['seconds']} | {reason} |")
    return "\n".join(lines) + "\n"


def _short(test: str) -> str:
    return test.removeprefix("tests/")


def read(log: Path) -> list[Row]:
    """What the tests have told."""
    return [json.loads(line) for line in _lines(log)]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.verify", description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--no-bench", action="store_true", help="tests only")
    parser.add_argument("--report", type=Path, default=REPORT)
    parser.add_argument("tests", nargs="*", help="for pytest: files, -k …")
    chosen, rest = parser.parse_known_args(arguments)
    signal.signal(signal.SIGTERM, end)
    began = time.monotonic()
    measured: dict[str, list[Row]] = {}

    def measure(beside: bool) -> None:
        for bench in () if chosen.no_bench else BENCHES:
            if (bench[0] == BESIDE) == beside:
                measured[bench[0]] = run_bench(*bench)

    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        code = run_tests([*chosen.tests, *rest], log, lambda: measure(True))
        rows = read(log)
    if code and not any(row.get("outcome") == "failed" for row in rows):  # pytest itself did not get to its end, or was ended
        why = f"pytest ended with code {code}"
        rows.append({"kind": "test", "test": "pytest -m full", "outcome": "failed", "seconds": 0, "reason": why})
    measure(False)
    rows += [row for name, _, _ in BENCHES for row in measured.get(name, ())]
    chosen.report.write_text(report(rows, seconds=time.monotonic() - began, now=datetime.now(UTC)), encoding="utf-8")
    words, ok = verdict(rows)
    print(f"{words}\n{chosen.report}")
    return 0 if ok and code == 0 else 1


if __name__ == "__main__":
    raise SystemExit(main())
