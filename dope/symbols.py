"""The spellings that people, venues and ccxt use for a market, and the canonical symbols that each may mean.

Canonical: ``BTC-USDT`` spot, ``BTC-USDT-PERP`` perpetual, ``BTC-USD-260626`` dated future, ``BTC-USD-260626-90000-C`` option, upper
case. The quote currency stays the real one: ``BTC-USD`` is never ``BTC-USDT``; ``family`` only groups. What several markets are called
by gives all of them, the likeliest first; where a table of instruments is at hand, only what stands in it.
"""

from __future__ import annotations

import heapq
import re
import unicodedata
from collections.abc import Iterator, Sequence

from dope.types import DEFAULT_SYMBOLS, Instrument

MAX_TEXT = 80  #: characters; what is longer is no name of a market
MAX_MEANT = 12  #: candidates for one text
#: worth one US dollar by intention; for grouping, never for pricing
DOLLARS = frozenset((
    "USD", "USDT", "USDC", "DAI", "FDUSD", "TUSD", "BUSD", "USDP", "PYUSD", "GUSD", "RLUSD", "USD1", "USDE", "USDS", "USDD", "HUSD",
    "LUSD", "FRAX", "USDG",
))  # fmt: skip
#: quote currencies by which a name without a divider is cut; where several fit, the longer one is likelier
QUOTES = (
    "FDUSD", "RLUSD", "PYUSD", "USDT", "USDC", "USDE", "USD1", "USDD", "USDP", "TUSD", "BUSD", "GUSD", "HUSD", "USD", "DAI", "EURC", "EUR",
    "GBP", "JPY", "AUD", "CAD", "CHF", "SGD", "KRW", "TRY", "BRL", "RUB", "PLN", "MXN", "ARS", "ZAR", "UAH", "BTC", "XBT", "ETH", "BNB",
    "SOL", "TRX", "MNT", "HT",
)  # fmt: skip
#: other names of one coin, and full names
COINS = {
    "XBT": "BTC", "XDG": "DOGE", "BITCOIN": "BTC", "ETHEREUM": "ETH", "SOLANA": "SOL", "TETHER": "USDT", "RIPPLE": "XRP",
    "DOGECOIN": "DOGE", "CARDANO": "ADA", "LITECOIN": "LTC", "POLKADOT": "DOT", "CHAINLINK": "LINK", "AVALANCHE": "AVAX", "TRON": "TRX",
    "STELLAR": "XLM", "MONERO": "XMR", "TONCOIN": "TON", "USD-COIN": "USDC",
}  # fmt: skip
ABROAD = {"UST": "USDT", "UDC": "USDC"}  #: where names begin with a small t, as in tBTCUST
#: coins that are traded by the thousand under a name with a k before it
THOUSANDS = frozenset((
    "PEPE", "SHIB", "BONK", "FLOKI", "LUNC", "DOGS", "NEIRO", "XEC", "SATS", "CAT", "RATS", "WHY", "CHEEMS", "TURBO",
))  # fmt: skip
KNOWN = frozenset((
    "BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "DOT", "LTC", "BCH", "LINK", "AVAX", "TRX", "XLM", "XMR", "TON", "BNB", "SUI", "APT",
    "ARB", "OP", "NEAR", "ATOM", "FIL", "ETC", "UNI", "AAVE", "MKR", "INJ", "PEPE", "SHIB", "BONK", "WIF", "HYPE", "TAO", "SEI", "TIA",
    "POL", "MATIC", "WBTC", "WETH", "STETH", "WSTETH", "CBBTC", "PAXG", "XAUT", "USDT", "USDC", "DAI", "USDE", "EUR", "GBP", "EURC",
    "MNT",
))  # fmt: skip
USUAL = ("USDT", "USD", "USDC")  #: quotes that a coin alone may be meant with
PERP, SPOT, EITHER = ("perp",), ("spot",), ("spot", "perp")
#: what names of perpetuals end with, whatever divides it from the rest
PERP_WORDS = frozenset(("PERP", "PERPETUAL", "SWAP", "P", "UMCBL", "DMCBL", "CMCBL"))
SPOT_WORDS = frozenset(("SPOT", "SPBL"))
PERP_HEADS = ("PI_", "PF_")
KINDS = {"spot": 0, "perp": 1, "future": 2, "option": 3, "reference": 4}

