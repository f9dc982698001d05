"""The opportunities table: its columns and options. Rows come from ``assets/31-grid.js``, cells from ``30-cells.js``."""

from __future__ import annotations

from typing import Any

import dash_ag_grid as dag

#: field, header, width in px, how its cell is made, tip. "Dope…" is a renderer of ``assets/30-cells.js``, "dope…" a formatter.
COLUMNS = (
    ("opened", "Time", 86, "dopeTime", "When it opened"),
    ("symbol", "Symbol", 118, "DopeSymbol", "What is traded: base-quote and product kind"),
    ("buy_px", "Buy", 118, "DopeBuy", "Venue to buy at and its best ask"),
    ("sell_px", "Sell", 118, "DopeSell", "Venue to sell at and its best bid"),
    ("gross_bps", "Spread", 62, "dopeBps", "Gross spread in bps at the best size, before fees"),
    ("profit_pct", "After fees", 78, "dopePct", "Profit after both taker fees and depth, percent of the buy cost"),
    ("net_bps", "Net bps", 96, "DopeNet", "The same in basis points; bar: 20 bps are full width"),
    ("size", "Size $", 66, "dopeSize", "Executable size with the highest profit, quote currency"),
    ("net", "Profit $", 66, "dopeMoney", "Profit after fees at the best size, quote currency"),
    ("net_at_order", "At my size", 98, "dopeMoney", "Profit after fees for my own order size, quote currency"),
    ("quote_age", "Age", 62, "dopeAgeMs", "Confirmed age of the older of the two books"),
    ("life", "Life", 58, "dopeLife", "How long it has been open, or was"),
    ("state", "State", 84, "DopeState", "open, fading, closed, stale"),
    ("fees_bps", "Fees", 70, "dopeBps", "Both taker fees in bps of the buy cost with fee"),
    ("peak_bps", "Peak", 70, "dopeBps", "Highest net of its life, bps"),
    ("net_bps_at_order", "Net at my size", 104, "dopeBps", "Net bps for my own order size"),
    ("touch_net_bps", "Touch net", 84, "dopeBps", "Net bps of the very first levels"),
    ("skew_ms", "Skew", 70, "dopeAgeMs", "Time between the two quotes"),
    ("indicative_pct", "Indicative", 88, "dopePct", "(sell − buy price) ÷ buy price, without depth"),
)
LEFT = {"opened", "symbol", "buy_px", "sell_px", "state"}
#: shown only when chosen
HIDDEN = {"fees_bps", "peak_bps", "net_bps_at_order", "touch_net_bps", "skew_ms", "indicative_pct"}


def _column(field: str, header: str, width: int, cell: str, tip: str) -> dict[str, Any]:
    side = "left" if field in LEFT else "right"
    made: dict[str, Any] = {"cellRenderer": cell} if cell[0] == "D" else {"valueFormatter": {"function": f"{cell}(params)"}}
    return {
        "field": field, "headerName": header, "width": width, "minWidth": 56, "headerTooltip": tip, "hide": field in HIDDEN,
        "headerClass": side, "cellClass": "left" if side == "left" else "num", **made,
    }  # fmt: skip


def opportunities_grid() -> dag.AgGrid:
    """An empty grid; the default order is profit at my own order size, closed and stale rows last."""
    return dag.AgGrid(
        id="opps-grid",
        className="opps-grid",
        columnDefs=[_column(*spec) for spec in COLUMNS],
        defaultColDef={
            "sortable": True, "resizable": True, "suppressHeaderMenuButton": True, "suppressHeaderFilterButton": True,
            "sortingOrder": ["desc", "asc", None], "enableCellChangeFlash": False,
        },
        getRowId="params.data.key",
        rowData=[],
        rowClassRules={"dim": "params.data.state == 'closed' || params.data.state == 'stale'"},
        dashGridOptions={
            "theme": {"function": (
                "themeQuartz.withParams({backgroundColor:'transparent',foregroundColor:'#E8EEF5',headerTextColor:'#8090A6',"
                "headerBackgroundColor:'#111924',borderColor:'#18212d',rowBorder:true,wrapperBorder:false,columnBorder:false,"
                "fontFamily:'Inter',fontSize:12.5,headerFontSize:11.5,headerFontWeight:550,rowHoverColor:'#16202d',"
                "selectedRowBackgroundColor:'#16283d',oddRowBackgroundColor:'transparent',spacing:5,cellHorizontalPadding:7,"
                "headerColumnResizeHandleColor:'transparent',accentColor:'#2DD4BF',browserColorScheme:'dark'})"
            )},
            "rowHeight": 34, "headerHeight": 34, "animateRows": False, "suppressCellFocus": False, "suppressColumnVirtualisation": False,
            "rowSelection": {"mode": "singleRow", "checkboxes": False, "enableClickSelection": True},
            "suppressNoRowsOverlay": True, "tooltipShowDelay": 300, "postSortRows": {"function": "dopeSink(params)"},
        },
        style={"height": "100%", "width": "100%"},
    )  # fmt: skip
