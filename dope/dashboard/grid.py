"""The opportunities table: its columns and options. Rows come from ``assets/31-grid.js``, cells from ``30-cells.js``."""

from __future__ import annotations

from typing import Any

import dash_ag_grid as dag

#: field, header, width, formatter in ``window.dashAgGridFunctions`` (None = own renderer), tip
COLUMNS: tuple[dict[str, Any], ...] = (
    {"field": "opened", "headerName": "Time", "width": 86, "fmt": "dopeTime", "tip": "When it opened", "align": "left"},
    {"field": "symbol", "headerName": "Symbol", "width": 118, "cell": "DopeSymbol", "tip": "What is traded: base-quote and product kind", "align": "left"},
    {"field": "buy_px", "headerName": "Buy", "width": 118, "cell": "DopeBuy", "tip": "Venue to buy at and its best ask", "align": "left"},
    {"field": "sell_px", "headerName": "Sell", "width": 118, "cell": "DopeSell", "tip": "Venue to sell at and its best bid", "align": "left"},
    {"field": "gross_bps", "headerName": "Spread", "width": 62, "fmt": "dopeBps", "tip": "Gross spread in bps at the best size, before fees"},
    {"field": "profit_pct", "headerName": "After fees", "width": 78, "fmt": "dopePct", "tip": "Profit after both taker fees and depth, percent of the buy cost"},
    {"field": "net_bps", "headerName": "Net bps", "width": 96, "cell": "DopeNet", "tip": "The same in basis points; bar: 20 bps are full width"},
    {"field": "size", "headerName": "Size $", "width": 66, "fmt": "dopeSize", "tip": "Executable size with the highest profit, quote currency"},
    {"field": "net", "headerName": "Profit $", "width": 66, "fmt": "dopeMoney", "tip": "Profit after fees at the best size, quote currency"},
    {"field": "net_at_order", "headerName": "At my size", "width": 90, "fmt": "dopeMoney", "tip": "Profit after fees for my own order size, quote currency"},
    {"field": "quote_age", "headerName": "Age", "width": 62, "fmt": "dopeAgeMs", "tip": "Confirmed age of the older of the two books"},
    {"field": "life", "headerName": "Life", "width": 58, "fmt": "dopeLife", "tip": "How long it has been open, or was"},
    {"field": "state", "headerName": "State", "width": 84, "cell": "DopeState", "tip": "open, fading, closed, stale", "align": "left"},
    {"field": "fees_bps", "headerName": "Fees", "width": 70, "fmt": "dopeBps", "tip": "Both taker fees in bps of the buy cost", "hide": True},
    {"field": "peak_bps", "headerName": "Peak", "width": 70, "fmt": "dopeBps", "tip": "Highest net of its life, bps", "hide": True},
    {"field": "net_bps_at_order", "headerName": "Net at my size", "width": 104, "fmt": "dopeBps", "tip": "Net bps for my own order size", "hide": True},
    {"field": "touch_net_bps", "headerName": "Touch net", "width": 84, "fmt": "dopeBps", "tip": "Net bps of the very first levels", "hide": True},
    {"field": "skew_ms", "headerName": "Skew", "width": 70, "fmt": "dopeAgeMs", "tip": "Time between the two quotes", "hide": True},
    {"field": "indicative_pct", "headerName": "Indicative", "width": 88, "fmt": "dopePct", "tip": "(sell price − buy price) ÷ buy price, percent, without depth", "hide": True},
)


def _column(spec: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {
        "field": spec["field"], "headerName": spec["headerName"], "width": spec["width"], "minWidth": 56,
        "headerTooltip": spec["tip"], "hide": spec.get("hide", False),
        "headerClass": "left" if spec.get("align") == "left" else "right", "cellClass": "left" if spec.get("align") == "left" else "num",
    }  # fmt: skip
    if "fmt" in spec:
        out["valueFormatter"] = {"function": f"{spec['fmt']}(params)"}
    if "cell" in spec:
        out["cellRenderer"] = spec["cell"]
    return out


def opportunities_grid() -> dag.AgGrid:
    """An empty grid; the default order is profit at my own order size, closed and stale rows last."""
    return dag.AgGrid(
        id="opps-grid",
        className="opps-grid",
        columnDefs=[_column(spec) for spec in COLUMNS],
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