_CANONICAL = re.compile(r"[A-Z0-9]{1,20}-[A-Z0-9]{1,10}(?:-PERP|-\d{6}(?:\d\d)?(?:-[\d.]{1,10}-[CP])?)?")
_CCXT = re.compile(r"([A-Z0-9]+)/([A-Z0-9]+)(?::([A-Z0-9]+)(?:-(\d{6})(-[\d.]+-[CP])?)?)?")
_SMALL_T = re.compile(r"t(?:([A-Z0-9]{3})([A-Z0-9]{3})|([A-Z0-9]+):([A-Z0-9]+))")
_OF_THOUSANDS = re.compile(r"(?:10{3,8}|1M)([A-Z][A-Z0-9]*)|([A-Z][A-Z0-9]*?)10{3,8}")
_DAY = re.compile(r"\d{6}(?:\d\d)?")
_DASHES = str.maketrans(dict.fromkeys("‐‑‒–—−", "-"))


def family(currency: str) -> str:
    """Currencies that one may want to see side by side: "USD" for the dollar and what is worth one, else the currency itself."""
    return "USD" if currency in DOLLARS else currency


def is_canonical(text: str) -> bool:
    """Whether ``text`` has the form of a canonical symbol; of the market itself it says nothing."""
    return len(text) <= 32 and _CANONICAL.fullmatch(text) is not None


def ccxt(instrument: Instrument) -> str:
    """The name of a market in ccxt, "" where it has none; contracts of a thousand coins are called as there: ``1000PEPE/USDT:USDT``."""
    one, pair = instrument, f"{_counted(instrument)}/{instrument.quote}"
    if one.kind in ("spot", "reference"):
        return pair
    settled = f"{pair}:{one.base if one.inverse else one.quote}"
    if one.kind == "perp":
        return settled
    days = [part for part in one.symbol.split("-")[2:] if _DAY.fullmatch(part)]
    if not days:
        return ""
    tail = one.symbol.partition(f"-{days[0]}")[2]
    return f"{settled}-{days[0][-6:]}{tail}" if one.kind == "option" or not tail else ""


def _counted(instrument: Instrument) -> str:
    """The base as its venue names it: with the thousand that one contract counts, if any."""
    found = re.match(rf"(?:10{{3,8}}|1M){re.escape(instrument.base)}|{re.escape(instrument.base)}10{{3,8}}|k{re.escape(instrument.base)}$",
                     instrument.native)  # fmt: skip
    return found.group().upper() if found and instrument.kind == "perp" else instrument.base


def resolve(text: str, instruments: Sequence[Instrument] = ()) -> tuple[str, ...]:
    """The canonical symbols that ``text`` may mean, the likeliest first; () = none.

    With ``instruments``, nothing that is not among them; whatever is written exactly like one of their symbols, keys, own names
    or ccxt names is. One venue's name for one market may be a coin that others quote in many: the likeliest still comes first.
    """
    name = _clean(text)
    meant = _guess(name) if name else ()
    if not instruments:
        return meant
    loose = name.upper()
    exact: dict[str, int] = {}
    listed = set()
    for each in instruments:
        listed.add(each.symbol)
        if (rank := _likeness(each, name, loose)) is not None:
            exact[each.symbol] = min(exact.get(each.symbol, 9), rank)
    known = [symbol for symbol in meant if symbol in listed]
    odd = sorted((symbol for symbol in exact if symbol not in meant), key=lambda symbol: (exact[symbol], _usual(symbol), symbol))
    return tuple(dict.fromkeys([*(symbol for symbol in known if exact.get(symbol) == 0), *odd, *known]))[:MAX_MEANT]


def _likeness(each: Instrument, name: str, loose: str) -> int | None:
    """0 = this is its symbol, 1 its own name to the letter, 2 its own name but for the case, or its name in ccxt; None = none of them."""
    if each.symbol == loose:
        return 0
    if len(each.native) == len(name) and each.native.upper() == loose:
        return 1 if each.native == name else 2
    if ":" in name and each.key.upper() == loose:
        return 2
    return 2 if "/" in name and each.base in loose and ccxt(each) == loose else None


