"""Repair: torn tails cut, damaged stretches stepped over, sealed files made again from their tapes, left-overs removed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from dope.care.backup import DAMAGED
from dope.care.verify import NOT_CLOSED, sealed_folders, tape_problems, verify_tape
from dope.errors import TapeError
from dope.tape.catalogue import SEALED, SUFFIX, tape_files
from dope.tape.files import FolderLock, RealFiles
from dope.tape.format import parse_name
from dope.tape.manifest import Entry, Manifest, Problem, check_file, measure, pack_manifest, read_manifest, read_pieces
from dope.tape.mend import mend
from dope.tape.seal import LAST, MANIFESTS, manifest_of, publish, seal, sealed_tapes
from dope.tape.segment import DRAFT


class Done(msgspec.Struct, frozen=True):
    """One repair: what was done with a file, in words; ``lost`` = something of it could not be saved."""

    path: str
    what: str
    lost: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def repair(folder: Path, *, dry_run: bool = False) -> list[Done]:
    """Make everything below ``folder`` sound again, as far as it can be; what was done (or, dry, would be).

    Raises TapeError if a recorder writes there. Originals that are damaged stay beside the repaired ones as ``.damaged``.
    """
    done: list[Done] = []
    tapes = {path.parent for path in tape_files(folder)} | {path.parent for path in sealed_folders(folder)}
    for home in sorted(tapes):
        lock = None if dry_run else FolderLock(home)
        try:
            done += _left_over(home, dry_run)
            for path in sorted(home.glob("*" + SUFFIX)):
                done += _tape(path, dry_run)
            done += _sealed(home, dry_run)
        finally:
            if lock is not None:
                lock.release()
    return done


def _left_over(home: Path, dry_run: bool) -> Iterator[Done]:
    """Drafts of writers that were killed; nobody writes now, so they are nobody's."""
    for path in sorted([*home.glob("*" + DRAFT), *(home / SEALED).rglob("*" + DRAFT)]):
        if not dry_run:
            path.unlink()
        yield Done(str(path), "left over by a write that was killed: removed")


def _tape(path: Path, dry_run: bool) -> Iterator[Done]:
    problems = verify_tape(path) if dry_run else tape_problems(path)  # our own lock is no recorder
    if not problems:
        return
    harmless = all("torn tail" in problem.what or problem.what == NOT_CLOSED for problem in problems)
    if dry_run:
        yield Done(str(path), f"{'would be closed in order' if harmless else 'would be mended'} ({_said(problems)})", not harmless)
        return
    fresh = path.with_name(path.stem + "-mended" + DRAFT)
    fresh.unlink(missing_ok=True)
    try:
        mended = mend(path, fresh)
    except TapeError as error:
        aside = _set_aside(path)
        path.unlink()
        yield Done(str(path), f"nothing of it can be saved ({error}): set aside as {aside.name}", True)
        return
    kept = "" if harmless else f"; the original is kept as {_set_aside(path).name}"
    RealFiles().rename(fresh, path)
    cut = f", torn tail of {mended.cut} bytes cut" if mended.cut else ""
    told = f"closed in order with {mended.frames} frames{cut}, {mended.damaged} damaged stretches left out{kept}"
    yield Done(str(path), told, not harmless)


def _set_aside(path: Path) -> Path:
    """The same file under a second name; the first is replaced in one step afterwards."""
    aside = path.with_name(path.name + DAMAGED)
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.{number}{DAMAGED}")
    try:
        os.link(path, aside)
    except OSError:
        shutil.copy2(path, aside)
    return aside


def _said(problems: list[Problem]) -> str:
    return "; ".join(str(problem) for problem in problems[:3]) + (f" and {len(problems) - 3} more" if len(problems) > 3 else "")


