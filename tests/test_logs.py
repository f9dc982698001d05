"""The log: no text forges a line or moves a cursor, no secret is shown, repeats are counted; on the real program and its file."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import unicodedata
import warnings
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from fastapi import FastAPI
from loguru import logger

from dope import logs
from dope.jobs import Jobs
from dope.logs import PER_KEY, PER_PLACE, Repeats, escaped
from tests.api.house import serving
from tests.program import ROOT, Program, line_of, until

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} (DEBUG|INFO|WARNING|ERROR|CRITICAL) *[\w.]+: .*")
EVIL = [
    "a\nb", "a\r\nb", "a\rb", "\n2026-01-01 00:00:00.000 INFO    dope: forged", "\x1b[2J", "\x1b[31mred", "\x1b]0;title\x07", "\x9b31m",
    *"\x00\x07\x08\x7f\x0b\x0c\x1c\x1d\x1e\x85\t\u2028\u2029\u202a\u202b\u202d\u2066\u2067\u2068\u2069\u200b\u200e\u200f\u061c\ufeff\u2060\xad\U000e0041\ud800\udfff\ufff9",
    "\u202eevil", "{message}", "{0}", "%s%n", "<red>x</red>", "{extra[place]}", "\\n", "${jndi:ldap://x}", "`id`",
    "<script>alert(1)</script>",
    "'; DROP TABLE x; --", "x" * 100_000,
]  # fmt: skip


def only_line(text: str) -> str:
    (line,) = text.splitlines()
    assert not [c for c in line if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")], line[:200]
    return line


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "logs" / "dope.log"
    handlers, capture = list(logs.logging.getLogger().handlers), warnings.showwarning
    logs.start("DEBUG", secrets=("SECRET-CANARY-1",), file=path, monotonic_s=lambda: 0.0)
    yield path
    logger.remove()
    logger.configure(patcher=lambda record: None)
    logger.add(sys.stderr)
    logs.logging.captureWarnings(False)
    warnings.showwarning = capture
    logs.logging.getLogger().handlers[:] = handlers


@pytest.mark.parametrize("text", EVIL, ids=range(len(EVIL)))
def test_one_event_is_one_harmless_line(log: Path, text: str) -> None:
    assert len(EVIL) >= 50
    logger.warning("said: {}", text)
    line = only_line(log.read_text())
    assert LINE.fullmatch(line) and len(line) < 20_000 and "said: " in line


def test_a_traceback_is_one_line_and_so_is_what_libraries_say(log: Path) -> None:
    try:
        raise ValueError("evil\n\x1b[31m SECRET-CANARY-1")
    except ValueError as error:
        logger.opt(exception=error).error("it failed")
        logs.logging.getLogger("some.library").error("Exception in ASGI application\n", exc_info=error)
    logs.logging.getLogger("py.warnings").warning("a warning\nof a library")
    lines = log.read_text().splitlines()
    assert len(lines) == 3 and all(LINE.fullmatch(line) for line in lines)
    assert all("ValueError: evil\\n\\x1b[31m ***" in line and "test_logs.py" in line for line in lines[:2])
    assert "some.library: Exception" in lines[1] and "a warning" in lines[2]


def test_the_number_of_an_answer_500_finds_its_line(log: Path) -> None:
    app = FastAPI()

    @app.get("/api/v1/export/broken")
    def broken() -> None:
        raise RuntimeError("intimate\nSECRET-CANARY-1")

    with serving(app=app) as house:
        logs.logging.getLogger("uvicorn.error").setLevel("ERROR")
        answer = house.get("/api/v1/export/broken")
    assert answer.status_code == 500 and "intimate" not in answer.text and "CANARY" not in answer.text
    (line,) = [line for line in log.read_text().splitlines() if answer.json()["hint"].rsplit(" ", 1)[1] in line]
    assert LINE.fullmatch(line) and "RuntimeError: intimate\\n***" in line


def test_json_lines_are_lines_too(tmp_path: Path, log: Path) -> None:
    logs.start("INFO", as_json=True, secrets=("SECRET-CANARY-1",), file=tmp_path / "j.log", monotonic_s=lambda: 0.0)
    for text in EVIL[:40]:
        logger.warning("{} SECRET-CANARY-1", text)
    lines = (tmp_path / "j.log").read_text().splitlines()
    assert lines and all(json.loads(line)["record"]["message"].endswith("***") for line in lines)


def test_repeats_are_counted_and_told_once_their_minute_is_over() -> None:
    now = [0.0]
    repeats = Repeats(lambda: now[0])
    assert [repeats.passes("here", f"lost {i} frames") for i in range(PER_KEY + 5)] == [True] * PER_KEY + [False] * 5
    assert repeats.passes("here", "something else") and repeats.passes("there", "lost 1 frames")
    assert repeats.over() == []
    now[0] = 61.0
    assert repeats.over() == [("here", "… 5 more: lost 0 frames")]
    assert repeats.passes("here", "lost 1 frames")


def test_even_ever_new_words_from_one_place_are_bounded() -> None:
    repeats = Repeats(lambda: 0.0)
    words = ["".join(chr(97 + (i // 26**k) % 26) for k in range(4)) for i in range(5000)]
    assert sum(repeats.passes("here", word) for word in words) == PER_PLACE
    assert len(repeats._keys) <= logs.MAX_KEYS + 1


def test_what_was_held_back_is_said_in_the_log(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from dope import logs; from loguru import logger\n"
        "end = logs.start('INFO', file=Path(sys.argv[1]))\n"
        "for i in range(25): logger.warning('lost {} frames', i)\n"
        "end()"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.log")], cwd=ROOT, check=True, capture_output=True, text=True)
    lines = (tmp_path / "x.log").read_text().splitlines()
    assert done.stderr.splitlines() == lines
    assert len(lines) == 11 and lines[-1].endswith("… 15 more: lost 0 frames")


def test_files_are_rotated_and_only_ten_kept(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (logs.FILE_BYTES, logs.FILES) == (10 * 2**20, 10)
    monkeypatch.setattr(logs, "FILE_BYTES", 2000)
    clock = iter(range(0, 10**9, 61))
    logs.start("INFO", file=tmp_path / "r" / "dope.log", monotonic_s=lambda: float(next(clock)))
    for i in range(200):
        logger.info("{} {}", "x" * 300, i)
    assert len(list((tmp_path / "r").iterdir())) == logs.FILES


def test_a_folder_that_cannot_be_written_is_said_and_logging_goes_on(tmp_path: Path, capfd: pytest.CaptureFixture[str], log: Path) -> None:
    (tmp_path / "file").write_text("")
    logs.start("INFO", file=tmp_path / "file" / "logs" / "dope.log")
    logger.info("still here")
    said = capfd.readouterr().err
    assert "no log file: " in said and "still here" in said


def test_escapes_leave_ordinary_text_alone() -> None:
    assert escaped("Größe 5 µs – ok … 1 000 ✓ 日本") == "Größe 5 µs – ok … 1 000 ✓ 日本"


# -- the other processes -------------------------------------------------------------------------------------------------
SHOUT = """
import threading, warnings, logging, sys
from dope import logs
from loguru import logger
logs.start_child()
for text in {evil!r}:
    logger.warning("said: {{}}", text)
