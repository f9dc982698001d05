"""Spellings of markets: what people, venues and ccxt write becomes the canonical symbols that it may mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dope.symbols import COINS, MAX_MEANT, ccxt, family, is_canonical, resolve, search
from dope.types import DEFAULT_SYMBOLS, Instrument
from dope.venues import VENUES

ONE_MEANING = {
    "btc-usdt-perp": "BTC-USDT-PERP", "BTC/USDT": "BTC-USDT", "eth/btc": "ETH-BTC", "BTC/USDT:USDT": "BTC-USDT-PERP",
    "BTC/USD:BTC": "BTC-USD-PERP", "BTC/USDC:USDC": "BTC-USDC-PERP", "XBT/USD": "BTC-USD", "BTC/USD:BTC-260626": "BTC-USD-260626",
    "BTC/USD:BTC-260626-90000-C": "BTC-USD-260626-90000-C", "tBTCF0:USTF0": "BTC-USDT-PERP", "tLINK:USD": "LINK-USD",
    "BTC-USDT-SWAP": "BTC-USDT-PERP", "BTC-USD-SWAP": "BTC-USD-PERP", "BTCUSD_PERP": "BTC-USD-PERP", "BTCUSDT.P": "BTC-USDT-PERP",
    "btc usdt perp": "BTC-USDT-PERP", "BTCUSD_260626": "BTC-USD-260626", "BTC-USD-260626": "BTC-USD-260626",
    "BTCUSDT_UMCBL": "BTC-USDT-PERP",
}  # fmt: skip
LIKELIEST = {
    "BTCUSDT": "BTC-USDT", "btcusdt": "BTC-USDT", "BTC_USDT": "BTC-USDT", "BTC:USDT": "BTC-USDT", "BTC - USDT": "BTC-USDT",
    "BTC\u2013USDT": "BTC-USDT", "ＢＴＣ-ＵＳＤＴ": "BTC-USDT", "tBTCUSD": "BTC-USD", "tBTCUST": "BTC-USDT", "XBTUSD": "BTC-USD",
    "XXBTZUSD": "BTC-USD", "XDG/USD": "DOGE-USD", "XBTUSDTM": "BTC-USDT-PERP", "PI_XBTUSD": "BTC-USD-PERP", "BTCPERP": "BTC-USDC-PERP",
    "1000PEPEUSDT": "PEPE-USDT-PERP", "SHIB1000USDT": "SHIB-USDT-PERP", "kPEPE": "PEPE-USDT-PERP", "1000PEPE/USDT:USDT": "PEPE-USDT-PERP",
    "KPEPE/USDC:USDC": "PEPE-USDC-PERP", "1000SATS/USDT": "1000SATS-USDT", "1INCHUSDT": "1INCH-USDT", "BTCTUSD": "BTC-TUSD",
    "USDTUSD": "USDT-USD", "USDCUSDT": "USDC-USDT", "ETHBTC": "ETH-BTC", "WBTC": "WBTC-USDT", "bitcoin": "BTC-USD",
    "usd-coin": "USDC-USD", "somewhere:BTCUSDT": "BTC-USDT", "PI-USDT": "PI-USDT", "ethgusdperp": "ETH-GUSD-PERP",
}  # fmt: skip
LISTED = [(venue(DEFAULT_SYMBOLS), symbol) for venue in VENUES for symbol in DEFAULT_SYMBOLS]
SHIPPED = [
    found for venue, symbol in LISTED
    if (native := venue.native(symbol)) is not None and (found := venue.instrument(native)) is not None and found.symbol == symbol
]  # fmt: skip
coin = st.from_regex(r"[A-Z][A-Z0-9]{1,7}", fullmatch=True).filter(lambda name: name not in COINS)
quotes = st.sampled_from(["USDT", "USDC", "USD", "BTC", "EUR", "TRY"])


@st.composite
def instruments(draw: st.DrawFn) -> Instrument:
    base, quote, kind = draw(coin), draw(quotes), draw(st.sampled_from(["spot", "perp", "future"]))
    inverse = kind != "spot" and quote == "USD" and draw(st.booleans())
    symbol = f"{base}-{quote}" + {"spot": "", "perp": "-PERP", "future": "-260626"}[kind]
    native = draw(st.sampled_from([f"{base}{quote}", f"{base}_{quote}", f"{base}-{quote}-SWAP", f"x{base}"]))
    return Instrument(draw(st.sampled_from(["one", "two"])), symbol, native, base, quote, kind, inverse=inverse)


@pytest.mark.parametrize(("text", "symbol"), ONE_MEANING.items())
def test_what_has_one_meaning_becomes_that_symbol_alone(text: str, symbol: str) -> None:
    assert resolve(text) == (symbol,)


@pytest.mark.parametrize(("text", "symbol"), LIKELIEST.items())
def test_of_several_meanings_the_likeliest_comes_first_and_none_is_kept_back(text: str, symbol: str) -> None:
    meant = resolve(text)
    assert meant[0] == symbol
    assert len(set(meant)) == len(meant) <= MAX_MEANT and all(is_canonical(each) for each in meant)


def test_a_name_that_spot_and_perpetual_share_means_both() -> None:
    assert resolve("BTCUSDT") == resolve("BTC_USDT") == resolve("BTC-USDT") == ("BTC-USDT", "BTC-USDT-PERP")
    assert {"BTC-USDT", "BTC-USD", "BTC-USDC", "BTC-USDT-PERP", "BTC-USD-PERP", "BTC-USDC-PERP"} == set(resolve("btc"))


def test_the_quote_currency_stays_the_real_one_and_only_grouping_knows_the_dollar() -> None:
    assert not set(resolve("BTC-USD")) & set(resolve("BTC-USDT"))
    assert {family(each) for each in ("USD", "USDT", "USDC", "DAI")} == {"USD"}
    assert (family("EUR"), family("BTC")) == ("EUR", "BTC")


NOTHING = ("", " ", "-", "/", ":", "hello world", "💥", "ВТС-USDT", "@107", "BTC-USDT" * 20, "BTC" + "-" * 100, "\x00", "::::")


@pytest.mark.parametrize("text", NOTHING)
def test_what_is_no_name_of_a_market_means_nothing(text: str) -> None:
    assert resolve(text) == ()


def test_the_venues_own_names_of_all_default_symbols_mean_them() -> None:
    assert len(SHIPPED) > 120 and len({each.venue for each in SHIPPED}) >= 18
    missed = [(each.venue, each.native, each.symbol) for each in SHIPPED if each.symbol not in resolve(each.native)]
    assert not missed
    assert not [each.key for each in SHIPPED if resolve(ccxt(each)) != (each.symbol,)]
    assert not [symbol for symbol in DEFAULT_SYMBOLS if resolve(symbol)[0] != symbol or resolve(symbol.lower())[0] != symbol]


def test_with_one_venues_list_its_own_names_mean_exactly_one_market() -> None:
    for venue in VENUES:
        own = [each for each in SHIPPED if each.venue == venue.ID]
        for each in own:
            same = {other.symbol for other in own if other.native.upper() == each.native.upper()}
            assert set(resolve(each.native, own)[: len(same)]) == same
    swaps = [Instrument("one", "BTC-USDT-PERP", "BTC-USDT", "BTC", "USDT", "perp")]
    assert resolve("BTC-USDT", swaps) == ("BTC-USDT-PERP",)
    assert resolve("one:btc-usdt-perp", swaps) == resolve("BTC/USDT:USDT", swaps) == ("BTC-USDT-PERP",)
    assert resolve("ETH-USDT", swaps) == ()


@pytest.mark.parametrize(("native", "base", "name"), [
    ("1000PEPEUSDT", "PEPE", "1000PEPE/USDT:USDT"), ("SHIB1000USDT", "SHIB", "SHIB1000/USDT:USDT"), ("kBONK", "BONK", "KBONK/USDT:USDT"),
    ("1INCHUSDT", "1INCH", "1INCH/USDT:USDT"), ("1000000MOGUSDT", "MOG", "1000000MOG/USDT:USDT"), ("kAVAx", "KAVA", "KAVA/USDT:USDT"),
])  # fmt: skip
def test_contracts_of_thousands_are_called_in_ccxt_as_there(native: str, base: str, name: str) -> None:
    market = Instrument("one", f"{base}-USDT-PERP", native, base, "USDT", "perp", 1000.0)
    assert ccxt(market) == name
    assert resolve(name)[0] == market.symbol


@pytest.mark.parametrize(("symbol", "kind", "name"), [
    ("BTC-USD-260626", "future", "BTC/USD:BTC-260626"), ("BTC-USD-20260626", "future", "BTC/USD:BTC-260626"),
    ("BTC-USD-260626-90000-C", "option", "BTC/USD:BTC-260626-90000-C"), ("BTC-26JUN26", "future", ""), ("BTC-USD", "reference", "BTC/USD"),
])  # fmt: skip
def test_dated_contracts_have_a_name_in_ccxt_where_their_day_is_known(symbol: str, kind: str, name: str) -> None:
    assert ccxt(Instrument("one", symbol, symbol, "BTC", "USD", kind, inverse=True)) == name


@given(instruments())
def test_a_ccxt_name_and_a_canonical_symbol_lead_back_to_the_market(market: Instrument) -> None:
    if not market.base.startswith("K") and not market.base.endswith("000"):
        assert resolve(ccxt(market)) == (market.symbol,)
    assert market.symbol in resolve(ccxt(market))
    assert resolve(market.symbol)[0] == resolve(market.symbol.lower())[0] == market.symbol


@given(st.lists(instruments(), min_size=1, max_size=8))
def test_whatever_is_listed_is_found_by_all_of_its_names(table: list[Instrument]) -> None:
    for each in table:
        for name in (each.symbol, each.native, ccxt(each), each.key):
            assert each.symbol in resolve(name, table), name
            assert each in search(name, table), name
        assert set(resolve(each.native, table)) <= {other.symbol for other in table}


@given(st.text(max_size=200), st.lists(instruments(), max_size=4))
def test_no_text_raises(text: str, table: list[Instrument]) -> None:
    assert all(is_canonical(each) for each in resolve(text))
    assert {each.symbol for each in search(text, table, 3)} <= {each.symbol for each in table}
    resolve(text, table)


def market(symbol: str, venue: str = "one", status: str = "trading") -> Instrument:
    base, quote, *kind = symbol.split("-")
    return Instrument(venue, symbol, "".join((base, quote)), base, quote, "perp" if kind else "spot", status=status)


def test_a_search_gives_the_exact_market_then_its_coin_then_names_that_begin_so_then_the_rest() -> None:
    names = ["WBTC-USDT", "BTCDOM-USDT-PERP", "BTC-TRY", "ETH-BTC", "BTC-USDT-PERP", "BTC-USDT", "SOL-USDT"]
    table = [market(name) for name in names]
    assert [each.symbol for each in search("btc/usdt", table)] == ["BTC-USDT"]
    found = [each.symbol for each in search("btc", table)]
    assert found == ["BTC-USDT", "BTC-USDT-PERP", "BTC-TRY", "BTCDOM-USDT-PERP", "WBTC-USDT", "ETH-BTC"]
    assert [each.symbol for each in search("btc", table, 2)] == found[:2]
    assert [each.symbol for each in search("xbt", table)][:2] == found[:2]
    short = Instrument("two", "BTC-USDC-PERP", "BTC", "BTC", "USDC", "perp")  # one venue calls its one market so
    assert [each.symbol for each in search("BTC", [*table, short])][:2] == ["BTC-USDT", "BTC-USDT-PERP"]
    assert resolve("BTC", [short]) == ("BTC-USDC-PERP",)


def test_a_search_for_a_coin_at_a_venue_finds_it_there_alone_and_what_does_not_trade_comes_last() -> None:
    table = [market("BTC-USDT", "one", "halted"), market("BTC-USDT", "two"), market("BTC-USDT", "three"), market("ETH-USDT", "two")]
    assert [each.key for each in search("btc two", table)] == ["two:BTC-USDT"]
    assert [each.venue for each in search("BTC-USDT", table)] == ["three", "two", "one"]
    assert [each.symbol for each in search("", table, 2)] == ["BTC-USDT", "BTC-USDT"]


def test_the_spellings_of_the_descriptions_that_this_grew_from_are_understood() -> None:
    """Their table of names: a pair without a divider, a coin's full name, a canonical pair."""
    for text, symbol in {"BTCUSDT": "BTC-USDT", "bitcoin": "BTC-USD", "BTC-USD": "BTC-USD"}.items():
        assert resolve(text)[0] == symbol
