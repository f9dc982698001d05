"""The Predict page: what the model says of the next mid spread, how much that was worth so far, and its training.

``assets/41-`` to ``43-predict*.js`` keep it current from the sections ``pred``, ``jobs`` and ``series`` of the stream.
"""

from __future__ import annotations

from typing import Any

from dash import Dash, html
from dash.development.base_component import Component

from dope import format as fmt
from dope.board import Board, Snapshot
from dope.dashboard.blocks import chart, figure_card, section, table
from dope.dashboard.parts import attrs, icon

TITLE, ID, PATH, ICON = "Predict", "predict", "/predict", "cpu"

#: name, label, unit, what it says while there is nothing to show, tip
CARDS = (
    (
        "forecast",
        "Forecast",
        "bps",
        "waiting for the first data",
        "Predicted 10 000 · ln(mid A ÷ mid B) of the chosen pair, one step ahead",
    ),
    (
        "skill",
        "Skill against persistence",
        "%",
        "needs a trained model",
        "1 − MSE ÷ MSE of “no change”, out of sample; above zero = smaller errors",
    ),
    (
        "sign",
        "Direction right",
        "%",
        "needs a trained model",
        "Moves whose sign was named, out of sample; base rate: always the commoner sign",
    ),
    ("samples", "Samples", "", "waiting for the first data", "Seconds with a label; a learned model also needs 20 rows per feature"),
    ("model", "Model age", "", "not trained yet", "Time since the model in use was trained"),
    ("live", "Live score", "%", "needs 30 matured forecasts", "Skill of the forecasts shown here, scored when their second has come"),
)
SCORES = (
    ("Model", ""),
    ("n", "Forecasts scored, out of sample"),
    ("RMSE", "Root mean squared error, bps"),
    ("MAE", "Mean absolute error, bps"),
    ("vs persistence", "1 − MSE ÷ MSE of “no change”"),
    ("vs mean", "1 − MSE ÷ MSE of the mean of the training rows"),
    ("Direction", "Share of non-zero changes whose sign was named"),
    ("p", "One-sided Diebold-Mariano test, the larger p of the two yardsticks; skill is claimed at 0.05 or less"),
    ("DM", "Test statistics against persistence · against the mean; above 0 favours the model"),
    ("Blocks", "Independent blocks: steps ÷ horizon; 30 are needed for a claim"),
    ("", "Which one speaks"),
)
PAIRS = (
    ("Pair", "Mid spread of A minus B; choose one for the chart"),
    ("Now", "Mid spread as it stands, bps"),
    ("Predicted", "Of the model in use, one step ahead, bps"),
    ("Persistence", "The naive forecast: no change, bps"),
    ("90 % band", "Split conformal: holds 90 % of the next values if errors stay as they were"),
    ("Note", ""),
)
VERSIONS = (
    ("Trained", "UTC"),
    ("Rows", "Labelled rows it was trained on"),
    ("In use", ""),
    ("vs persistence", "Out of sample"),
    ("Verdict", ""),
    ("State", ""),
)
SPANS = (("60", "1m"), ("240", "4m"), ("900", "15m"))
OUT_OF_SAMPLE = "Out of sample only: walk-forward, on blocks that did not choose the model."


def layout() -> Component:
    """The page without data: every figure is unknown and says what it waits for."""
    cards = [figure_card(f"predict-{name}", *rest) for name, *rest in CARDS]
    return html.Div(
        [
            html.Div(cards, className="kpis six", **attrs({"data-test": "predict-cards"})),
            _verdict(),
            html.Div([_chart(), _retrain()], className="side-row tall"),
            html.Div(
                [
                    section("predict-scores", "Is it worth anything?", OUT_OF_SAMPLE, [table("scores", SCORES, "Scores of all models")]),
                    section(
                        "predict-pairs", "All pairs", "mid spreads, bps", [table("pairs", PAIRS, "Forecasts of all pairs")], css="pairs"
                    ),
                ],
                className="halves",
            ),
            section("predict-versions", "Model versions", "newest first", [table("versions", VERSIONS, "Model versions")], css="versions"),
        ],
        className="stack",
    )


def draw(snapshot: Snapshot) -> dict[str, Any]:
    """Samples and verdict as they stand. Pure."""
    pred = snapshot.data.get("pred") or {}
    if not pred:
        return {}
    card = pred.get("card") or {}
    head, _, why = str(card.get("verdict", "")).partition(": ")
    return {
        "predict-samples-v": fmt.number(pred.get("samples")),
        "predict-samples-u": f"of {fmt.number(pred.get('needed'))}",
        "predict-verdict-head": head[:1].upper() + head[1:] if card else "No model yet",
        "predict-verdict-text": why if card else "collecting samples",
    }


def register(app: Dash, board: Board) -> None:
    """Nothing: the stream keeps this page current, and the form speaks to the API."""


def _verdict() -> Component:
    return html.Div(
        [
            html.Span(icon("hourglass-split"), id="predict-verdict-icon", className="vi"),
            html.Div(
                [
                    html.B("No model yet", id="predict-verdict-head", **attrs({"data-test": "verdict"})),
                    html.Span("", id="predict-verdict-text", **attrs({"data-test": "verdict-why"})),
                ],
                className="vt",
            ),
            html.Div(id="predict-verdict-notes", className="vn", **attrs({"data-test": "verdict-notes"})),
        ],
        id="predict-verdict",
        className="verdict wait",
        role="status",
    )


def _chart() -> Component:
    spans = [
        html.Button(text, type="button", **attrs({"data-act": "predict-span", "data-value": value, "data-test": f"predict-span-{value}"}))
        for value, text in SPANS
    ]
    controls = [
        html.Label(
            [
                html.Span("Pair", className="visually-hidden"),
                html.Select(id="predict-pair", className="sel", **attrs({"data-test": "predict-pair", "aria-label": "Pair"})),
            ]
        ),
        html.Div(spans, id="predict-span", className="seg", role="group", **attrs({"aria-label": "Time range"})),
    ]
    legend = html.Div(
        [
            html.Span([html.I(className="key obs"), "observed"]),
            html.Span([html.I(className="key fc"), "forecast made one step before"]),
            html.Span([html.I(className="key band"), "90 % band"]),
            html.Span("forecasts since this page was opened", className="r"),
        ],
        className="leg keys-row",
    )
    return section(
        "predict-chart",
        "Mid spread",
        "",
        [chart("predict-graph", "Observed mid spread of the chosen pair with its forecasts"), legend],
        controls=controls,
        css="fill",
    )


def _retrain() -> Component:
    button = html.Button(
        [icon("arrow-repeat"), html.Span("Retrain now"), html.Kbd("R")],
        id="retrain",
        type="button",
        className="btn2 pri",
        disabled=True,
        **attrs({"data-act": "retrain", "data-test": "retrain", "aria-describedby": "retrain-why"}),
    )
    return section(
        "predict-train",
        "Retrain",
        "",
        [
            html.Div(id="train-have", className="have"),
            html.Dl(id="train-facts", className="facts"),
            html.Div(
                [button, html.Span("waiting for the engine", id="retrain-why", className="why", **attrs({"data-test": "retrain-why"}))],
                className="act",
            ),
            html.Div(id="train-job", **attrs({"data-test": "train-job"})),
        ],
        css="form",
    )
