"""Venues and symbols are added and taken away while everything runs; what stays is not disturbed, and a restart remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dope import instruments, matrices
from dope.board import Board, Command
from dope.engine import Engine
from dope.errors import DopeError, UnknownName
from dope.replay import replay
from dope.runtime import Runtime
from dope.store.records import NAME, Records
from dope.tape.read import Tape
from tests.program import until
from tests.test_runtime import settings

assert instruments and matrices  # seen here through the board

Rows = dict[str, dict[str, Any]]


class House:
    """A runtime on the simulated market, and its board."""

    def __init__(self, folder: Path, **changed: Any) -> None:
        self.folder, self.board = folder, Board()
        self.runtime = Runtime(settings(folder, **changed), self.board)
        self.runtime.start()
        until(self.all_live, "all books live")

    def rows(self) -> Rows:
        return {row["key"]: row for row in self.board.read().data.get("instruments", ())}

    def venues(self) -> Rows:
        return {row["id"]: row for row in self.board.read().data.get("venues", ())}

    def all_live(self) -> bool:
        return bool(self.rows()) and all(row["state"] == "LIVE" for row in self.rows().values())

    def ask(self, name: str, **args: Any) -> None:
        self.board.ask(Command(name, args))

    def stop(self) -> None:
        self.runtime.stop()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("watchlist"))
    yield made
    made.stop()


def steady(house: House, others: list[str], change: Callable[[], None], condition: Callable[[], Any], what: str) -> None:
    """Do it and wait for it; meanwhile each of ``others`` is LIVE in every publication and has no gap."""
    gaps = {key: house.rows()[key]["gaps"] for key in others}
    change()

    def calm() -> Any:
        rows = house.rows()
        assert {key: rows[key]["state"] for key in others} == dict.fromkeys(others, "LIVE")
        assert {key: rows[key]["gaps"] for key in others} == gaps
        return condition()

    until(calm, what)


def test_a_symbol_comes_and_goes_and_the_others_stay_live(house: House) -> None:
    others = list(house.rows())
    steady(house, others, lambda: house.ask("watch", symbol="USDC-USDT", venue="okx"),
           lambda: house.rows().get("okx:USDC-USDT", {}).get("state") == "LIVE", "the new book")  # fmt: skip
    assert house.rows()["okx:USDC-USDT"]["bid"] > 0.0
    assert any(line["text"] == "OKX: USDC-USDT is watched" for line in house.board.read().data["events"])
    steady(house, others, lambda: house.ask("unwatch", symbol="USDC-USDT", venue="okx"),
           lambda: "okx:USDC-USDT" not in house.rows(), "its going")  # fmt: skip
    steady(house, others, lambda: house.ask("watch", symbol="USDC-USDT"),
           lambda: house.rows().get("binance_spot:USDC-USDT", {}).get("state") == "LIVE", "the book everywhere it is listed")  # fmt: skip
    assert until(lambda: house.rows().get("okx:USDC-USDT", {}).get("state") == "LIVE", "the book that was hidden")
    house.ask("unwatch", symbol="USDC-USDT")
    until(lambda: set(house.rows()) == set(others), "the first books only")


def test_a_venue_goes_and_comes_back(house: House) -> None:
    others = [key for key in house.rows() if not key.startswith("okx:")]
    books = len(house.rows()) - len(others)
    steady(house, others, lambda: house.ask("unwatch", venue="okx"), lambda: "okx" not in house.venues(), "its going")
    assert set(house.rows()) == set(others)
    until(lambda: not any("okx" in matrix["venues"] for matrix in house.board.read().data["matrix"]), "matrices without it")
    steady(house, others, lambda: house.ask("watch", venue="okx"),
           lambda: house.venues().get("okx", {}).get("books_live") == books, "all its books")  # fmt: skip
    until(house.all_live, "all rows")


@pytest.mark.parametrize(
    ("name", "args", "words"),
    [
        ("watch", {}, "watch needs a symbol, a venue, or both"),
        ("watch", {"symbol": "PEPE-USDT", "venue": "okx"}, "OKX does not list PEPE-USDT"),
        ("watch", {"symbol": "PEPE-USDT"}, "none of the venues watched is known to list PEPE-USDT"),
        ("watch", {"symbol": "BTC-USDT", "venue": "nowhere"}, "unknown venue 'nowhere'"),
        ("unwatch", {"symbol": "PEPE-USDT"}, "PEPE-USDT is not watched"),
        ("unwatch", {"symbol": "PEPE-USDT", "venue": "okx"}, "PEPE-USDT is not watched at OKX"),
        ("unwatch", {}, "unwatch needs a symbol, a venue, or both"),
    ],
)
def test_what_cannot_be_watched_is_refused_to_whoever_asks(house: House, name: str, args: dict[str, Any], words: str) -> None:
    until(lambda: all(row["source"] == "list" for row in listed(house)), "the lists of all venues")
    with pytest.raises((DopeError, ValueError, UnknownName), match=words):
        house.ask(name, **args)


def listed(house: House) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = house.board.query("instruments")
    return rows


def test_what_could_be_watched_is_listed_by_venue(house: House) -> None:
    until(lambda: all(row["source"] == "list" for row in listed(house)), "the lists of all venues")
    rows = {(row["venue"], row["symbol"]): row for row in listed(house)}
    assert rows[("okx", "BTC-USDT-PERP")] == {
        "label": "OKX", "venue": "okx", "symbol": "BTC-USDT-PERP", "native": "BTC-USDT-SWAP", "base": "BTC", "quote": "USDT",
        "kind": "perp", "tick": 0.1, "lot": 0.0001, "min_size": 0.0001, "min_notional": 0.0, "contract_value": 0.01, "inverse": False,
        "status": "trading", "watched": True, "source": "list",
    }  # fmt: skip
    assert not rows[("okx", "USDC-USDT")]["watched"]


def test_after_a_restart_it_is_as_it_was_and_the_tape_of_it_replays_to_the_same_books(tmp_path: Path) -> None:
    first = House(tmp_path)
    first.ask("watch", symbol="USDC-USDT", venue="okx")
    first.ask("unwatch", venue="binance_usdm")
    until(lambda: first.rows().get("okx:USDC-USDT", {}).get("state") == "LIVE" and "binance_usdm" not in first.venues(), "both")
    assert replayed(first, ["binance_spot binance_usdm okx"]).market.books["okx:USDC-USDT"].book_updates > 0
    again = House(tmp_path)
    assert "okx:USDC-USDT" in again.rows() and "binance_usdm" not in again.venues()
    again.ask("watch", venue="binance_usdm")
    until(lambda: again.venues().get("binance_usdm", {}).get("books_live"), "its return")
    replayed(again, ["binance_spot okx", "binance_spot okx binance_usdm"])


def replayed(house: House, headers: list[str]) -> Engine:
    """Stop it; an engine that has replayed its tapes and stands as the live one did. ``headers`` = the venues that each file names."""
    session = house.runtime.session
    assert session is not None
    house.stop()
    tapes = session.tape_paths()
    assert [" ".join(Tape(path).meta.venues) for path in tapes][: len(headers)] == headers
    engine, _ = asyncio.run(replay(tapes, settings(house.folder)))
    assert engine.digest() == session.engine.digest()
    return engine


def test_what_was_kept_and_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(parents=True)
    records = Records(tmp_path / "data" / NAME, clock_ms=lambda: 1)
    records.keep({"watching": {"okx": 5}})
    records.close()
    house = House(tmp_path)
    assert "okx" in house.venues()
    house.stop()


def test_a_fee_tier_that_is_chosen_holds_at_once_and_is_remembered(house: House) -> None:
    def fee() -> dict[str, Any]:
        return next(row for row in house.board.read().data["mode"]["fees"] if (row["venue"], row["kind"]) == ("binance_spot", "spot"))

    until(lambda: fee()["tier"] == "default", "the default tier")
    with pytest.raises(UnknownName, match="unknown fee tier of binance_spot 'gold'"):
        house.ask("tier", venue="binance_spot", tier="gold")
    with pytest.raises(UnknownName, match="unknown venue 'nowhere'"):
        house.ask("tier", venue="nowhere", tier="default")
    house.ask("tier", venue="binance_spot", tier="bnb")
    until(lambda: (fee()["tier"], round(fee()["taker_bps"], 6)) == ("bnb", 7.5), "the tier asked for")
    until(lambda: house.runtime.records.kept().get("fee_tiers") == {"binance_spot": "bnb"}, "it is kept")
    house.ask("tier", venue="binance_spot", tier="default")
    until(lambda: fee()["taker_bps"] == 10.0, "and back")
    for wrong in ({"nowhere": {"buy": "maker"}}, {"okx": {"buy": "thief"}}, {"okx": {"lend": "maker"}}, {"okx": "maker"}):
        with pytest.raises(ValueError, match=r"unknown venue|roles are"):
            house.ask("set", roles=wrong)
    house.ask("set", roles={"binance_spot": {"sell": "maker"}})
    house.ask("set", roles={"binance_spot": {"buy": "maker"}, "okx": {"buy": "taker"}})
    until(lambda: (fee()["buy_as"], fee()["sell_as"]) == ("maker", "maker"), "both roles")
    kept = {"binance_spot": {"sell": "maker", "buy": "maker"}, "okx": {"buy": "taker"}}
    until(lambda: house.runtime.records.kept().get("roles") == kept, "they are kept")
