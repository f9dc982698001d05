"""Every kind of reference vector and who answers for its parts: one line each. A key that nobody answers for is a failure."""

from __future__ import annotations

from tests.vectors import arbitrage, currencies, leadlag, microstructure, moves, recorded, recorded_book
from tests.vectors.case import Part

KINDS: dict[str, tuple[Part, ...]] = {
    "arb_depth": (Part(("two_book",), arbitrage.two_books), Part(("triangular",), currencies.triangular)),
    "basis": (Part(("cases",), currencies.carries), Part(("stablecoin",), currencies.stablecoin)),
    "bursts": moves.BURSTS,
    "flow": (Part(("lifecycle",), arbitrage.lifecycle), Part(("backtest",), arbitrage.backtest), moves.LINKER),
    "hy_exact": (Part(("cases",), leadlag.exact),),
    "jumps": moves.JUMPS,
    "leadlag_planted": (Part(("cases",), leadlag.planted),),
    "leadlag_real": (
        Part(("results", "x", "y", "n", "grid_s", "lag", "rho", "rho0", "llr", "curve", "six_hour_blocks"), leadlag.real),
    ),
    "micro": (
        Part(("bid", "bid_size", "ask", "ask_size", "expected_ofi_events", "expected_weighted_mid"), microstructure.touches),
        Part(("vpin",), microstructure.vpin),
        Part(("stats",), microstructure.stats),
    ),
    "ou": (Part(("cases",), microstructure.half_lives),),
    "real_binance": (
        Part(("clock",), recorded.clock),
        Part(("vecm",), recorded.vecm),
        Part(("ofi",), microstructure.order_flow),
        Part(("fair_price",), microstructure.fair_price),
        Part(("kyle",), microstructure.impact),
        Part(("book",), recorded_book.rebuilt),
        *moves.RECORDED,
        Part(("touch_edge",), arbitrage.touch_edges),
        Part(("spread",), currencies.spreads),
    ),
    "real_cpi_day": moves.BARS,
    "real_depeg": (Part(("implied_usdc_min", "implied_usdc_min_at", "by_day"), currencies.depeg),),
}
#: kinds whose models are not complete: every case is told as "not yet"
LATER = ("forecast", "scorer")
#: kind → keys that are not computed yet, each told as "not yet"
LATER_KEYS: dict[str, tuple[str, ...]] = {}
#: keys that say something about a file and hold no case
ABOUT = frozenset({"kind", "about", "note", "truth", "published", "tolerance", "tolerance_abs", "protocol", "data", "series", "files",
                   "clock_note"})  # fmt: skip