def search(text: str, instruments: Sequence[Instrument], limit: int = 50) -> list[Instrument]:
    """Instruments that fit ``text``: those it means, then those of that base, then names that begin so, then all that hold its words."""
    name = _clean(text).upper()
    if not name:
        return heapq.nsmallest(limit, instruments, key=_preferred)
    meant = {symbol: place for place, symbol in enumerate(resolve(text, instruments))}
    coins = {coin for coin, _ in _coins(_clean(text))}
    words = [word for word in re.split(r"[\s,;]+", name) if word]
    found: list[tuple[int, int, tuple[object, ...], Instrument]] = []
    for each in instruments:
        rank = _rank(each, name, words, coins) if each.symbol not in meant else 0
        if rank is not None:
            rank -= ":" in name and each.key.upper() == name
            found.append((rank, meant.get(each.symbol, 0), _preferred(each), each))
    return [each for *_, each in heapq.nsmallest(limit, found, key=lambda row: row[:3])]


def _rank(each: Instrument, name: str, words: Sequence[str], coins: set[str]) -> int | None:
    if each.base in coins:
        return 1
    native = each.native.upper()
    if each.symbol.startswith(name) or native.startswith(name):
        return 2
    hay = f"{each.venue.upper()}:{each.symbol} {native} {each.kind.upper()}"
    if not all(word in hay for word in words):
        return None
    return 1 if len(words) > 1 and each.base in words else 3


def _preferred(each: Instrument) -> tuple[object, ...]:
    return (each.status != "trading", *_usual(each.symbol), KINDS.get(each.kind, 9), len(each.symbol), each.symbol, each.venue)


_PLACES = {symbol: place for place, symbol in enumerate(DEFAULT_SYMBOLS)}
_QUOTE_PLACES = {"USDT": 0, "USD": 1, "USDC": 2, "EUR": 3, "BTC": 4, "ETH": 5}


def _usual(symbol: str) -> tuple[int, int]:
    """Watched by default first, then by how usual the quote is."""
    return _PLACES.get(symbol, len(_PLACES)), _QUOTE_PLACES.get(symbol.split("-")[1] if "-" in symbol else "", 9)


def _clean(text: str) -> str:
    name = unicodedata.normalize("NFKC", text[: MAX_TEXT * 2]).translate(_DASHES).strip()
    return name if len(name) <= MAX_TEXT else ""


def _guess(name: str) -> tuple[str, ...]:
    """All readings of a cleaned text, without knowing what is listed."""
    if not name.isascii():
        return ()
    return tuple(dict.fromkeys(symbol for symbol in _readings(name) if is_canonical(symbol)))[:MAX_MEANT]


def _readings(name: str) -> Iterator[str]:
    loose = name.upper()
    if loose in COINS:
        yield from _alone(name, EITHER)
        return
    if found := _CCXT.fullmatch(loose):
        yield from _of_ccxt(found)
        return
    if found := _SMALL_T.fullmatch(name):
        base, quote = (found[1], found[2]) if found[1] else (found[3], found[4])
        yield _abroad(base, quote)
    elif ":" in name:
        before, _, after = name.partition(":")
        if after.upper() in QUOTES:
            yield from _pair(before, after, EITHER)
        elif before.replace("_", "").isalnum() and ":" not in after:
            yield from _readings(after)
        return
    if is_canonical(loose) and not _says_kind(loose):
        yield loose
    perp = loose.startswith(PERP_HEADS)
    parts = [part for part in re.split(r"[-_/.\s]+", name[3:] if perp else name) if part]
    yield from _of_parts(parts, PERP if perp else EITHER, spaced=" " in name)


def _says_kind(pair: str) -> bool:
    """BTC-PERP is no pair, and XBT-USD not its own name for it."""
    first, second, *more = pair.split("-")
    return first in COINS or (not more and (second in PERP_WORDS or second in SPOT_WORDS or _DAY.fullmatch(second) is not None))


def _of_ccxt(found: re.Match[str]) -> Iterator[str]:
    base, quote, settled, day, option = found.groups()
    if settled is None:
        yield from _pair(base, quote, SPOT)
    elif day is None:
        yield from _pair(base, quote, PERP)
    else:
        for coin, _ in _coins(base):
            yield f"{coin}-{quote}-{day}{option or ''}"


def _abroad(base: str, quote: str) -> str:
    """The one place where perpetuals end in F0 and stable coins have names of three letters."""
    perp = base.endswith("F0") and quote.endswith("F0")
    base, quote = (part.removesuffix("F0") if perp else part for part in (base, quote))
    base, quote = (ABROAD.get(part, COINS.get(part, part)) for part in (base, quote))
    return f"{base}-{quote}" + ("-PERP" if perp else "")


