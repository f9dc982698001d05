"""The further tabs of the Spreads page: carry, triangles, survival, market map. Each is filled by a script of its own."""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component

from dope.dashboard.blocks import chart, section, table
from dope.dashboard.parts import attrs

HOLDS = (("8", "8h"), ("24", "1d"), ("72", "3d"), ("168", "1w"), ("720", "30d"))

CARRY = (
    ("Pair", "Two markets of one base and quote; the second is a perpetual"),
    ("Basis", "Mid of the second above the first, bps"),
    ("Median 1 h", "Of the basis, bps; needs 5 minutes"),
    ("Deviation", "Basis less its median, bps; largest first"),
    ("Funding", "Forecast now, bps per interval; longs pay what is positive"),
    ("Per year", "Funding of the second at this rate, percent"),
    ("Better side", "The side whose net is larger, held for the chosen time"),
    ("Entry", "Basis at the executable sides, bps"),
    ("+ Funding", "Expected over the hold at today's rates, bps"),
    ("+ Convergence", "From entry to the median, bps"),
    ("− Fees", "Of both legs, in and out, each for its role, bps"),
    ("= Net", "bps of one leg's notional"),
    ("APR", "Net, percent per year, not compounded"),
    ("Break-even", "Time until nothing is lost"),
    ("Settled", "Rates seen to settle: median per interval in bps, count"),
)
TRIANGLES = (
    ("State", "● open, ○ closed, ■ stale"),
    ("Venue", ""),
    ("Path", "Currencies in their order"),
    ("Profit", "bps of what is put in, after three fees, at the best size"),
    ("Peak", "bps, highest of its life"),
    ("Put in", "In the first currency, at the best size"),
    ("Earned", "In the first currency"),
    ("Opened", "UTC"),
    ("Lived", ""),
    ("Why closed", ""),
)
WAYS = (
    ("Venue", ""),
    ("Path", "Currencies in their order"),
    ("Net", "bps after three fees, at the best prices; below 0 a loss"),
    ("Fees", "bps, all three"),
    ("To pay", "bps that the prices must move"),
)
LIVES = (
    ("Pair", "Symbol, where to buy and where to sell"),
    ("Openings", "Kept, the newest 20 000 of all"),
    ("Median life", "Kaplan–Meier, with its 95 % interval; – = fewer than half were seen to end"),
    ("Fills", "Share of openings whose two orders would both fill at my latency"),
    ("95 %", "Wilson's interval of that share"),
    ("n", "Openings looked at"),
    ("Stale", "Ended because a leg became too old"),
    ("Other than all", "Log-rank p of lasting as long as all others"),
)
STEPS = (
    ("After", "s since the opening"),
    ("Still open", "Share, Kaplan–Meier"),
    ("95 %", "Band"),
    ("Seen so long", "Lives at risk"),
)
FILLS = (
    ("Latency", "ms from detection to arrival at both venues"),
    ("Fills", "Share of those looked at"),
    ("95 %", "Wilson's interval"),
    ("Filled", "Both orders in full"),
    ("n", "Looked at"),
    ("Blind", "A book was not known to be right then; counts as not filled"),
)
MAP = (
    ("Pair", "Symbol, where to buy and where to sell"),
    ("Worth /h", "Openings an hour × median net of the smallest size, quote currency"),
    ("Openings", ""),
    ("Per hour", "With its 95 % interval"),
    ("Median life", "With its 95 % interval"),
    ("Net", "bps, median at the moment of opening, smallest size"),
    ("Net, larger", "bps, median at the next larger sizes"),
    ("Capacity", "Median of the largest size that reaches the level, quote currency"),
    ("Capacity /day", "All openings taken once at that size, quote currency"),
    ("Fills", "Share at my latency, with its 95 % interval"),
    ("One late", "Share of openings in which exactly one venue was late, and which"),
)


def trouble(name: str) -> Component:
    """What a reading could not say and why, with a way to ask again; hidden while all is well."""
    again = html.Button("Try again", type="button", className="btn2", **attrs({"data-act": "spreads-retry", "data-test": f"{name}-retry"}))
    text = html.Span(id=f"{name}-trouble-text")
    names = attrs({"data-test": f"{name}-trouble"})
    return html.Div([text, again], id=f"{name}-trouble", className="oops row", hidden=True, role="alert", **names)


def tip(text: str) -> Component:
    return html.Span("?", className="tip", title=text, role="img", **attrs({"aria-label": text}))


def segment(name: str, options: tuple[tuple[str, str], ...], label: str) -> Component:
    """Buttons of which one is on; a click is the act ``name``."""
    buttons = [
        html.Button(text, type="button", **attrs({"data-act": name, "data-value": value, "data-test": f"{name}-{value}"}))
        for value, text in options
    ]
    return html.Div(buttons, id=name, className="seg", role="group", **attrs({"aria-label": label}))


def carry() -> Component:
    about = "Net = funding + convergence − fees. Display only: funding is a forecast, and a basis may stand."
    controls = [tip(about), segment("carry-hold", HOLDS, "Held for")]
    return section("carry", "Basis and carry", "", [trouble("carry"), table("carry", CARRY, "Basis and carry")], controls=controls)


def triangles() -> Component:
    about = "Once round three markets of one venue: bought, exchanged, sold, after three fees, each for its role."
    shown = [trouble("triangles"), table("triangles", TRIANGLES, "Triangles")]
    lives = section("triangles", "Triangles", "", shown, controls=[tip(about)])
    near = section("ways", "Nearest to paying", "bps, by the best prices now", [table("ways", WAYS, "Ways round three markets")])
    return html.Div([lives, near], className="stack")


def survival() -> Component:
    about = "Fills: both orders, sent at detection, would have filled in full. Still open: share of lives not yet ended."
    choice = html.Label(
        [html.Span("Symbol", className="visually-hidden"),
         html.Select(id="lives-symbol", className="sel", **attrs({"data-test": "lives-symbol", "aria-label": "Symbol"}))],
    )  # fmt: skip
    slider = html.Div(
        [html.Span("My latency", className="mut"), html.Span(id="lives-ms-holder", className="slide"),
         html.B(id="lives-ms-text", className="moment", role="status", **attrs({"data-test": "lives-ms-text"}))],
        className="timeline",
    )  # fmt: skip
    total = section("lives-fills", "Fills at my latency", "", [
        trouble("lives"), slider, html.Dl(id="lives-facts", className="facts padded", **attrs({"data-test": "lives-facts"})),
        html.Div(html.Details([html.Summary("Every latency as a table"), table("fills", FILLS, "Fills by latency")]), className="tables"),
    ], controls=[tip(about), choice])  # fmt: skip
    curve = section("lives-curve", "Still open after", "all pairs together", [
        html.Div(chart("lives-graph", "Share of opportunities still open after so long, with its 95 % band"), className="fill tall"),
        html.Div(html.Details([html.Summary("Curve as a table"), table("steps", STEPS, "Still open after")]), className="tables"),
    ])  # fmt: skip
    pairs = section("lives", "By pair", "the most frequent first", [table("lives", LIVES, "Survival by pair")])
    return html.Div([html.Div([total, curve], className="halves"), pairs], className="stack")


def market_map() -> Component:
    about = "Where it pays to look: what was worth most an hour first, from the openings that are kept."
    return section("map", "Market map", "", [trouble("map"), table("map", MAP, "Market map")], controls=[tip(about)])
