/* Backtest: one report. Naive and honest side by side, the way of the promised profit, latency, trades, gaps, assumptions. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE;
  const WORDS = { live: "recorded live", sim: "SIMULATED", import: "imported" };
  const cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
  const functions = (window.dashAgGridFunctions = window.dashAgGridFunctions || {});
  const node = (...args) => window.React.createElement(...args);
  const OUTCOMES = { "both filled": ["● both filled", "tago"], partial: ["◐ partial", "tagw"], missed: ["○ missed", "tagq"] };
  cells.DopeText = (p) => node("span", null, String(p.value ?? ""));
  cells.DopeOutcome = (p) => { const [text, css] = OUTCOMES[p.value] || [String(p.value), "tagq"]; return node("span", { className: css, title: p.data.unknown ? "a leg met a book that was not live: it counts as not filled" : undefined }, text + (p.data.unknown ? " ?" : "")); };
  functions.dopeQuantity = (p) => fmt.quantity(p.value);
  functions.dopePrice = (p) => fmt.price(p.value, (DOPE.state.instruments.get(p.colDef.field === "buy_vwap" ? p.data.buy : p.data.sell) || {}).tick);
  functions.dopeProfit = (p) => fmt.signed(p.value, 2);

  const share = (v) => (typeof v === "number" ? fmt.number(v * 100, 1) : fmt.UNKNOWN);
  const part = (n, of) => (of ? `${fmt.number(n)} · ${fmt.percent((n / of) * 100, 0)}` : fmt.number(n));
  const venue = (key) => DOPE.venueShort(key.split(":")[0]);
  const tone = (v) => (v > 0 ? "pos" : v < 0 ? "neg" : "");
  function quoteOf(report) {
    const quotes = new Set(report.result.trades.map((t) => t.symbol.split("-")[1]));
    return quotes.size === 1 ? [...quotes][0] : quotes.size ? "quote" : "";
  }
  const latency = (v) => (typeof v === "number" ? `${fmt.number(v)}${fmt.THIN}ms` : "per venue");
  const big = (items) => h("div", { class: "big" }, ...items.map(([label, value, unit, css, test]) => h("div", {}, h("div", { class: "l" }, label), h("div", { class: "v " + (css || "") }, h("span", { "data-test": test }, value), h("small", {}, unit || "")))));
  const facts = (items) => h("dl", { class: "facts" }, ...items.flatMap(([k, v, title]) => [h("dt", { title }, k), h("dd", {}, v)]));

  function about(report, job) {
    const sim = report.source.includes("sim"), s = (report.end - report.start) / 1000, skipped = Object.entries(report.skipped).filter(([, n]) => n);
    const sources = report.source.map((name) => WORDS[name] || name).join(" + ");
    DOPE.text("backtest-head-note", `run ${fmt.number(job.id)}, ended ${DOPE.when(job.ended)} UTC`);
    DOPE.fill("backtest-about", ...[h("span", { class: sim ? "tagw" : "tago", "data-test": "backtest-source" }, sim ? "SIMULATED MARKET: profit here says nothing about real exchanges" : sources),
      h("span", {}, h("b", {}, DOPE.when(report.start)), " to ", h("b", {}, DOPE.when(report.end).slice(11)), ` UTC, ${fmt.age(s)}`), h("span", {}, h("b", {}, fmt.number(report.frames)), " frames"),
      h("span", {}, h("b", { "data-test": "backtest-opportunities" }, fmt.number(report.opportunities)), " opportunities"), h("span", {}, "order size ", h("b", {}, fmt.size(report.order_size))),
      h("span", {}, "latency ", h("b", {}, latency(report.result.latency_ms))), skipped.length ? h("span", {}, "skipped: ", skipped.map(([why, n]) => `${why} ${fmt.number(n)}`).join(", ")) : null, h("span", { class: "mut" }, report.tapes.join(", "))].filter(Boolean));
  }
  function naive(report, quote) {
    const n = report.naive;
    DOPE.text("backtest-naive-note", "upper bound of fills");
    DOPE.fill("backtest-naive-body", h("p", { class: "lead" }, "Every opportunity filled at once, at the touch, without size limits. Nobody can trade this."),
      big([["Total trades", fmt.number(n.trades), "", "", "naive-trades"], ["Win rate", share(n.win_rate), "%", "", "naive-win"],
        ["Total return", n.trades ? fmt.signed(n.total_return_pct, 3) : fmt.UNKNOWN, "% of one order", "", "naive-return"], ["Profit per trade", fmt.signed(n.avg_profit_pct, 4), "%", "", "naive-average"]]),
      facts([["Profit at the order size", `${fmt.signed(n.profit, 2)} ${quote}`, "Sum of the returns × order size"], ["Depth, latency, partial fills", "ignored"]]));
  }
  function honest(report, quote) {
    const r = report.result, n = r.attempted;
    DOPE.text("backtest-honest-note", `${latency(r.latency_ms)}, books walked, fees paid`);
    const interval = r.interval ? `${fmt.signed(r.interval[0], 2)} … ${fmt.signed(r.interval[1], 2)}` : "needs 10 orders";
    DOPE.fill("backtest-honest-body", h("p", { class: "lead" }, r.latency_ms === 0 ? "At no latency every order meets the books it saw: fills are an upper bound here too." : "Both legs sent at detection, filled as the books stood on arrival. What one side alone has filled is unwound at market."),
      big([["Net", n ? fmt.signed(r.realised_net, 2) : fmt.UNKNOWN, quote, tone(r.realised_net), "honest-net"], ["Win rate", share(r.win_rate), "%", "", "honest-win"],
        ["Per order", fmt.signed(r.average_profit, 3), quote, "", "honest-average"], ["Max drawdown", n ? fmt.number(r.max_drawdown, 2) : fmt.UNKNOWN, quote, "", "honest-drawdown"]]),
      facts([["Per order, 95 % interval", interval, "Bootstrap over orders"], ["Attempted", fmt.number(n)], ["Both filled", part(r.both_filled, n)], ["Partial, then unwound", part(r.partial, n)], ["Missed", part(r.missed, n)],
        ...(r.unknown ? [["Met a book that was not live", fmt.number(r.unknown)]] : []), ...(r.unfinished ? [["Not finished when data ended", fmt.number(r.unfinished)]] : []), ...(r.open_value ? [["Left open, at mid", `${fmt.signed(r.open_value, 2)} ${quote}`]] : [])]));
  }
  /* touch gross − depth − fees = promised; promised − latency = realised. Bars share one scale and one zero. */
  function way(report, quote) {
    const r = report.result, afterDepth = r.touch_gross - r.depth_cost;
    const rows = [["Gross at touch", 0, r.touch_gross, r.touch_gross, true], ["Depth", r.touch_gross, afterDepth, -r.depth_cost], ["Fees", afterDepth, r.detected_net, -r.fee_cost], ["Promised net", 0, r.detected_net, r.detected_net, true], ["Latency, misses", r.detected_net, r.realised_net, -r.latency_cost], ["Realised net", 0, r.realised_net, r.realised_net, true]];
    const low = Math.min(0, ...rows.flatMap((x) => [x[1], x[2]])), high = Math.max(0, ...rows.flatMap((x) => [x[1], x[2]])), span = high - low || 1, at = (v) => ((v - low) / span) * 100;
    DOPE.text("backtest-way-note", quote ? `${quote}, all orders` : "");
    const moved = r.latency_cost < 0 ? "While the orders travelled, prices moved our way in sum. That is luck of this recording, not an edge to count on." : "Latency took what moved, was missed, or had to be unwound.";
    const above = r.realised_net > report.naive.profit ? " So the honest side ends above the naive one here: the naive side bounds fills, not profit." : "";
    DOPE.fill("backtest-way-body", h("p", { class: "lead" }, r.attempted ? moved + above : "No order was sent."), h("div", { class: "way", "data-test": "way" }, ...rows.map(([label, from, to, value, sum]) =>
      h("div", { class: "w " + (sum ? "sum" : "") }, h("span", {}, label), h("div", { class: "track", "aria-hidden": "true" }, h("i", { class: value < 0 ? "down" : "up", style: { left: at(Math.min(from, to)) + "%", width: Math.max(0.4, Math.abs(at(to) - at(from))) + "%" } })), h("b", {}, fmt.signed(value, 2))))));
  }
  function sensitivity(report) {
    const chosen = report.result.latency_ms, list = [...report.sensitivity];
    if (typeof chosen === "number" && !list.some((r) => r.latency_ms === chosen)) list.push(report.result);
    list.sort((a, b) => a.latency_ms - b.latency_ms);
    DOPE.rows("latency", list.map((r) => ({ key: JSON.stringify(r.latency_ms), css: r.latency_ms === chosen ? "chosen" : "", cells: [
      latency(r.latency_ms) + (r.latency_ms === 0 ? " (bound)" : r.latency_ms === chosen ? " (chosen)" : ""), fmt.number(r.attempted), r.attempted ? fmt.percent((r.both_filled / r.attempted) * 100, 0) : fmt.UNKNOWN, fmt.number(r.partial), fmt.number(r.missed),
      share(r.win_rate) + (r.win_rate === null ? "" : fmt.THIN + "%"), [fmt.signed(r.realised_net, 2), tone(r.realised_net)], [fmt.signed(r.average_profit, 3) + (r.interval ? ` (${fmt.signed(r.interval[0], 2)} … ${fmt.signed(r.interval[1], 2)})` : "")], fmt.number(r.max_drawdown, 2),
    ] })), "No order was sent.");
  }
  function warnings(report) {
    const gaps = report.gaps, out = [], events = Object.entries(gaps.events);
    const count = gaps.silences.length, longest = Math.max(0, ...gaps.silences.map(([a, b]) => b - a)) / 1000;
    if (count) out.push(`The recording is silent for ${fmt.age(gaps.silent_s)} in ${fmt.number(count)} ${count === 1 ? "place" : "places"} (longest ${fmt.age(longest)}).`);
    if (events.length) out.push(`Venues lost data: ${events.map(([why, n]) => `${why} ${fmt.number(n)}`).join(", ")}.`);
    DOPE.fill("backtest-warnings", ...(out.length ? [h("div", { class: "banner w", "data-test": "backtest-gaps" }, DOPE.icon("exclamation-triangle"), h("span", {}, `The data have gaps. ${out.join(" ")} What happened in them was not traded.`))] : []));
  }
  function rests(report) {
    DOPE.text("backtest-rests-note", "assumptions");
    DOPE.fill("backtest-assumptions", ...report.assumptions.map((text) => h("li", {}, text[0].toUpperCase() + text.slice(1) + ".")), h("li", {}, "Taker fees are those of the settings; the naive side pays them too."));
  }
  function trades(report, tries = 0) {
    const list = report.result.trades, n = report.result.attempted;
    DOPE.text("backtest-trades-note", list.length < n ? `the newest ${fmt.number(list.length)} of ${fmt.number(n)} orders` : `${fmt.number(n)} orders, newest first`);
    let api = null;
    try { api = window.dash_ag_grid.getApi("trades-grid"); } catch (error) { /* not mounted yet */ }
    if (!api || api.isDestroyed()) { if (tries < 100) setTimeout(() => { if (DOPE.backtest.shown && DOPE.backtest.shown.report === report) trades(report, tries + 1); }, 100); return; }
    api.setGridOption("rowData", [...list].reverse().map((t) => Object.assign({ key: String(t.id) }, t, { route: `${venue(t.buy)} → ${venue(t.sell)}` })));
  }
  DOPE.backtest.quote = quoteOf;
  DOPE.backtest.show = function (job) {
    if (DOPE.backtest.shown && DOPE.backtest.shown.id === job.id) return;
    DOPE.backtest.shown = job;
    const report = job.report, quote = quoteOf(report);
    about(report, job);
    warnings(report);
    naive(report, quote);
    honest(report, quote);
    way(report, quote);
    sensitivity(report);
    rests(report);
    trades(report);
    DOPE.touch("backtested");
  };
})();
