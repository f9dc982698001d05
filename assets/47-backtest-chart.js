/* Backtest: equity curves as steps, and the export: raw numbers, ISO 8601 times, text that no spreadsheet takes for a formula. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE;
  const HONEST = "#2DD4BF", PROMISED = "#A9B6C6", NAIVE = "#F2C94C";

  /* Running sum of what was promised at detection, of the orders that are listed. */
  function promised(trades) {
    let sum = 0;
    return [...trades].sort((a, b) => a.t - b.t).map((t) => [t.t, (sum += t.detected_net)]);
  }
  function draw() {
    const graph = DOPE.plot("backtest-graph"), job = DOPE.backtest.shown, cover = $("backtest-graph-empty");
    if (!graph || !job || DOPE.page !== "backtest") return;
    const { report } = job, r = report.result, quote = DOPE.backtest.quote(report), all = r.trades.length === r.attempted;
    cover.hidden = r.curve.length > 0;
    if (!r.curve.length) DOPE.fill(cover, h("div", { class: "empty" }, DOPE.icon("graph-up"), h("h3", {}, "No order, no curve"), h("p", {}, "No opportunity of this recording could be traded at this size.")));
    const step = (points, colour, name, extra) => {
      const from = [[report.start, 0], ...points, [report.end, points.length ? points[points.length - 1][1] : 0]];
      return Object.assign({ type: "scatter", mode: "lines", name, x: from.map(([t]) => DOPE.stamp(t)), y: from.map(([, v]) => v), line: Object.assign({ color: colour, width: 1.8, shape: "hv" }, extra), hovertemplate: `${name} %{y:+.2f}<extra></extra>` });
    };
    const curve = report.naive.curve || [], total = report.naive.profit, traces = [];
    if (curve.length) traces.push(step(curve, NAIVE, "naive", { dash: "dot" }));
    else traces.push({ type: "scatter", mode: "lines", name: "naive total", x: [DOPE.stamp(report.start), DOPE.stamp(report.end)], y: [total, total], line: { color: NAIVE, width: 1.4, dash: "dot" }, hovertemplate: "naive total %{y:+.2f}<extra></extra>" });
    if (all) traces.push(step(promised(r.trades), PROMISED, "promised", { dash: "dash", width: 1.4 }));
    traces.push(step(r.curve, HONEST, "honest", { width: 2.2 }));
    window.Plotly.react(graph, traces, DOPE.plotLayout({ margin: { l: 56, r: 18, t: 14, b: 28 }, xaxis: { autorange: true }, yaxis: { autorange: true, title: { text: quote, font: { size: 11 } } } }), { displayModeBar: false, responsive: true, doubleClick: "reset" });
    DOPE.fill("backtest-legend", ...[h("span", {}, h("i", { class: "key hon" }), `honest ${fmt.signed(r.realised_net, 2)}`), all ? h("span", {}, h("i", { class: "key pro" }), `promised at detection ${fmt.signed(r.detected_net, 2)}`) : null,
      h("span", {}, h("i", { class: "key nai" }), `naive ${curve.length ? "" : "total "}${fmt.signed(total, 2)}`)].filter(Boolean));
    DOPE.text("backtest-curve-note", `cumulative net${quote ? ", " + quote : ""}`);
  }
  DOPE.ready(() => {
    ["backtested", "page"].forEach((section) => DOPE.on(section, draw));
    DOPE.on("second", () => { const graph = DOPE.plot("backtest-graph"); if (graph && DOPE.backtest.shown && !(graph.data || []).length) draw(); });
  });

  /* -- export ------------------------------------------------------------------------------------------------------ */
  const COLUMNS = ["id", "t", "symbol", "buy", "sell", "status", "qty", "bought", "sold", "buy_vwap", "sell_vwap", "unwound", "open_residual", "detected_net", "net", "unknown"];
  function text(value) {
    if (value === null || value === undefined) return "";
    if (typeof value === "number" || typeof value === "boolean") return String(value);
    const safe = /^([\t\r\n]| *[=+\-@\t\r\n＝＋－＠])/.test(value) ? "'" + value : value;   // as dope/api/export.py has it
    return /[",\r\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
  }
  DOPE.backtest.csv = (report) => [COLUMNS.map((c) => (c === "t" ? "time_utc" : c)), ...report.result.trades.map((t) => COLUMNS.map((c) => (c === "t" ? new Date(t.t).toISOString() : t[c])))].map((row) => row.map(text).join(",")).join("\r\n") + "\r\n";
  DOPE.save = save;
  function save(content, type, name) {
    const url = URL.createObjectURL(new Blob([content], { type })), link = h("a", { href: url, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }
  const fileName = (job, end) => `dope-backtest-${job.id}-${new Date(job.ended).toISOString().slice(0, 19).replace(/[:-]/g, "")}Z.${end}`;
  DOPE.actions["trades-csv"] = () => { const job = DOPE.backtest.shown; if (job) save(DOPE.backtest.csv(job.report), "text/csv;charset=utf-8", fileName(job, "csv")); };
  DOPE.actions["report-json"] = () => { const job = DOPE.backtest.shown; if (job) save(JSON.stringify(job.report, null, 1), "application/json", fileName(job, "json")); };
})();
