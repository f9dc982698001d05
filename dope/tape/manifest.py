"""Manifests: what files belong together and what their bytes must be, so that any damage is noticed and its place named.

A manifest is one line of JSON and, on a second line, the SHA-256 of the first. Of every file it keeps the size, the
SHA-256 of the whole and the CRC32 of each 64 KiB: the first proves, the second finds the place. Every bit of the files
and of the manifest itself is under one of the checksums.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO
from zlib import crc32

import msgspec

from dope import __version__
from dope.errors import TapeError

PIECE = 1 << 16  #: bytes under one CRC32: how exactly the place of damage is known
MAX_MANIFEST = 64 << 20  #: bytes; a larger one is refused unread
FORMAT = 1
_HEX = 64


class Problem(msgspec.Struct, frozen=True, order=True):
    """Something wrong with a file: where it begins (byte, -1 = the file as a whole) and what it is, in words."""

    path: str
    at: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}" if self.at < 0 else f"{self.path} at byte {self.at}: {self.what}"


class Entry(msgspec.Struct, frozen=True):
    """One file. ``name`` is its path below the manifest's root, with forward slashes; ``rows`` -1 = it has none."""

    name: str
    bytes: int
    sha256: str
    pieces: tuple[int, ...]  #: CRC32 of each PIECE bytes
    rows: int = -1


class Manifest(msgspec.Struct, frozen=True):
    """``kind``: "sealed" (one tape's tables), "backup" or "bundle"; ``of`` = what was sealed, saved or bundled."""

    kind: str
    of: str
    entries: tuple[Entry, ...]
    format: int = FORMAT
    software: str = __version__


def measure(name: str, pieces: Iterable[bytes], *, rows: int = -1) -> Entry:
    """The entry of a file whose content comes in pieces of PIECE bytes (the last may be shorter)."""
    digest, crcs, size = hashlib.sha256(), [], 0
    for piece in pieces:
        digest.update(piece)
        crcs.append(crc32(piece))
        size += len(piece)
    return Entry(name, size, digest.hexdigest(), tuple(crcs), rows)


def pieces_of(data: bytes | memoryview) -> Iterator[bytes]:
    """``data`` in pieces as ``measure`` wants them."""
    return (bytes(data[at : at + PIECE]) for at in range(0, len(data), PIECE))


def read_pieces(file: IO[bytes]) -> Iterator[bytes]:
    """An open file in pieces, from where it stands to its end."""
    while piece := file.read(PIECE):
        yield piece


def pack_manifest(manifest: Manifest) -> bytes:
    """The bytes of a manifest file."""
    line = msgspec.json.encode(manifest)
    return line + b"\n" + hashlib.sha256(line).hexdigest().encode() + b"\n"


def unpack_manifest(data: bytes) -> Manifest:
    """Raises ValueError, in plain words, for anything but an unharmed manifest of a known format."""
    line, proof = data[: -_HEX - 2], data[-_HEX - 2 :]
    if proof != b"\n" + hashlib.sha256(line).hexdigest().encode() + b"\n":
        raise ValueError("the manifest does not match its checksum")
    try:
        manifest = msgspec.json.decode(line, type=Manifest)
    except msgspec.DecodeError as error:
        raise ValueError(f"the manifest cannot be understood: {error}") from error
    if manifest.format > FORMAT:
        raise ValueError(f"written by a newer version (manifest format {manifest.format}; this program reads up to {FORMAT})")
    for entry in manifest.entries:
        if PurePosixPath(entry.name).is_absolute() or ".." in PurePosixPath(entry.name).parts or "\\" in entry.name:
            raise ValueError(f"the manifest names a file outside its folder: {entry.name!r}")
    return manifest


def read_manifest(path: Path) -> Manifest:
    """Raises TapeError, naming the file, if it is absent or not an unharmed manifest."""
    try:
        if path.stat().st_size > MAX_MANIFEST:
            raise ValueError(f"larger than {MAX_MANIFEST >> 20} MB")
        return unpack_manifest(path.read_bytes())
    except OSError as error:
        raise TapeError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise TapeError(f"{path} at byte 0: {error}") from error


def compare(entry: Entry, pieces: Iterable[bytes], path: str) -> list[Problem]:
    """What is wrong with a file's content: at most one line per damaged stretch."""
    found: list[Problem] = []
    digest, size, damaged = hashlib.sha256(), 0, False
    for number, piece in enumerate(pieces):
        digest.update(piece)
        expected = min(PIECE, entry.bytes - number * PIECE)
        wrong = number < len(entry.pieces) and (len(piece) != expected or crc32(piece) != entry.pieces[number])
        if wrong and not damaged:
            found.append(Problem(path, number * PIECE, f"these {PIECE >> 10} KiB do not match their checksum"))
        damaged = wrong
        size += len(piece)
    if size != entry.bytes:
        found = [problem for problem in found if problem.at + PIECE <= size]  # the cut itself is said once
        found.append(Problem(path, min(size, entry.bytes), f"{size} bytes long, {entry.bytes} were written"))
    elif digest.hexdigest() != entry.sha256 and not found:
        found.append(Problem(path, 0, "does not match its SHA-256"))
    return found


def check_file(entry: Entry, path: Path) -> list[Problem]:
    """What is wrong with one file on disk; empty = nothing."""
    try:
        with path.open("rb") as file:
            return compare(entry, read_pieces(file), str(path))
    except FileNotFoundError:
        return [Problem(str(path), -1, "is missing")]
    except OSError as error:
        return [Problem(str(path), -1, error.strerror or str(error))]
