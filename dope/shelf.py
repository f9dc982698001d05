"""The shelf of trained models: one authenticated joblib file per source, its predecessor, and the list of versions.

A pickle runs code when it is loaded, so nothing is unpickled before its HMAC-SHA256 is right. The seal beside each
file (``.sig``, JSON) covers the bytes and says, readable without unpickling, what the model expects:

    models/spread_predictor.pkl (+ .sig)            learned from the live market
    models/spread_predictor.pkl.prev (+ .sig)       the one before, served if the newest is refused
    models/spread_predictor.versions.json (+ .sig)  cards of the last 20
    models/sim/…                                    the same, learned from the simulated market
    models/.key                                     32 random bytes, readable by the owner only
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import io
import json
import os
import pickle
import secrets
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loguru import logger

from dope.errors import ModelError
from dope.model.features import MODEL_FEATURES
from dope.model.predictor import LIBRARY, SCHEMA, PairScaler, Trained

MODEL_NAME = "spread_predictor.pkl"
VERSIONS_NAME = "spread_predictor.versions.json"
KEY_NAME = ".key"
KEY_BYTES = 32
SOURCES = ("live", "sim")
MAX_BYTES = 64 * 1024 * 1024  #: a larger model file is refused unread
MAX_VERSIONS = 20
_PARTS = ("model", "scaler", "feature_names", "is_trained", "card", "residuals")


@dataclass(frozen=True)
class Shelved:
    """A model from the shelf; ``notice`` says why it is not the newest one, "" if it is."""

    trained: Trained
    notice: str


class Shelf:
    """Model files in ``folder``, sealed with ``key`` (None = the folder's own key file, made at first use)."""

    def __init__(self, folder: Path, key: bytes | None = None, *, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._folder = folder
        self._key = _own_key(folder, random_bytes) if key is None else key

    def path(self, source: str = "live") -> Path:
        """Where the model of ``source`` ("live" or "sim") lives."""
        if source not in SOURCES:
            raise ModelError(f"models are kept for {' and '.join(SOURCES)}, not for {source!r}")
        return (self._folder if source == "live" else self._folder / source) / MODEL_NAME

    def save(self, trained: Trained) -> Path:
        """Write the model to the file of its own source, keep the one before as ``.prev``; all or nothing."""
        import joblib

        source = str(trained.card["source"])
        path = self.path(source)
        path.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        joblib.dump({part: getattr(trained, part) for part in _PARTS}, buffer)
        meta = {
            "schema": SCHEMA,
            "sklearn": LIBRARY,
            "features": _digest_of(trained.feature_names),
            "horizon_steps": trained.card["horizon_steps"],
            "step_s": trained.card["step_s"],
        }
        self._keep_previous(path, source)
        self._write(path, buffer.getvalue(), source, meta)
        versions = [card for card in self.versions(source) if card.get("version") != trained.card["version"]]
        text = json.dumps([*versions, trained.card][-MAX_VERSIONS:]).encode()
        self._write(path.with_name(VERSIONS_NAME), text, source, {"schema": SCHEMA})
        logger.info("model {} saved to {}: {}", trained.card["version"], path, trained.card["verdict"])
        return path

    def load(self, source: str = "live", *, horizon_steps: int = 1, step_s: float = 1.0) -> Shelved | None:
        """The newest model that is authentic and fits, else its predecessor; None if there is none at all.

        Raises ModelError, naming each file and its reason, if files are there but all of them are refused.
        """
        newest = self.path(source)
        refused: list[str] = []
        for path in (newest, _previous(newest)):
            if not path.exists():
                continue
            try:
                trained = self._load_one(path, source, {"horizon_steps": horizon_steps, "step_s": step_s})
            except ModelError as error:
                refused.append(str(error))
                logger.warning("model refused: {}", error)
                continue
            notice = "; ".join(refused)
            return Shelved(trained=trained, notice=f"{notice}; the model before it is in use" if notice else "")
        if refused:
            raise ModelError("; ".join(refused))
        return None

    def roll_back(self, source: str = "live") -> Path:
        """Make the model before the newest one; the newest becomes the one before. Raises ModelError if there is none."""
        newest = self.path(source)
        previous = _previous(newest)
        if not previous.exists():
            raise ModelError(f"{previous.name}: there is no earlier model to go back to")
        old = self._read(previous, source)
        new = self._read(newest, source) if newest.exists() else None
        self._write(newest, old[0], source, old[1])
        if new is not None:
            self._write(previous, new[0], source, new[1])
        logger.info("model in {} rolled back", newest)
        return newest

    def versions(self, source: str = "live") -> list[dict[str, Any]]:
        """Cards of the last models saved, oldest first; empty if there are none or the list is not authentic."""
        path = self.path(source).with_name(VERSIONS_NAME)
        if not path.exists():
            return []
        try:
            data, _ = self._read(path, source)
        except ModelError as error:
            logger.warning("list of versions refused: {}", error)
            return []
        cards: list[dict[str, Any]] = json.loads(data)
        return cards

    def check(self, source: str = "live") -> None:
        """Raises ModelError unless the bytes of model, predecessor and versions are those that were sealed. Nothing is loaded."""
        newest = self.path(source)
        for path in (newest, _previous(newest), newest.with_name(VERSIONS_NAME)):
            if path.exists():
                self._read(path, source)

    # -- one file and its seal ----------------------------------------------------------------------------------------
    def _load_one(self, path: Path, source: str, wanted: dict[str, Any]) -> Trained:
        data, meta = self._read(path, source)
        wanted = {"schema": SCHEMA, "features": _digest_of(MODEL_FEATURES)} | wanted
        for name, value in wanted.items():
            if meta.get(name) != value:
                raise ModelError(f"{path.name}: made for another {name} ({meta.get(name)}, this program has {value}); train again")
        if _major(str(meta.get("sklearn"))) != _major(LIBRARY):
            raise ModelError(f"{path.name}: made with scikit-learn {meta.get('sklearn')}, this is {LIBRARY}; train again")
        import joblib
        from sklearn.exceptions import InconsistentVersionWarning

        try:
            with warnings.catch_warnings():  # a minor difference of scikit-learn is allowed, and said once in the log
                warnings.simplefilter("ignore", InconsistentVersionWarning)
                parts = joblib.load(io.BytesIO(data))
            trained = Trained(**{part: parts[part] for part in _PARTS})
        except (pickle.UnpicklingError, AttributeError, ImportError, EOFError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{path.name}: authentic, but cannot be read: {error}") from error
        if not (isinstance(trained.scaler, PairScaler) and trained.is_trained and tuple(trained.feature_names) == MODEL_FEATURES):
            raise ModelError(f"{path.name}: its parts are not those of a trained spread predictor")
        return trained

    def _read(self, path: Path, source: str) -> tuple[bytes, dict[str, Any]]:
        """Bytes and description of a sealed file. Raises ModelError unless the seal is right."""
        try:
            if max(path.stat().st_size, _seal(path).stat().st_size) > MAX_BYTES:
                raise ModelError(f"{path.name}: larger than {MAX_BYTES // 1024 // 1024} MB")
            data = path.read_bytes()
            seal = json.loads(_seal(path).read_bytes())
            meta, digest = dict(seal["meta"]), str(seal["hmac"])
        except FileNotFoundError as error:
            raise ModelError(f"{path.name}: {Path(str(error.filename)).name} is missing") from error
        except OSError as error:
            raise ModelError(f"{path.name}: cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ModelError(f"{path.name}: its seal cannot be read") from error
        if not hmac.compare_digest(digest.encode(), self._hmac(data, source, meta).encode()):
            raise ModelError(f"{path.name}: not authentic (changed, damaged, or sealed with another key)")
        return data, meta

    def _write(self, path: Path, data: bytes, source: str, meta: dict[str, Any]) -> None:
        """Replace file and seal, each at once. A crash between the two leaves a file that is refused, never misread."""
        seal = json.dumps({"meta": meta, "hmac": self._hmac(data, source, meta)}).encode()
        _replace(path, data)
        _replace(_seal(path), seal)
        _sync_folder(path.parent)

    def _hmac(self, data: bytes, source: str, meta: dict[str, Any]) -> str:
        head = json.dumps([source, meta], sort_keys=True).encode()
        return hmac.new(self._key, len(head).to_bytes(8, "big") + head + data, hashlib.sha256).hexdigest()

    def _keep_previous(self, path: Path, source: str) -> None:
        if not path.exists():
            return
        try:
            data, meta = self._read(path, source)
        except ModelError as error:
            logger.warning("not kept as the earlier model: {}", error)
            return
        self._write(_previous(path), data, source, meta)


def _previous(path: Path) -> Path:
    return path.with_name(path.name + ".prev")


def _seal(path: Path) -> Path:
    return path.with_name(path.name + ".sig")


def _major(version: str) -> str:
    return version.partition(".")[0]


def _digest_of(names: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def _replace(path: Path, data: bytes) -> None:
    temp = path.with_name(f"{path.name}.tmp")
    with open(temp, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temp, path)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _own_key(folder: Path, random_bytes: Callable[[int], bytes]) -> bytes:
    """The folder's key, made at first use; a damaged one is set aside, and what it sealed will be refused."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / KEY_NAME
    if path.exists() and path.stat().st_size != KEY_BYTES:
        logger.warning("{} is damaged and set aside: models sealed with it have to be trained again", path)
        os.replace(path, path.with_name(KEY_NAME + ".damaged"))
    if not path.exists():
        _make_key(path, random_bytes(KEY_BYTES))
    if path.stat().st_mode & 0o077:
        logger.warning("{} could be read by others; closing it to its owner", path)
        path.chmod(0o600)
    return path.read_bytes()


def _make_key(path: Path, key: bytes) -> None:
    """Write the key whole or not at all; if another process was first, its key stays."""
    handle, temp = tempfile.mkstemp(dir=path.parent, prefix=KEY_NAME)  # readable by the owner only
    with os.fdopen(handle, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):
        os.link(temp, path)
    os.unlink(temp)
    _sync_folder(path.parent)