def _of_parts(parts: Sequence[str], kinds: Sequence[str], *, spaced: bool) -> Iterator[str]:
    """The parts of a name between its dividers, the last of which may say the kind."""
    rest, tail = list(parts), ""
    last = rest[-1].upper() if rest else ""
    if len(rest) > 1 and rest[-1].upper() == "INTX":
        rest.pop()
        last = rest[-1].upper()
    if len(rest) > 1 and (last in PERP_WORDS or last in SPOT_WORDS):
        kinds = PERP if last in PERP_WORDS else SPOT
        rest.pop()
    elif len(rest) > 1 and _DAY.fullmatch(last):
        tail = "-" + rest.pop()
    if len(rest) == 2:
        if spaced and rest[1].upper() not in QUOTES:
            return
        yield from _pair(rest[0], rest[1], kinds, tail)
    elif len(rest) == 1:
        yield from _fused(rest[0], kinds, tail)


def _fused(name: str, kinds: Sequence[str], tail: str) -> Iterator[str]:
    """A name without a divider: cut by its quote, or a coin alone."""
    loose = name.upper()
    if kinds == EITHER and not tail:
        if loose.endswith("PERP") and len(loose) > 4:
            inner = name[:-4]
            yield from _cut(inner, PERP, "") if any(_cuts(inner)) else _alone(inner, PERP, ("USDC", "USDT", "USD"))
            return
        if loose.endswith(("USDTM", "USDCM", "USDM")) and len(loose) > 5:
            yield from _cut(name[:-1], PERP, "")
        if found := re.fullmatch(r"X([A-Z]{3})Z([A-Z]{3})", loose):
            yield from _pair(found[1], found[2], SPOT)
    pairs = [(base, quote) for base, quote in _cuts(name) if base.upper() in KNOWN or base.upper() in COINS or quote in DOLLARS]
    known = loose in KNOWN or loose in COINS
    if known and not tail:
        yield from _alone(name, kinds)
    yield from _cut(name, kinds, tail)
    if not known and not tail and not pairs:
        yield from _alone(name, kinds)


def _cuts(name: str) -> Iterator[tuple[str, str]]:
    """(base, quote) of every quote that the name ends with: a coin that is known stands before others, then the longer quote."""
    loose = name.upper()
    found = [(name[: -len(quote)], quote) for quote in QUOTES if loose.endswith(quote) and len(loose) > len(quote)]
    found.sort(key=lambda pair: (pair[0].upper() not in KNOWN and pair[0].upper() not in COINS, -len(pair[1])))
    yield from found


def _cut(name: str, kinds: Sequence[str], tail: str) -> Iterator[str]:
    for base, quote in _cuts(name):
        yield from _pair(base, quote, kinds, tail)


def _alone(name: str, kinds: Sequence[str], quotes: Sequence[str] = USUAL) -> Iterator[str]:
    """A coin without a quote: the usual ones."""
    if name.upper() in COINS and len(name) > 3:  # a full name is a price in dollars first
        quotes = ("USD", "USDT", "USDC")
    for coin, thousands in _coins(name):
        for kind in sorted(kinds, key=lambda kind: (kind != "perp") if thousands else (kind == "perp")):
            yield from (f"{coin}-{quote}" + ("-PERP" if kind == "perp" else "") for quote in quotes if quote != coin)


def _pair(base: str, quote: str, kinds: Sequence[str], tail: str = "") -> Iterator[str]:
    """All kinds of a pair; a count of thousands belongs to perpetuals, a token may be called so too."""
    quote = COINS.get(quote.upper(), quote.upper())
    coins = list(_coins(base))
    if tail:
        yield from (f"{coin}-{quote}{tail}" for coin, _ in coins)
        return
    if len(coins) > 1 and kinds == SPOT:
        coins.reverse()
    if len(coins) > 1 and kinds == EITHER:
        kinds = ("perp", "spot")
    for coin, _ in coins:
        yield from (f"{coin}-{quote}" + ("-PERP" if kind == "perp" else "") for kind in kinds)


def _coins(name: str) -> Iterator[tuple[str, bool]]:
    """(coin, it is counted in thousands) that a base may mean: 1000PEPE, SHIB1000, kPEPE → the coin first, then the name as it stands."""
    loose = name.upper()
    if found := _OF_THOUSANDS.fullmatch(loose):
        yield found[1] or found[2], True
    elif len(name) > 1 and loose[0] == "K" and (loose[1:] in THOUSANDS or (name[0] == "k" and name[1:].isupper())):
        yield loose[1:], True
    yield COINS.get(loose, loose), False
