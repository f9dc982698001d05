"""The commands that look after what is on disk: verify, repair, backup, restore, bundle. Exit 2 = not all is well."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from dope.care.archive import make_bundle, opened
from dope.care.backup import backup, restore
from dope.care.last import keep_verdict
from dope.care.repair import repair
from dope.care.verify import verify
from dope.errors import TapeError
from dope.feed.clock import Clock
from dope.replay import replay, summary
from dope.settings import Settings

NOT_WELL = 2  #: exit code
Found = Annotated[list[Path], typer.Argument(help="tapes, sealed files, bundles, backups, models, or folders of them")]
Folder = Annotated[Path, typer.Argument(help="folder of tapes and what was sealed of them")]


def register(app: typer.Typer, settings: Callable[[], Settings]) -> None:
    """Add the commands; ``settings`` reads them and sets up the log."""

    @app.command("verify")
    def verify_(paths: Found) -> None:
        """Read every byte and say what is damaged: file, offset, what."""
        chosen = settings()
        verdict = verify(paths)
        keep_verdict(verdict, paths, chosen.data_dir, Clock().now() // 1_000_000)
        for problem in sorted(verdict.problems):
            print(problem)
        print(f"{verdict.sound} files are sound" + (f", {len(verdict.problems)} problems" if verdict.problems else ""))
        if verdict.problems:
            raise typer.Exit(NOT_WELL)

    @app.command("repair")
    def repair_(folder: Folder, dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would be done")] = False) -> None:
        """Cut torn tails, step over damage, make sealed files again from their tapes; nothing that can be saved is lost."""
        settings()
        done = repair(folder, dry_run=dry_run)
        for each in done:
            print(each)
        print(f"{len(done)} repairs" + (" would be made" if dry_run else ""))
        if any(each.lost for each in done):
            raise typer.Exit(NOT_WELL)

    @app.command("backup")
    def backup_(folder: Folder, target: Annotated[Path, typer.Argument(help="where the copy goes; absent or empty")]) -> None:
        """Copy a data folder, also while something records into it, and prove the copy."""
        settings()
        made = backup(folder, target)
        print(f"{len(made.entries)} files, {sum(entry.bytes for entry in made.entries)} bytes are in {target}, verified")

    @app.command("restore")
    def restore_(
        source: Annotated[Path, typer.Argument(help="what backup has made")],
        target: Annotated[Path, typer.Argument(help="the data folder to put in place; absent or empty")],
    ) -> None:
        """Put a backup in place, if every byte of it is right."""
        settings()
        put = restore(source, target)
        print(f"{len(put.entries)} files, {sum(entry.bytes for entry in put.entries)} bytes are in {target}, verified")

    @app.command("bundle")
    def bundle_(
        out: Annotated[Path, typer.Argument(help="the bundle to write (.zip)")],
        tape: Annotated[list[Path], typer.Option(help="recording to put in; may be given several times")],
        report: Annotated[list[Path] | None, typer.Option(help="file to put beside it, such as a backtest's report")] = None,
    ) -> None:
        """Put recordings, what was sealed of them, rules and reports into one file that replays the same anywhere."""
        chosen = settings()
        seen = summary(*asyncio.run(replay(tape, chosen)))
        made = make_bundle(out, tape, chosen, seen, report or ())
        print(f"{len(made.entries)} files are in {out}, verified; digest {seen['digest']}")


async def replay_bundle(path: Path, speed: float = math.inf) -> dict[str, Any]:
    """The summary of a bundle's replay, by its own rules; ``as_bundled`` says whether the digest is the one it was made with."""
    with opened(path) as (tapes, rules, before):
        found = summary(*await replay(tapes, Settings(_env_file=None, **rules), speed))
    return found | {"as_bundled": found["digest"] == before.get("digest")}


def refuse_mixture(paths: list[Path]) -> bool:
    """Whether one bundle is to be replayed. Raises TapeError for a bundle beside anything else."""
    bundles = [path for path in paths if path.suffix == ".zip"]
    if bundles and len(paths) > 1:
        raise TapeError(f"{bundles[0]} is a bundle: replay it alone")
    return bool(bundles)
