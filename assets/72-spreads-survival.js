/* Spreads, Survival: how many openings could have been had at a latency, and how long they stay open; asked while somebody looks. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE;
  const EVERY_MS = 4000;
  let shown = null, symbol = "", at = -1, symbols = [];   // at = place of the latency chosen, -1 = mine

  const share = (v) => (v === null || v === undefined ? fmt.UNKNOWN : fmt.percent(v * 100));
  const between = (low, high, form) => (low === null || high === null || low === undefined ? fmt.UNKNOWN : `${form(low)} – ${form(high)}`);
  const age = (v) => (v === null ? fmt.UNKNOWN : fmt.age(v));
  const fillOf = (lives) => (at >= 0 ? lives.fills[at] : lives.fills_at_latency) || null;
  function place(fills) { const k = fills.findIndex((f) => f.ms >= shown.latency_ms); return k < 0 ? fills.length - 1 : k; }

  function total() {
    const t = shown.total, bar = $("lives-ms"), k = at >= 0 ? at : place(t.fills), f = at >= 0 ? t.fills[at] : t.fills_at_latency;
    bar.max = String(Math.max(0, t.fills.length - 1));
    if (document.activeElement !== bar) bar.value = String(k);
    const ms = at >= 0 ? t.fills[at].ms : shown.latency_ms, asked = `${fmt.number(ms)} ms${at < 0 ? " (yours, from Settings)" : ""}`;
    bar.setAttribute("aria-valuetext", asked);
    DOPE.text("lives-ms-text", !f || !f.n ? `${asked}: no opening was looked at yet` : `${asked}: ${share(f.share)} fill, 95 % between ${share(f.low)} and ${share(f.high)}, n = ${fmt.number(f.n)}${f.ms !== ms ? `; measured at ${fmt.number(f.ms)} ms` : ""}`);
    DOPE.facts("lives-facts", [
      ["Openings", fmt.number(t.openings)], ["Seen to end", fmt.number(t.ended)], ["Went stale", fmt.number(t.stale), "", "A leg became too old or left LIVE: how long it lived is not known"], ["Still open", fmt.number(t.open)],
      ["Median life", t.median_s === null ? "not known yet" : `${age(t.median_s)} (95 % ${between(t.median_low_s, t.median_high_s, age)})`, t.median_s === null ? "mut" : ""],
      ["Not watched for fills", fmt.number(shown.unwatched), shown.unwatched ? "warn" : "", "Too many were being watched at once"], ["Since", shown.since ? shown.since.slice(0, 19).replace("T", " ") + " UTC" : fmt.UNKNOWN],
    ]);
    DOPE.rows("fills", t.fills.map((x) => ({ key: x.ms, cells: [`${fmt.number(x.ms)} ms`, share(x.share), between(x.low, x.high, share), fmt.number(x.filled), fmt.number(x.n), fmt.number(x.blind)] })), "No opening was looked at yet.");
    DOPE.rows("steps", t.open_after.map((s) => ({ key: s.t, cells: [fmt.age(s.t), share(s.s), between(s.low, s.high, share), fmt.number(s.at_risk)] })), "No life has ended yet.");
  }
  function curve() {
    const graph = DOPE.plot("lives-graph"), cover = $("lives-graph-empty"), steps = shown ? shown.total.open_after : [];
    if (!graph) return;
    cover.hidden = steps.length > 0;
    if (!shown) return DOPE.fill(cover, h("div", { class: "skel" }), h("div", { class: "skel" }), h("div", { class: "skel" }));
    if (!steps.length) return DOPE.fill(cover, DOPE.spreads.none("hourglass-split", "No life has ended yet", "The curve needs opportunities that opened and closed while this program watched."));
    const all = [{ t: 0, s: 1, low: 1, high: 1, at_risk: shown.total.openings }, ...steps], x = all.map((s) => s.t), line = (of, more) => Object.assign({ type: "scatter", mode: "lines", x, y: all.map((s) => s[of] * 100), line: { shape: "hv", width: 0 }, hoverinfo: "skip" }, more);
    window.Plotly.react(graph, [line("low", {}), line("high", { fill: "tonexty", fillcolor: "rgba(77,163,255,0.16)" }),
      line("s", { hoverinfo: "all", line: { shape: "hv", width: 2, color: DOPE.display.hex(DOPE.display.palette().pos) }, customdata: all.map((s) => s.at_risk), hovertemplate: "after %{x:.2f} s: %{y:.1f} % still open, %{customdata} seen so long<extra></extra>" })],
    DOPE.plotLayout({ margin: { l: 48, r: 14, t: 10, b: 38 }, hovermode: "closest", xaxis: { type: "linear", autorange: true, hoverformat: "", tickformat: "", title: { text: "s after opening", font: { size: 11 } } }, yaxis: { range: [0, 102], ticksuffix: " %" } }), { displayModeBar: false, responsive: true, doubleClick: "reset" });
  }
  const row = (p) => { const f = fillOf(p); return { key: `${p.symbol} ${p.buy_venue} ${p.sell_venue}`, cells: [
    h("span", {}, h("b", {}, p.symbol), h("small", {}, `${DOPE.venueName(p.buy_venue)} → ${DOPE.venueName(p.sell_venue)}`)), fmt.number(p.openings), [age(p.median_s), p.median_s === null ? "off" : "", `95 % ${between(p.median_low_s, p.median_high_s, age)}`],
    f ? share(f.share) : fmt.UNKNOWN, f ? between(f.low, f.high, share) : fmt.UNKNOWN, [f ? fmt.number(f.n) : "0", f && f.n >= 20 ? "" : "off"], fmt.number(p.stale), p.differs_p === null ? ["too few", "off"] : [p.differs_p < 0.001 ? "p < 0.001" : `p ${fmt.number(p.differs_p, 3)}`, p.differs_p < 0.01 ? "" : "off"],
  ] }; };
  function draw() {
    if (!DOPE.spreads.shown("survival")) return;
    if (!shown) return curve();
    symbols = [...new Set([...symbols, ...shown.pairs.map((p) => p.symbol)])].sort();
    DOPE.options("lives-symbol", [["", "All symbols"], ...symbols.map((s) => [s, s])], symbol);
    total(); curve();
    DOPE.rows("lives", shown.pairs.map(row), "Nothing has opened since start. That is normal; the simulated market opens something every few seconds.");
    DOPE.text("lives-fills-note", symbol || "all pairs together");
    DOPE.text("lives-curve-note", `${symbol || "all pairs together"} · n = ${fmt.number(shown.total.openings)}`);
  }
  const ask = DOPE.spreads.poll({ tab: "survival", name: "lives", every: EVERY_MS, path: () => "survival" + (symbol ? "?symbol=" + encodeURIComponent(symbol) : ""), draw: (answer) => { shown = answer; draw(); } });
  DOPE.ready(() => {
    DOPE.fill("lives-ms-holder", h("input", { id: "lives-ms", type: "range", min: "0", max: "0", step: "1", value: "0", "data-test": "lives-ms", "aria-label": "Latency" }));
    $("lives-ms").addEventListener("input", (event) => { at = Number(event.target.value); draw(); });
    $("lives-symbol").addEventListener("change", (event) => { symbol = event.target.value; ask(true); });
    ["view", "page", "display"].forEach((section) => DOPE.on(section, draw));
  });
})();