# -- sealed files ------------------------------------------------------------------------------------------------------
def _sealed(home: Path, dry_run: bool) -> Iterator[Done]:
    """Every set of sealed files that is not whole is made again from its tape; without tape its sound part is kept."""
    root = home / SEALED
    manifests = {path.stem: path for path in sorted((root / MANIFESTS).rglob("*.json"))}
    marked = sealed_tapes(root)
    tapes = {path.stem: path for path in sorted(home.glob("*" + SUFFIX)) if parse_name(path.name)}
    files = {path.stem: manifest_of(path) for path in sorted(root.glob("*/date=*/hour=*/*.parquet"))}
    for stem in sorted({*manifests, *marked, *tapes, *files}):
        manifest = manifests.get(stem) or files.get(stem)
        problems = _problems(root, stem, manifest) if manifest is not None else []
        if problems or stem not in marked:
            yield from _again(root, tapes.get(stem), manifest, problems, dry_run)


def _problems(root: Path, stem: str, manifest: Path) -> list[Problem]:
    try:
        entries = {root / entry.name: entry for entry in read_manifest(manifest).entries}
    except TapeError as error:
        return [Problem(str(manifest), -1, str(error))]
    found = [problem for path, entry in entries.items() for problem in check_file(entry, path)]
    return found + [Problem(str(path), -1, "its manifest does not name it") for path in _files(root, stem) if path not in entries]


def _files(root: Path, stem: str) -> list[Path]:
    return sorted(path for path in root.glob(f"*/date=*/hour=*/{stem}.parquet"))


def _again(root: Path, tape: Path | None, manifest: Path | None, problems: list[Problem], dry_run: bool) -> Iterator[Done]:
    where = str(tape or manifest or root)
    if dry_run:
        how = "would be sealed" if not problems else "would be sealed again" if tape else "its tape is gone: its sound files would be kept"
        yield Done(where, f"{how}{f' ({_said(problems)})' if problems else ''}", bool(problems) and tape is None)
        return
    if tape is None:
        assert manifest is not None
        yield from _keep_sound(root, manifest, problems)
        return
    before = _entries(manifest)
    for path in _files(root, tape.stem):
        if any(problem.path == str(path) for problem in problems):
            os.replace(path, path.with_name(path.name + DAMAGED))
    try:
        done = seal(tape, root)
    except TapeError as error:
        yield Done(where, f"cannot be sealed: {error}", True)
        return
    after = _entries(done.files[0])
    for path in set(_files(root, tape.stem)) - set(done.files):  # of another hour, or of a table that has no rows
        os.replace(path, path.with_name(path.name + DAMAGED))
    if before:
        changed = sorted(name for name in before if before[name].sha256 != (after[name].sha256 if name in after else ""))
        judged = f"other than before: {', '.join(changed)}" if changed else "every byte as before"
        yield Done(where, f"sealed again ({_said(problems)}): {judged}", bool(changed))
    else:
        yield Done(where, f"sealed: {sum(done.rows.values())} rows" + (f" ({_said(problems)})" if problems else ""))


def _entries(manifest: Path | None) -> dict[str, Entry]:
    try:
        return {entry.name: entry for entry in read_manifest(manifest).entries} if manifest is not None else {}
    except TapeError:
        return {}


def _keep_sound(root: Path, manifest: Path, problems: list[Problem]) -> Iterator[Done]:
    """Without its tape: damaged files are set aside, and a manifest is made for those that are left."""
    known = _entries(manifest)
    entries: list[Entry] = []
    for path in _files(root, manifest.stem):
        name = path.relative_to(root).as_posix()
        if name in known and check_file(known[name], path):
            os.replace(path, path.with_name(path.name + DAMAGED))
            yield Done(str(path), f"damaged, and its tape is gone: set aside as {path.name}{DAMAGED}", True)
            continue
        entries.append(known[name] if name in known else _measured(path, name))
    if not entries:
        manifest.unlink(missing_ok=True)
        yield Done(str(manifest), "nothing is left of what it described: removed", True)
        return
    publish({manifest: pack_manifest(Manifest(SEALED, manifest.stem + SUFFIX, tuple(entries)))}, RealFiles())
    if not any(LAST in entry.name.split("/")[:1] for entry in entries):
        yield Done(str(manifest), "its gap table is lost: gaps of that hour are no longer known", True)
    yield Done(str(manifest), f"describes the {len(entries)} files that are left ({_said(problems)})")


def _measured(path: Path, name: str) -> Entry:
    with path.open("rb") as file:
        return measure(name, read_pieces(file))