logging.getLogger("some.library").error("library\\n%s", {evil!r}[0])
warnings.warn("a warning\\nin lines")
def fail(): raise ValueError({evil!r}[0])
thread = threading.Thread(target=fail, name="a thread")
thread.start(); thread.join()
logger.info("not told")
fail()
"""
CANARY = "SECRET-CANARY-0123456789"


def only_lines(text: str) -> list[str]:
    """All lines, each one event and harmless."""
    lines = text.splitlines()
    assert lines and all(LINE.fullmatch(only_line(line)) for line in lines), text[:2000]
    assert CANARY not in text
    return lines


def test_a_process_that_the_program_started_logs_as_safely_to_its_last_word() -> None:
    evil = [f"{text} {CANARY}" for text in EVIL[:9]]
    told = {**os.environ, "DOPE_READ_TOKEN": CANARY}
    done = subprocess.run([sys.executable, "-c", SHOUT.format(evil=evil)], cwd=ROOT, env=told, capture_output=True, text=True, check=False)
    lines = only_lines(done.stderr)
    assert done.returncode == 1 and len(lines) == 9 + 4
    assert "CRITICAL" in lines[-2] and "a thread ended by an error" in lines[-2] and "ValueError: a\\nb ***" in lines[-1]


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (["dope.worlds", "--tape", "no\x1b[2J\nsuch.dope"], b""),
        (["dope.projector"], b"no\x1b[2J json\n"),
        (["dope.sim", "--speed", "nan", "--epoch-ms", "-9"], b""),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_each_of_them_does(module: list[str], said: bytes, tmp_path: Path) -> None:
    """Simulated market, played tape and replay, each ended by an error that repeats evil words."""
    broken = tmp_path / "sitecustomize.py"
    broken.write_text("import asyncio\ndef run(main, **_):\n    main.close()\n    raise ValueError('a\\nb\\x1b[2J')\nasyncio.run = run\n")
    path = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run([sys.executable, "-m", *module], cwd=ROOT, env=path, input=said, capture_output=True, check=False)
    (line,) = only_lines(done.stderr.decode())
    assert done.returncode == 1 and "ValueError: a\\nb\\x1b[2J" in line


def shouting(progress: object, text: str) -> None:
    """A job that warns."""
    logger.warning("job says {}", text)
    warnings.warn(text, stacklevel=1)


def test_jobs_and_sealing_do_it_too(capfd: pytest.CaptureFixture[str]) -> None:
    jobs = Jobs()
    jobs.start("seal", shouting, (EVIL[0] + EVIL[4],), 1)
    until(lambda: jobs.poll()[0].ended, "its end")
    jobs.close()
    said = [line for line in capfd.readouterr().err.splitlines() if "says" in line or "UserWarning" in line]
    assert len(said) == 2 and all(LINE.fullmatch(line) and "a\\nb\\x1b[2J" in line for line in said)


# -- canaries on the real program ----------------------------------------------------------------------------------------
CANARIES = {"api_token": "CANARY-operate-7f3a9c", "read_token": "CANARY-reading-51d2e8"}


def test_no_secret_is_shown_anywhere(tmp_path: Path) -> None:
    with Program(tmp_path, "--source", "sim", log_level="DEBUG", **CANARIES) as program:
        seen = []
        for token in (None, "wrong-CANARX-000000", *CANARIES.values()):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            for path in ("/", "/docs", "/sign-in", "/openapi.json", "/metrics", "/health", "/ready", "/_dash-layout", "/_dash-dependencies",
                         "/api/v1/venues", "/api/v1/live", "/api/v1/jobs", "/api/v1/export/opportunities.json", "/nope"):  # fmt: skip
                answer = httpx.get(program.url + path, headers=headers, timeout=60)
                seen.append(answer.text + str(answer.headers))
            for body in ({"name": "train"}, {"name": "backtest"}, {"name": "reconnect", "args": {"venue": token or "x"}}, [token], token):
                answer = httpx.post(program.url + "/api/v1/commands", json=body, headers=headers, timeout=60)
                seen.append(answer.text if answer.status_code != 422 or token is None else "")  # 422 repeats what was sent
            httpx.get(program.url + f"/api/v1/venues?token={token}", timeout=60)
        process = psutil.Process(program.process.pid)
        seen += [line_of(each) for each in (process, *process.children(recursive=True))]
        program.end(signal.SIGTERM)
        files = [path.read_bytes().decode("utf-8", "replace") for path in (tmp_path / "data" / "logs").iterdir()]
        assert files and all(LINE.fullmatch(line) for file in files for line in file.splitlines())
        assert all("CANARY" not in text for text in (*seen, *files, program.log))
