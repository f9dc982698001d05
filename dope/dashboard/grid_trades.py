"""The table of backtested trades: its columns and options. Rows come from ``assets/46-backtest-result.js``."""

from __future__ import annotations

from typing import Any

import dash_ag_grid as dag

from dope.dashboard.grid import opportunities_grid

#: field, header, width in px, how its cell is made, tip. "Dope…" is a renderer, "dope…" a formatter of the scripts.
COLUMNS = (
    ("t", "Time", 90, "dopeTime", "When the order was sent, UTC"),
    ("symbol", "Symbol", 124, "DopeText", "What was traded"),
    ("route", "Route", 110, "DopeText", "Buy venue → sell venue"),
    ("status", "Outcome", 114, "DopeOutcome", "Both filled, partial (the rest was unwound), missed"),
    ("detected_net", "Promised", 84, "dopeProfit", "Net at detection for the quantity ordered, quote currency"),
    ("net", "Realised", 84, "dopeProfit", "Net after all, quote currency; open inventory at mid"),
    ("qty", "Quantity", 84, "dopeQuantity", "Ordered, base units"),
    ("bought", "Bought", 84, "dopeQuantity", "Filled at the buying venue, base units"),
    ("sold", "Sold", 84, "dopeQuantity", "Filled at the selling venue, base units"),
    ("buy_vwap", "Buy price", 92, "dopePrice", "Volume-weighted, before fees"),
    ("sell_vwap", "Sell price", 92, "dopePrice", "Volume-weighted, before fees"),
    ("unwound", "Unwound", 84, "dopeQuantity", "Sold or bought back at market, base units"),
)
LEFT = {"t", "symbol", "route", "status"}


def _column(field: str, header: str, width: int, cell: str, tip: str) -> dict[str, Any]:
    side = "left" if field in LEFT else "right"
    made: dict[str, Any] = {"cellRenderer": cell} if cell[0] == "D" else {"valueFormatter": {"function": f"{cell}(params)"}}
    return {
        "field": field, "headerName": header, "width": width, "minWidth": width, "flex": width, "headerTooltip": tip,
        "headerClass": side, "cellClass": "left" if side == "left" else "num", **made,
    }  # fmt: skip


def trades_grid() -> dag.AgGrid:
    """An empty grid in the look of the opportunities table, newest order first."""
    return dag.AgGrid(
        id="trades-grid",
        className="opps-grid",
        columnDefs=[_column(*spec) for spec in COLUMNS],
        defaultColDef={"sortable": True, "resizable": True, "suppressHeaderMenuButton": True, "suppressHeaderFilterButton": True},
        getRowId="params.data.key",
        rowData=[],
        dashGridOptions={
            "theme": opportunities_grid().dashGridOptions["theme"],
            "rowHeight": 32, "headerHeight": 34, "animateRows": False, "suppressCellFocus": False, "tooltipShowDelay": 300,
            "suppressNoRowsOverlay": True,
        },
        style={"height": "100%", "width": "100%"},
    )  # fmt: skip
