"""Bundles: recordings, what was sealed of them, rules and report in one file that means the same anywhere.

A ZIP (stored, not packed again) of ``tapes/…``, ``sealed/…``, ``settings.json`` (what shapes the result, no secrets), ``replay.json``
(what a replay saw when it was made, with its digest), reports, and ``manifest.json`` with the checksums of all of them. Its
comment is the SHA-256 of everything before it, so that the ZIP's own fields are covered too.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from dope.errors import TapeError
from dope.settings import Settings
from dope.tape.catalogue import SEALED
from dope.tape.manifest import Entry, Manifest, Problem, check_file, compare, measure, pack_manifest, read_pieces, unpack_manifest
from dope.tape.read import Tape
from dope.tape.seal import seal

MANIFEST, SETTINGS, REPLAY = "manifest.json", "settings.json", "replay.json"
TAPES, REPORTS = "tapes", "reports"
#: settings that shape what a replay sees
SHAPING = (
    "symbols", "order_size", "min_net_bps", "leave_net_bps", "min_notional", "debounce_ms", "max_age_s", "fees", "parameters", "depth_bps",
)  # fmt: skip
_PROOF = b"sha256 "
_COMMENT = len(_PROOF) + 64
_EPOCH = (1980, 1, 1, 0, 0, 0)
#: what ``zipfile`` and our manifest raise for bytes that are no bundle; NotImplementedError = packed in a way that Python cannot unpack
UNREADABLE = (zipfile.BadZipFile, KeyError, ValueError, NotImplementedError, EOFError, RuntimeError)


def make_bundle(out: Path, tapes: Sequence[Path], settings: Settings, seen: dict[str, Any], reports: Sequence[Path] = ()) -> Manifest:
    """Write ``out``; ``seen`` is the summary of a replay. Raises TapeError if it exists, or for anything that cannot be read."""
    if out.exists():
        raise TapeError(f"{out}: File exists")
    if len({path.name for path in tapes}) < len(tapes) or len({path.name for path in reports}) < len(reports):
        raise TapeError("two files of one name cannot be in one bundle")
    draft = out.with_name(out.name + ".new")
    try:
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".bundle-") as temp:
            root = Path(temp)
            for path in tapes:
                for problem in Tape(path).verify():
                    if "torn tail" not in problem:  # of a recording that goes on: it is bundled as far as it is
                        raise TapeError(problem)
                seal(path, root / SEALED)
            chosen = settings.model_dump(mode="json", include=set(SHAPING))
            (root / SETTINGS).write_bytes(msgspec.json.format(msgspec.json.encode(chosen)))
            (root / REPLAY).write_bytes(msgspec.json.format(msgspec.json.encode(seen)))
            files = {f"{TAPES}/{path.name}": path for path in tapes} | {f"{REPORTS}/{path.name}": path for path in reports}
            files |= {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*")) if path.is_file()}
            manifest = _write(draft, out.name, files)
        problems = check_bundle(draft)
        if problems:
            raise TapeError(str(problems[0]))
        draft.replace(out)
    except OSError as error:
        raise TapeError(f"{out}: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)
    return manifest


def _write(draft: Path, name: str, files: dict[str, Path]) -> Manifest:
    entries: list[Entry] = []
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED) as archive:
        for member, path in files.items():
            with path.open("rb") as source, archive.open(zipfile.ZipInfo(member, _EPOCH), "w", force_zip64=True) as sink:
                entries.append(measure(member, _copied(source, sink)))
        manifest = Manifest("bundle", name, tuple(entries))
        archive.writestr(zipfile.ZipInfo(MANIFEST, _EPOCH), pack_manifest(manifest))
        archive.comment = bytes(_COMMENT)
    proof = _PROOF + _digest(draft).encode()
    with draft.open("r+b") as file:
        file.seek(-_COMMENT, 2)
        file.write(proof)
    return manifest


def _copied(source: Any, sink: Any) -> Iterator[bytes]:
    for piece in read_pieces(source):
        sink.write(piece)
        yield piece


def _digest(path: Path) -> str:
    """SHA-256 of all but the comment."""
    digest, left = hashlib.sha256(), path.stat().st_size - _COMMENT
    with path.open("rb") as file:
        for piece in read_pieces(file):
            digest.update(piece[:left])
            left = max(0, left - len(piece))
    return digest.hexdigest()


def check_bundle(path: Path) -> list[Problem]:
    """What is wrong with a bundle: its members by the manifest, and everything else by the comment."""
    try:
        found = _check_members(path)
        with path.open("rb") as file:
            file.seek(-min(_COMMENT, path.stat().st_size), 2)
            comment = file.read()
        if not found and comment != _PROOF + _digest(path).encode():
            found = [Problem(str(path), -1, "does not match its SHA-256: something beside its members is damaged")]
    except UNREADABLE as error:
        return [Problem(str(path), -1, f"not a readable bundle: {error}")]
    except OSError as error:
        return [Problem(str(path), -1, error.strerror or str(error))]
    return found


def _check_members(path: Path) -> list[Problem]:
    found: list[Problem] = []
    with zipfile.ZipFile(path) as archive:
        manifest = unpack_manifest(archive.read(MANIFEST))
        for entry in manifest.entries:
            where = f"{path}/{entry.name}"
            info = archive.getinfo(entry.name)
            if info.file_size != entry.bytes or info.compress_type != zipfile.ZIP_STORED:
                found.append(Problem(where, -1, f"{info.file_size} bytes long, {entry.bytes} were written"))
                continue
            try:
                with archive.open(info) as member:
                    found += compare(entry, read_pieces(member), where)
            except zipfile.BadZipFile:
                found.append(Problem(where, info.header_offset, "does not match its checksum"))
    return found


@contextmanager
def opened(path: Path) -> Iterator[tuple[list[Path], dict[str, Any], dict[str, Any]]]:
    """``unpacked`` for a while."""
    with tempfile.TemporaryDirectory(prefix="dope-bundle-") as temp:
        yield unpacked(path, Path(temp))


def unpacked(path: Path, folder: Path) -> tuple[list[Path], dict[str, Any], dict[str, Any]]:
    """(tapes, settings, what a replay saw when it was bundled) of a bundle that is sound, its tapes put into ``folder``.

    Raises TapeError for one that is not, and then nothing of it may be used.
    """
    problems = check_bundle(path)
    if problems:
        raise TapeError(str(problems[0]))
    with zipfile.ZipFile(path) as archive:
        tapes: list[Path] = []
        for entry in unpack_manifest(archive.read(MANIFEST)).entries:
            if entry.name.startswith(f"{TAPES}/"):
                tapes.append(folder / Path(entry.name).name)
                with archive.open(entry.name) as source, tapes[-1].open("wb") as sink:
                    shutil.copyfileobj(source, sink)
                for problem in check_file(entry, tapes[-1]):
                    raise TapeError(str(problem))
        return tapes, msgspec.json.decode(archive.read(SETTINGS)), msgspec.json.decode(archive.read(REPLAY))


def contents(path: Path) -> list[str]:
    """Names of the tapes that a bundle says it holds: a quick look, nothing is checked. Raises TapeError for what is no bundle."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = unpack_manifest(archive.read(MANIFEST)).entries
    except UNREADABLE as error:
        raise TapeError(f"{path.name}: not a readable bundle: {error}") from error
    except OSError as error:
        raise TapeError(f"{path.name}: {error.strerror or error}") from error
    return [Path(entry.name).name for entry in entries if entry.name.startswith(f"{TAPES}/")]
