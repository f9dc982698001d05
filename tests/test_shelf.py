"""Model files: authentic or refused before anything in them runs; never lost, never mixed between sources."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import random
import stat
from pathlib import Path

import joblib
import numpy as np
import pytest

from dope.errors import ModelError
from dope.model.predictor import SCHEMA, SpreadPredictor, Trained
from dope.shelf import Shelf
from tests.model.markets import START, fed, reverting

NOW = START + 5_000 * 1_000_000_000
KEY = bytes(range(32))
PAIR = "okx:BTC-USDT|venue_b:BTC-USDT"


@pytest.fixture(scope="module")
def table():
    return fed({"BTC-USDT": reverting(700, 3)}).table()


@pytest.fixture(scope="module")
def model(table) -> Trained:
    return SpreadPredictor(models=("gradient_boosting",), rows_per_feature=1, blocks=2).train(table, now_ns=NOW)


def version(model: Trained, name: str, source: str = "live") -> Trained:
    return dataclasses.replace(model, card=model.card | {"version": name, "source": source})


class Bomb:
    """A pickle that leaves a mark when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_what_is_saved_is_what_is_loaded(tmp_path, model, table):
    Shelf(tmp_path).save(model)
    got = Shelf(tmp_path).load()
    assert got.notice == ""
    assert got.trained.card == model.card
    pairs = [PAIR] * 9
    np.testing.assert_array_equal(got.trained.predict(pairs, table.x[:9]), model.predict(pairs, table.x[:9]))


def test_the_file_is_the_dict_that_the_design_names(tmp_path, model):
    path = Shelf(tmp_path, KEY).save(model)
    assert path == tmp_path / "spread_predictor.pkl"
    parts = joblib.load(path)
    assert {"model", "scaler", "feature_names", "is_trained"} <= parts.keys()
    assert parts["is_trained"] is True


def test_the_key_is_made_once_and_only_its_owner_can_read_it(tmp_path, model):
    Shelf(tmp_path).save(model)
    key = tmp_path / ".key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    first = key.read_bytes()
    key.chmod(0o644)
    assert Shelf(tmp_path).load().trained.is_trained
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_bytes() == first
    assert [p.name for p in tmp_path.glob(".key*")] == [".key"]


def test_a_damaged_key_is_set_aside_and_its_models_are_refused(tmp_path, model):
    Shelf(tmp_path).save(model)
    (tmp_path / ".key").write_bytes(b"short")
    shelf = Shelf(tmp_path)
    with pytest.raises(ModelError, match="not authentic"):
        shelf.load()
    shelf.save(model)
    assert Shelf(tmp_path).load().notice == ""


def test_an_empty_shelf_is_not_an_error(tmp_path):
    assert Shelf(tmp_path).load() is None
    assert Shelf(tmp_path).versions() == []


