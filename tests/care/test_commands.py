"""The commands of care as a user gives them: what they print, how they end; a bundle replays the same in another place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from dope.care.commands import refuse_mixture, register
from dope.errors import TapeError
from dope.settings import Settings
from dope.tape.format import Meta
from dope.tape.segment import write_tape
from tests.frames import play, spot_script
from tests.program import command
from tests.tape.sealed import sealed_of, tape_of


def give(*words: str | Path) -> Result:
    """One command in this process."""
    app = typer.Typer()
    register(app, lambda: Settings(_env_file=None))
    return CliRunner().invoke(app, [str(word) for word in words])


def test_verify_ends_with_0_and_a_count_or_with_2_and_a_list(tmp_path: Path) -> None:
    sealed_of(tmp_path, 1)
    done = give("verify", tmp_path)
    assert (done.exit_code, done.output) == (0, "7 files are sound\n")
    path = next((tmp_path / "sealed" / "trade").rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-1])
    size = path.stat().st_size
    done = give("verify", tmp_path)
    assert done.exit_code == 2
    assert done.output == f"{path} at byte {size}: {size} bytes long, {size + 1} were written\n6 files are sound, 1 problems\n"


def test_repair_says_what_it_would_do_then_does_it_and_then_finds_nothing(tmp_path: Path) -> None:
    tape_of(tmp_path, 1, complete=False)
    assert "would be closed in order" in give("repair", tmp_path, "--dry-run").output
    done = give("repair", tmp_path)
    assert done.exit_code == 0 and "closed in order with 20 frames" in done.output and "2 repairs" in done.output
    assert give("repair", tmp_path).output == "0 repairs\n" and give("verify", tmp_path).exit_code == 0


def test_repair_ends_with_2_when_something_could_not_be_saved(tmp_path: Path) -> None:
    path = tape_of(tmp_path, 1)
    path.write_bytes(b"nothing of a tape")
    done = give("repair", tmp_path)
    assert done.exit_code == 2 and "nothing of it can be saved" in done.output


def test_backup_and_restore_say_what_is_where(tmp_path: Path) -> None:
    sealed_of(tmp_path / "data", 1)
    assert give("backup", tmp_path / "data", tmp_path / "copy").output.startswith("7 files, ")
    done = give("restore", tmp_path / "copy", tmp_path / "back")
    assert done.exit_code == 0 and f"are in {tmp_path / 'back'}, verified" in done.output


def test_a_bundle_gives_the_same_digest_in_another_place_and_process(tmp_path: Path) -> None:
    tape = tmp_path / "market.dope"
    write_tape(tape, Meta("sim", 1, venues=("binance_spot",)), play("binance_spot", spot_script()))
    made = give("bundle", tmp_path / "x.zip", "--tape", tape)
    assert made.exit_code == 0, made.output
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "x.zip").rename(elsewhere / "y.zip")
    tape.unlink()
    done = command(elsewhere, "replay", elsewhere / "y.zip", "--json", order_size=5)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["as_bundled"] and found["digest"] in made.output and found["frames"] > 5


def test_a_bundle_is_replayed_alone() -> None:
    assert refuse_mixture([Path("a.zip")]) and not refuse_mixture([Path("a.dope"), Path("b.dope")])
    with pytest.raises(TapeError, match=r"a\.zip is a bundle: replay it alone"):
        refuse_mixture([Path("a.zip"), Path("b.dope")])
