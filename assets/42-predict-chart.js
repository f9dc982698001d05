/* Predict: the chosen pair's mid spread as it was, what was forecast for each second, and the band it should have held. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { $, fmt } = DOPE;
  const OBSERVED = "#4DA3FF", MODEL = "#C792EA", BAND = "rgba(199,146,234,.17)", GAP_STEPS = 1.7, AHEAD = 0.05, LEAST_MS = 60000;
  let zoomed = false;

  /* Spread at each second: what the predictor saw, and before this page was opened the mids of the stream. Holes stay holes. */
  function observed(row, from) {
    const { t, mid } = DOPE.state.series, a = mid[row.a] || [], b = mid[row.b] || [], at = new Map(), out = { x: [], y: [] };
    const step = ((DOPE.state.pred || {}).step_s || 1) * 1000;
    t.forEach((ms, i) => at.set(ms, a[i] > 0 && b[i] > 0 ? 1e4 * Math.log(a[i] / b[i]) : null));
    for (const f of DOPE.predict.past.get(DOPE.predict.idOf(row)) || []) at.set(f.t, f.current);
    let before = null;
    for (const ms of [...at.keys()].filter((each) => each >= from).sort((one, other) => one - other)) {
      if (before !== null && ms - before > GAP_STEPS * step) { out.x.push(before + step); out.y.push(null); }
      out.x.push(ms);
      out.y.push(at.get(ms));
      before = ms;
    }
    return out;
  }
  /* Forecasts by the second they were made for; runs without a hole become one polygon each. */
  function forecasts(row, from) {
    const made = (DOPE.predict.past.get(DOPE.predict.idOf(row)) || []).filter((f) => f.due >= from), line = { x: [], y: [] }, polygons = { x: [], y: [] };
    const step = ((DOPE.state.pred || {}).step_s || 1) * 1000;
    let run = [], before = null;
    const close = () => {
      if (run.length) {
        if (polygons.x.length) { polygons.x.push(null); polygons.y.push(null); }
        const there = run.length > 1 ? run : [{ due: run[0].due - step / 3, band: run[0].band }, { due: run[0].due + step / 3, band: run[0].band }];
        for (const f of there) { polygons.x.push(f.due); polygons.y.push(f.band[1]); }
        for (const f of [...there].reverse()) { polygons.x.push(f.due); polygons.y.push(f.band[0]); }
      }
      run = [];
    };
    for (const f of made) {
      const hole = before !== null && f.due - before > GAP_STEPS * step;
      if (hole || !f.band) close();
      if (hole) { line.x.push(before + step); line.y.push(null); }
      line.x.push(f.due);
      line.y.push(f.predicted);
      if (f.band) run.push(f);
      before = f.due;
    }
    close();
    return { line, polygons, last: made.length ? made[made.length - 1] : null };
  }
  const bound = (a) => (a.length ? [Math.min(...a), Math.max(...a)] : [0, 0]);

  function draw(force) {
    const graph = DOPE.plot("predict-graph"), pred = DOPE.state.pred, cover = $("predict-graph-empty");
    if (!graph || DOPE.page !== "predict" || !pred || (DOPE.paused() && !force)) return;
    const row = DOPE.predict.chosen(), now = pred.rows.length ? Math.max(...pred.rows.map((r) => r.t)) : DOPE.now();
    DOPE.text("predict-chart-title", row ? `${row.symbol}: mid spread ${DOPE.predict.route(row)}` : "Mid spread");
    DOPE.text("predict-chart-note", `bps, one point a second${zoomed ? " · zoomed, double-click resets" : ""}`);
    const span = (DOPE.view.span || 240) * 1000, from = now - span, seen = row ? observed(row, from) : { x: [], y: [] };
    const enough = seen.y.filter((v) => v !== null).length > 1;
    cover.hidden = enough;
    if (!enough) DOPE.fill(cover, DOPE.h("div", { class: "empty" }, DOPE.icon("graph-up"), DOPE.h("h3", {}, row ? "Not enough seconds yet" : "No pair to show"), DOPE.h("p", {}, row ? row.note || "a line needs two seconds with both books live" : "No pair passes the asset and kind chosen above.")));
    if (!enough) return;
    const { line, polygons, last } = forecasts(row, from), [low, high] = bound([...seen.y, ...polygons.y, ...line.y].filter((v) => v !== null)), pad = (high - low || 1) * 0.08;
    const stamps = (xs) => xs.map(fmt.stamp), coming = last && last.predicted !== null ? last : null;
    const traces = [
      { type: "scatter", mode: "lines", x: stamps(polygons.x), y: polygons.y, fill: "toself", fillcolor: BAND, line: { width: 0 }, hoverinfo: "skip" },
      { type: "scatter", mode: "lines", x: stamps(seen.x), y: seen.y, connectgaps: false, line: { color: OBSERVED, width: 1.8 }, hovertemplate: "observed %{y:+.2f} bps<extra></extra>" },
      { type: "scatter", mode: "lines", x: stamps(line.x), y: line.y, connectgaps: false, line: { color: MODEL, width: 1.6, dash: "dot" }, hovertemplate: "forecast %{y:+.2f} bps<extra></extra>" },
    ];
    if (coming) traces.push({
      type: "scatter", mode: "markers", x: [fmt.stamp(coming.due)], y: [coming.predicted], marker: { color: MODEL, size: 9, symbol: "diamond" }, hovertemplate: "next: %{y:+.2f} bps<extra></extra>",
      error_y: coming.band ? { type: "data", symmetric: false, array: [coming.band[1] - coming.predicted], arrayminus: [coming.predicted - coming.band[0]], color: MODEL, thickness: 1.5, width: 5 } : { visible: false },
    });
    const old = zoomed && graph.layout ? graph.layout : null, first = Math.max(from, Math.min(seen.x[0], now - LEAST_MS)), end = now + Math.max(3000, (now - first) * AHEAD);   // a short history fills the width
    window.Plotly.react(graph, traces, DOPE.plotLayout({
      margin: { l: 52, r: coming ? 92 : 16, t: 16, b: 28 },
      xaxis: old ? { range: old.xaxis.range } : { range: [fmt.stamp(first), fmt.stamp(end)] },
      yaxis: Object.assign({ ticksuffix: "" }, old ? { range: old.yaxis.range } : { range: [low - pad, high + pad] }),
      shapes: [{ type: "line", xref: "x", yref: "paper", x0: fmt.stamp(now), x1: fmt.stamp(now), y0: 0, y1: 1, line: { color: "#4a5d76", width: 1, dash: "dot" } }],
      annotations: [{ xref: "x", yref: "paper", x: fmt.stamp(now), y: 1, xanchor: "right", yanchor: "bottom", text: "now", showarrow: false, font: { size: 10.5, color: "#8090A6" }, yshift: -2 },
        ...(coming ? [{ xref: "paper", yref: "y", x: 1.006, y: coming.predicted, xanchor: "left", showarrow: false, text: `<b>${fmt.signed(coming.predicted, 2)}</b>`, font: { size: 12, color: MODEL } }] : [])],
    }), { displayModeBar: false, responsive: true, doubleClick: false });
    if (graph.dataset.heard) return;
    graph.dataset.heard = "1";
    graph.on("plotly_relayout", (change) => { if (Object.keys(change).some((key) => key.startsWith("xaxis.range"))) zoomed = true; });
    graph.on("plotly_doubleclick", () => { zoomed = false; draw(true); });
  }
  DOPE.ready(() => {
    DOPE.on("predicted", () => draw(false));
    ["view", "page"].forEach((section) => DOPE.on(section, () => { zoomed = false; draw(true); }));
    DOPE.on("second", () => { if (!$("predict-graph-empty").hidden) draw(false); });
  });
})();