def tampered(kind: str, good: bytes, mark: Path, rng: random.Random) -> bytes:
    if kind == "bomb":
        buffer = io.BytesIO()
        joblib.dump(Bomb(mark), buffer)
        return buffer.getvalue()
    if kind == "stowaway":
        buffer = io.BytesIO()
        joblib.dump({"model": Bomb(mark), "scaler": None, "feature_names": (), "is_trained": True, "card": {}, "residuals": {}}, buffer)
        return buffer.getvalue()
    if kind == "foreign key":
        Shelf(mark.parent / "foreign", bytes(32))._write(mark.parent / "foreign.pkl", good, "live", {"schema": SCHEMA})
        return (mark.parent / "foreign.pkl").read_bytes() + (mark.parent / "foreign.pkl.sig").read_bytes()
    if kind == "swapped parts":
        half = rng.randrange(1, len(good))
        return good[half:] + good[:half]
    if kind == "cut":
        return good[: rng.randrange(len(good))]
    if kind == "longer":
        return good + b"\x00"
    flipped = bytearray(good)
    flipped[rng.randrange(len(good))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


@pytest.mark.parametrize("kind", ["bomb", "stowaway", "cut", "longer", "flip", "swapped parts", "foreign key"])
def test_no_tampered_file_runs_code_and_the_model_before_serves(tmp_path, model, kind):
    shelf = Shelf(tmp_path / "models", KEY)
    shelf.save(version(model, "one"))
    path = shelf.save(version(model, "two"))
    good, rng = path.read_bytes(), random.Random(kind)
    for i in range(10):
        mark = tmp_path / f"ran-{i}"
        path.write_bytes(tampered(kind, good, mark, rng))
        got = shelf.load()
        assert got.trained.card["version"] == "one"
        assert "not authentic" in got.notice
        assert not mark.exists()
    path.write_bytes(good)
    assert shelf.load().trained.card["version"] == "two"


def test_neither_a_seal_changed_by_hand_nor_that_of_another_version_is_taken(tmp_path, model):
    shelf = Shelf(tmp_path, KEY)
    shelf.save(version(model, "one"))
    path = shelf.save(version(model, "two"))
    seal, before = path.with_name(path.name + ".sig"), path.with_name(path.name + ".prev.sig")
    good = seal.read_bytes()
    described = json.loads(good)
    for meta in ({"schema": 99}, {"sklearn": "9.9"}, {"version": "better"}):
        seal.write_text(json.dumps({**described, "meta": described["meta"] | meta}))
        assert shelf.load().trained.card["version"] == "one"
    seal.write_bytes(before.read_bytes())
    got = shelf.load()
    assert got.trained.card["version"] == "one" and "not authentic" in got.notice
    seal.write_bytes(good)
    assert shelf.load().trained.card["version"] == "two"


def test_the_bomb_would_have_worked(tmp_path):
    joblib.dump(Bomb(tmp_path / "ran"), tmp_path / "x.pkl")
    joblib.load(tmp_path / "x.pkl")
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("seal", [None, b"", b"{", b"[]", b'{"meta": 3, "hmac": ""}', b'{"meta": {}, "hmac": "\xc3\xa4"}', b"[" * 100_000])
def test_a_missing_or_unreadable_seal_is_a_refusal(tmp_path, model, seal):
    shelf = Shelf(tmp_path, KEY)
    path = shelf.save(model)
    sidecar = path.with_name(path.name + ".sig")
    if seal is None:
        sidecar.unlink()
    else:
        sidecar.write_bytes(seal)
    with pytest.raises(ModelError, match=r"spread_predictor\.pkl: "):
        shelf.load()


def test_a_model_sealed_with_another_key_is_refused(tmp_path, model):
    Shelf(tmp_path, KEY).save(model)
    with pytest.raises(ModelError, match="another key"):
        Shelf(tmp_path, bytes(32)).load()


def test_models_of_the_simulated_market_never_serve_the_live_one(tmp_path, model):
    shelf = Shelf(tmp_path, KEY)
    path = shelf.save(version(model, "simulated", "sim"))
    assert path == tmp_path / "sim" / "spread_predictor.pkl"
    assert shelf.load("live") is None
    assert shelf.load("sim").trained.card["version"] == "simulated"
    for suffix in ("", ".sig"):
        (tmp_path / f"spread_predictor.pkl{suffix}").write_bytes(path.with_name(path.name + suffix).read_bytes())
    with pytest.raises(ModelError, match="not authentic"):
        shelf.load("live")
    with pytest.raises(ModelError, match="live and sim"):
        shelf.load("tape")


def resealed(shelf: Shelf, path: Path, **changes) -> None:
    data, meta = shelf._read(path, "live")
    shelf._write(path, data, "live", meta | changes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sklearn": "0.24.2"}, "scikit-learn 0.24.2"),
        ({"features": "0" * 16}, "another features"),
        ({"schema": 0}, "another schema"),
        ({"horizon_steps": 30}, "another horizon_steps"),
        ({"step_s": 0.1}, "another step_s"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_in_plain_words_without_unpickling(tmp_path, model, change, words):
    shelf = Shelf(tmp_path, KEY)
    path = shelf.save(model)
    buffer, mark = io.BytesIO(), tmp_path / "ran"
    joblib.dump(Bomb(mark), buffer)
    shelf._write(path, buffer.getvalue(), "live", shelf._read(path, "live")[1])
    resealed(shelf, path, **change)
    with pytest.raises(ModelError, match=words):
        shelf.load()
    assert not mark.exists()


def test_an_authentic_file_of_another_shape_is_refused(tmp_path, model):
    shelf = Shelf(tmp_path, KEY)
    path = shelf.save(model)
    for content in ({"model": 1}, [1, 2]):
        buffer = io.BytesIO()
        joblib.dump(content, buffer)
        shelf._write(path, buffer.getvalue(), "live", shelf._read(path, "live")[1])
        with pytest.raises(ModelError, match="cannot be read"):
            shelf.load()


def test_at_every_point_of_a_crash_an_authentic_model_is_left(tmp_path, model):
    """Replays the save file by file: whatever prefix of its renames has happened, some model loads."""
    before, after = tmp_path / "before", tmp_path / "after"
    shelf = Shelf(before, KEY)
    for name in ("one", "two"):
        shelf.save(version(model, name))
    after.mkdir()
    for path in before.iterdir():
        (after / path.name).write_bytes(path.read_bytes())
    Shelf(after, KEY).save(version(model, "three"))
    name = "spread_predictor.pkl"
    seen = []
    for changed in (f"{name}.prev", f"{name}.prev.sig", name, f"{name}.sig"):  # the order of the renames
        (before / changed).write_bytes((after / changed).read_bytes())
        seen.append(Shelf(before, KEY).load().trained.card["version"])
    assert seen == ["two", "two", "two", "three"]


def test_a_damaged_model_never_replaces_the_good_one_before_it(tmp_path, model):
    shelf = Shelf(tmp_path, KEY)
    for name in ("one", "two"):
        path = shelf.save(version(model, name))
    path.write_bytes(b"damaged")
    shelf.save(version(model, "three"))
    path.write_bytes(b"damaged again")
    assert shelf.load().trained.card["version"] == "one"


def test_rolling_back_swaps_the_last_two(tmp_path, model):
    shelf = Shelf(tmp_path, KEY)
    shelf.save(version(model, "one"))
    with pytest.raises(ModelError, match="no earlier model"):
        shelf.roll_back()
    shelf.save(version(model, "two"))
    shelf.roll_back()
    assert shelf.load().trained.card["version"] == "one"
    shelf.roll_back()
    assert shelf.load().trained.card["version"] == "two"


def test_the_list_of_versions_is_bounded_and_authentic(tmp_path, model):
    shelf = Shelf(tmp_path, KEY)
    for i in range(23):
        shelf.save(version(model, f"v{i}"))
    assert [card["version"] for card in shelf.versions()] == [f"v{i}" for i in range(3, 23)]
    listing = tmp_path / "spread_predictor.versions.json"
    listing.write_text(json.dumps([{"version": "better than all"}]))
    assert shelf.versions() == []
    assert not list(tmp_path.glob("*.tmp"))
