"""Verify: is everything on disk as it was written? Tapes, sealed files, bundles, backups, models, settings databases."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from dope.care.archive import check_bundle
from dope.errors import DopeError, TapeError, UnknownName
from dope.shelf import KEY_NAME, MODEL_NAME, Shelf
from dope.store.records import NAME
from dope.store.records import check as check_records
from dope.tape.catalogue import SEALED, SUFFIX, tape_files
from dope.tape.files import LOCK_NAME, FolderLock
from dope.tape.format import parse_name
from dope.tape.manifest import Problem, check_file, read_manifest
from dope.tape.read import Tape
from dope.tape.seal import MANIFESTS, check, manifest_of

BACKUP = "backup.json"  #: the manifest of a backup, in its root
BUNDLE = ".zip"
DATABASES = (".sqlite", ".db")
_AT = re.compile(r".* at byte (\d+): (.*)", re.DOTALL)
_TORN = "torn tail"
NOT_CLOSED = "not closed in order: cut by a crash, or something behind it is missing"


class Verdict(msgspec.Struct):
    """How many files are sound, and what is wrong with the others."""

    sound: int = 0
    problems: list[Problem] = msgspec.field(default_factory=list)

    def add(self, problems: Iterable[Problem]) -> None:
        """One file more."""
        found = list(problems)
        self.problems += found
        self.sound += not found


def verify(paths: Iterable[Path]) -> Verdict:
    """All that is ours among these files and below these folders. Raises UnknownName for a file of no known kind."""
    verdict = Verdict()
    for path in paths:
        if path.is_dir():
            _folder(path, verdict)
        else:
            verdict.add(_file(path))
    return verdict


def _file(path: Path) -> list[Problem]:
    if not path.exists():
        return [Problem(str(path), -1, "is missing")]
    if path.suffix == SUFFIX:
        return verify_tape(path)
    if path.suffix == ".parquet":
        return check(path)
    if path.suffix == BUNDLE:
        return check_bundle(path)
    if path.suffix in DATABASES:
        return _database(path)
    if path.suffix == ".pkl":
        return _model(path)
    if path.suffix == ".json":
        return _manifest(path)
    raise UnknownName("kind of file", path.name, (SUFFIX, ".parquet", BUNDLE, ".json", ".pkl", *DATABASES))


def _folder(folder: Path, verdict: Verdict) -> None:
    if (folder / BACKUP).exists():
        return _backup(folder, verdict)
    for path in tape_files(folder):
        verdict.add(verify_tape(path))
    for root in sealed_folders(folder):
        _sealed(root, verdict)
    for path in sorted(folder.rglob("*")):
        if path.suffix in (BUNDLE, *DATABASES) or path.name == MODEL_NAME:
            verdict.add(_file(path))


def sealed_folders(folder: Path) -> Iterator[Path]:
    """The folders of sealed files at or below ``folder``; a sealed folder itself is one too."""
    if folder.name == SEALED:
        yield folder
    else:
        yield from sorted(path for path in folder.rglob(SEALED) if path.is_dir())


def verify_tape(path: Path) -> list[Problem]:
    """What is wrong with a tape; the end of one that is being recorded now is not judged."""
    found = tape_problems(path)
    ends = [problem for problem in found if problem.what == NOT_CLOSED or problem.what.startswith(_TORN)]
    return [problem for problem in found if problem not in ends] if ends and _is_open(path) else found


def tape_problems(path: Path) -> list[Problem]:
    """Damage, a torn tail, a missing end of a tape that nobody writes."""
    try:
        tape = Tape(path, tolerant=True)
        said = [Problem(str(path), int(m[1]), m[2]) for line in tape.verify() if (m := _AT.fullmatch(line))]
    except TapeError as error:
        return [Problem(str(path), 0, str(error).removeprefix(f"{path} at byte 0: ").removeprefix(f"{path}: "))]
    return said if said or tape.complete else [Problem(str(path), path.stat().st_size, NOT_CLOSED)]


def _is_open(path: Path) -> bool:
    """Whether a recorder writes this tape now: the newest of a folder whose lock is taken."""
    named = [(found[1], each.name) for each in path.parent.glob("*" + SUFFIX) if (found := parse_name(each.name))]
    if not named or max(named)[1] != path.name or not (path.parent / LOCK_NAME).exists():
        return False
    try:
        FolderLock(path.parent).release()
    except TapeError:
        return True
    except OSError:
        return False  # a folder that may only be read
    return False


def _sealed(root: Path, verdict: Verdict) -> None:
    """By manifest; a file that none names is wrong, and so is a manifest without its files."""
    named: set[Path] = set()
    for path in sorted((root / MANIFESTS).rglob("*.json")):
        verdict.add(_manifest(path))
        try:
            entries = read_manifest(path).entries
        except TapeError:
            named |= {each for each in root.glob(f"*/*/*/{path.stem}.parquet") if manifest_of(each) == path}  # said once
            continue
        for entry in entries:
            named.add(root / entry.name)
            verdict.add(check_file(entry, root / entry.name))
    for path in sorted(set(root.rglob("*.parquet")) - named):
        verdict.add(check(path))


def _manifest(path: Path) -> list[Problem]:
    try:
        read_manifest(path)
    except TapeError as error:
        found = _AT.fullmatch(str(error))
        return [Problem(str(path), int(found[1]) if found else -1, found[2] if found else str(error))]
    return []


def _backup(folder: Path, verdict: Verdict) -> None:
    problems = _manifest(folder / BACKUP)
    verdict.add(problems)
    if not problems:
        for entry in read_manifest(folder / BACKUP).entries:
            verdict.add(check_file(entry, folder / entry.name))


def _model(path: Path) -> list[Problem]:
    """Whether the shelf would still serve it: its seal covers every byte."""
    source = path.parent.name if path.parent.name == "sim" else "live"
    folder = path.parent.parent if source == "sim" else path.parent
    if not (folder / KEY_NAME).exists():
        return [Problem(str(path), -1, "cannot be judged: the key that sealed it is not here")]
    try:
        Shelf(folder, (folder / KEY_NAME).read_bytes()).check(source)
    except (DopeError, OSError) as error:
        return [Problem(str(path), -1, str(error))]
    return []


def _database(path: Path) -> list[Problem]:
    """SQLite's own checks, which are of structure only; our records also carry checksums of their content."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            found = [str(row[0]) for row in database.execute("pragma integrity_check")]
            if path.name == NAME:
                found += check_records(database)
    except sqlite3.Error as error:
        found = [str(error)]
    return [Problem(str(path), -1, text) for text in found if text != "ok"]
