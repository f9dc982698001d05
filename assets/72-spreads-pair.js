/* Spreads: one pair of venues over time: net, gross or z with what matters beside it, distribution, lives, convergences; export. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE;
  const EVERY_MS = 15000, ROWS = 60, BAND = 2;
  const GROSS = "#4DA3FF", WALL = "#F2C94C", QUIET = "#A9B6C6";
  let past = null;   // what the API said last of the pair that is shown

  const markets = () => (DOPE.state.matrix || []).filter((m) => m.venues.length > 1);
  const name = (m) => `${m.base}-${m.quote} ${m.kind}`;
  function legs(m, i, j) {
    const [buy, sell] = [DOPE.spreads.keyOf(m, m.venues[i]), DOPE.spreads.keyOf(m, m.venues[j])];
    return buy && sell ? `${buy.key}>${sell.key}` : "";
  }
  /* {m, i, j} of the pair chosen; without one, or while it is not watched, the best of what is in view. */
  function chosen() {
    const [buy, sell] = DOPE.view.legs.split(">").map((key) => DOPE.state.instruments.get(key));
    if (buy && sell) for (const m of markets()) {
      const i = m.venues.indexOf(buy.venue), j = m.venues.indexOf(sell.venue);
      if (m.base === buy.base && m.quote === buy.quote && m.kind === buy.kind && i >= 0 && j >= 0 && i !== j) return { m, i, j };
    }
    let best = null;
    for (const m of markets().filter((x) => DOPE.inView(x.base, x.kind))) m.net.forEach((line, i) => line.forEach((v, j) => {
      if (v !== null && (!best || v > best.m.net[best.i][best.j])) best = { m, i, j };
    }));
    return best;
  }
  function choose(m, i, j) {
    DOPE.see({ legs: legs(m, i, j) });
    if (matchMedia("(max-width:1120px)").matches) $("pair").scrollIntoView({ block: "start" });
  }
  Object.assign(DOPE.spreads, { legs, choose });

  let kept = null;   // the pair is held while somebody looks, also when another one becomes the best
  function current() {
    const now = chosen();
    if (!now) return (kept = null);
    const text = legs(now.m, now.i, now.j), old = kept && !DOPE.view.legs && markets().find((m) => m.id === kept.id);
    if (old && DOPE.inView(old.base, old.kind) && old.venues.includes(kept.buy) && old.venues.includes(kept.sell)) return { m: old, i: old.venues.indexOf(kept.buy), j: old.venues.indexOf(kept.sell) };
    kept = { id: now.m.id, buy: now.m.venues[now.i], sell: now.m.venues[now.j], text };
    return now;
  }
  function controls(c) {
    DOPE.options("pair-market", markets().map((m) => [m.id, name(m)]), c.m.id);
    const venues = c.m.venues.map((v) => [v, DOPE.venueName(v)]);
    DOPE.options("pair-buy", venues, c.m.venues[c.i]);
    DOPE.options("pair-sell", venues, c.m.venues[c.j]);
    for (const b of $("pair-hours").children) { const on = Number(b.dataset.value) === DOPE.view.hours; b.classList.toggle("on", on); b.setAttribute("aria-pressed", String(on)); }
  }
  function head(c) {
    const { m, i, j } = c, ok = m.state[i][j] === "ok";
    DOPE.text("pair-title", `${DOPE.venueName(m.venues[i])} → ${DOPE.venueName(m.venues[j])}`);
    DOPE.text("pair-note", ok ? `${name(m)} · net ${fmt.bps(m.net[i][j])} bps at my size now` : `${name(m)} · a book is not current now`);
  }

  /* -- charts ---------------------------------------------------------------------------------------------------------- */
  const value = (p, mode) => (mode === "z" ? p.z : mode === "gross" || past.wall_bps === null ? p.gross : DOPE.spreads.net(p.gross, past.wall_bps));
  function line(points, of) {   // a hole stays a hole
    const x = [], y = [];
    points.forEach((p, k) => {
      if (k && p.at_ms - points[k - 1].at_ms > past.step_s * 1000) { x.push(fmt.stamp(p.at_ms - 1)); y.push(null); }
      x.push(fmt.stamp(p.at_ms));
      y.push(of(p));
    });
    return { x, y };
  }
  const level = (at, colour, dash) => ({ type: "line", xref: "paper", x0: 0, x1: 1, yref: "y", y0: at, y1: at, line: { color: colour, width: 1.3, dash } });
  function history() {
    const graph = DOPE.plot("pair-graph"), cover = $("pair-graph-empty");
    if (!graph) return;
    const mode = DOPE.view.matrix, points = past ? past.points : [];
    cover.hidden = points.length > 1;
    if (!past) return DOPE.fill(cover, h("div", { class: "skel" }), h("div", { class: "skel" }), h("div", { class: "skel" }));
    if (points.length < 2) return DOPE.fill(cover, DOPE.spreads.none("clock-history", "Nothing recorded of both at once", past.gaps.length ? `In this time: ${past.gaps[past.gaps.length - 1].why}.` : "The recording holds no second in which both books were known to be right.",
      DOPE.view.hours < 24 ? h("button", { type: "button", class: "btn2", "data-act": "pair-hours", "data-value": "24" }, "Look at 24 h") : null));
    const tone = DOPE.display.hex(DOPE.display.palette().pos), at = (mode === "z" ? "z" : mode === "gross" ? "gross" : "net");
    const traces = [Object.assign({ type: "scatter", mode: "lines", name: at, connectgaps: false, line: { color: tone || GROSS, width: 1.5 }, hovertemplate: `${at} %{y:+.2f}<extra></extra>` }, line(points, (p) => value(p, mode)))];
    const of = past.gross, shift = (v) => (mode === "gross" ? v : DOPE.spreads.net(v, past.wall_bps)), shapes = [];
    const [low, high] = mode === "z" ? [-BAND, BAND] : [shift(of.mean - BAND * of.sd), shift(of.mean + BAND * of.sd)];
    if (low !== null && high !== null) shapes.push({ type: "rect", xref: "paper", x0: 0, x1: 1, yref: "y", y0: low, y1: high, fillcolor: "rgba(169,182,198,0.13)", line: { width: 0 }, layer: "below" });
    if (mode !== "z") { const mean = shift(of.mean); if (mean !== null) shapes.push(level(mean, QUIET, "dot")); }
    const wall = mode === "z" ? null : mode === "gross" ? past.wall_bps : 0;
    if (wall !== null) { shapes.push(level(wall, WALL, "dash")); traces.push({ type: "scatter", mode: "lines", x: [traces[0].x[0]], y: [wall], hoverinfo: "skip", line: { width: 0 } }); }   // so that it is in sight
    window.Plotly.react(graph, traces, DOPE.plotLayout({ shapes, margin: { l: 48, r: 14, t: 10, b: 26 }, xaxis: { autorange: true, tickformat: DOPE.view.hours > 2 ? "%H:%M" : "%H:%M:%S" }, yaxis: { autorange: true, title: { text: mode === "z" ? "σ" : "bps", font: { size: 11 } } } }), { displayModeBar: false, responsive: true, doubleClick: "reset" });
    const key = (css, text) => h("span", {}, h("i", { class: "key " + css }), text);
    DOPE.fill("pair-legend", ...[key("gro", mode === "z" ? "z of the mid spread" : `${at} at the best prices`), wall === null ? null : key("wal", mode === "gross" ? `fee wall ${fmt.number(wall, 2)} bps` : "pays above this line"),
      mode === "z" ? null : key("mea", "mean"), key("sdb", mode === "z" ? "±2 σ" : "mean ± 2 σ")].filter(Boolean));
  }
  function bins() {
    const graph = DOPE.plot("pair-bins"), cover = $("pair-bins-empty"), all = past ? past.distribution : [];
    if (!graph) return;
    cover.hidden = all.length > 0;
    if (!all.length) return DOPE.fill(cover, past ? DOPE.spreads.none("bar-chart", "No seconds to count", "There is nothing in this time.") : h("div", { class: "skel" }));
    const wall = past.wall_bps, first = all[0].low, last = all[all.length - 1].high, near = wall !== null && wall < last + (last - first);
    const traces = [{ type: "bar", x: all.map((b) => (b.low + b.high) / 2), y: all.map((b) => b.n), width: all.map((b) => (b.high - b.low) * 0.92), marker: { color: all.map((b) => (wall !== null && b.low >= wall ? DOPE.display.hex(DOPE.display.palette().pos) : "#3a5575")) },
      customdata: all.map((b) => `${fmt.signed(b.low, 2)} to ${fmt.signed(b.high, 2)} bps`), hovertemplate: "%{customdata}: %{y} s<extra></extra>" }];
    const shapes = near ? [{ type: "line", x0: wall, x1: wall, yref: "paper", y0: 0, y1: 1, line: { color: WALL, width: 1.3, dash: "dash" } }] : [];
    window.Plotly.react(graph, traces, DOPE.plotLayout({ shapes, hovermode: "closest", margin: { l: 40, r: 8, t: 8, b: 34 }, bargap: 0, xaxis: { type: "linear", autorange: true, hoverformat: "", tickformat: "", nticks: 6, title: { text: "gross, bps", font: { size: 11 }, standoff: 4 } }, yaxis: { autorange: true, nticks: 4 } }), { displayModeBar: false, responsive: true, doubleClick: false });
  }
  function facts() {
    if (!past) return DOPE.facts("pair-facts", []);
    const g = past.gross, l = past.lives, c = past.convergences, last = past.points[past.points.length - 1], s = (v) => (v === null ? fmt.UNKNOWN : fmt.age(v));
    DOPE.facts("pair-facts", [
      ["Known", `${fmt.age(past.known_s)} of ${fmt.age(past.seconds)}`, past.known_s ? "" : "warn", "Seconds in which both books were recorded and known to be right"],
      ["z now", last ? fmt.signed(last.z, 1) : fmt.UNKNOWN, "", "Mid spread less its mean over the horizon, in standard deviations"],
      ["Mid spread", `${fmt.signed(past.mid.mean, 2)} ± ${fmt.number(past.mid.sd, 2)} bps`, "", "Mean and standard deviation; positive = the selling venue is dearer"],
      ["Gross, median", `${fmt.signed(g.p50, 2)} bps`, "", "At the best prices, before fees"], ["90 % between", `${fmt.signed(g.p5, 2)} and ${fmt.signed(g.p95, 2)}`, "", "5th and 95th percentile of gross, bps"],
      ["Fee wall", past.wall_bps === null ? "not watched now" : `${fmt.number(past.wall_bps, 2)} bps`, "", "Gross at which both fees are just paid"],
      ["Paid", l ? `${fmt.number(l.n)}× · ${s(l.seconds)}${l.goes_on ? ", still" : ""}` : fmt.UNKNOWN, "", "Runs of seconds with gross at or above the wall, at the best prices"],
      ["Lifetime", l && l.n ? `median ${s(l.median_s)}, p90 ${s(l.p90_s)}, longest ${s(l.longest_s)}` : "none paid", l && l.n ? "" : "mut", "Of those runs, to the second"],
      ["Convergences", c.per_day === null ? `${fmt.number(c.n)} · too little to say of a day` : `${fmt.number(c.per_day)} per 24 h (${fmt.number(c.n)} seen)`, c.per_day === null ? "mut" : "", "Mid spread 2 σ away that came back to its mean; needs 10 minutes of data"],
    ]);
  }
  function tables() {
    const points = past ? past.points : [], every = Math.max(1, Math.ceil(points.length / ROWS));
    const some = points.filter((_, k) => (points.length - 1 - k) % every === 0).reverse(), total = past ? past.known_s : 0;
    DOPE.rows("pair-past", some.map((p) => ({ key: p.at_ms, cells: [(fmt.stamp(p.at_ms) || "").slice(5, 19), fmt.bps(p.gross), fmt.bps(value(p, "net")), fmt.bps(p.low), fmt.bps(p.high), fmt.bps(p.mid), fmt.signed(p.z, 1)] })), "Nothing was recorded of both in this time.");
    DOPE.rows("pair-dist", (past ? past.distribution : []).map((b) => ({ key: b.low, cells: [fmt.bps(b.low), fmt.bps(b.high), fmt.number(b.n), fmt.percent((b.n / total) * 100)] })), "No seconds to count.");
  }
  function show() { history(); bins(); facts(); tables(); }
  function draw() {
    if (!DOPE.spreads.shown("matrix")) return;
    const c = current();
    if (c) { controls(c); head(c); }
  }
  const path = () => {
    const c = current(), both = c && legs(c.m, c.i, c.j);
    if (!both) return "";
    const [buy, sell] = both.split(">").map(encodeURIComponent);
    return `pair?buy=${buy}&sell=${sell}&hours=${DOPE.view.hours}`;
  };
  DOPE.spreads.poll({
    tab: "matrix", name: "pair", every: EVERY_MS, path, idle: () => { past = null; show(); },
    draw: (answer) => { past = answer; show(); },
    failed: () => { const cover = $("pair-graph-empty"); cover.hidden = false; DOPE.fill(cover, DOPE.spreads.none("exclamation-circle", "No history", "What was recorded of this pair cannot be read now.")); },
  });

  /* -- what somebody does -------------------------------------------------------------------------------------------------- */
  function file(end) { return `dope-pair-${past.symbol}-${past.buy_venue}-${past.sell_venue}-${past.end.slice(0, 19).replace(/[:-]/g, "")}Z.${end}`; }
  const COLUMNS = ["at", "gross_bps", "net_bps", "low_bps", "high_bps", "mid_bps", "z"];
  DOPE.spreads.csv = () => [COLUMNS, ...past.points.map((p) => [p.at, p.gross, past.wall_bps === null ? null : DOPE.spreads.net(p.gross, past.wall_bps), p.low, p.high, p.mid, p.z])].map((row) => row.map((v) => (v === null ? "" : String(v))).join(",")).join("\r\n") + "\r\n";
  const none = () => DOPE.toast("There is nothing to export yet");
  function pick(change) {
    const c = current();
    if (!c) return;
    let [m, i, j] = [c.m, c.i, c.j];
    if (change.market) { m = markets().find((x) => x.id === change.market); [i, j] = [0, 1]; [c.m.venues[c.i], c.m.venues[c.j]].forEach((v, k) => { const at = m.venues.indexOf(v); if (at >= 0) { if (k) j = at; else i = at; } }); if (i === j) j = i ? 0 : 1; }
    const other = (name) => m.venues.indexOf(name);
    if (change.buy) { const was = i; i = other(change.buy); if (i === j) j = was; }
    if (change.sell) { const was = j; j = other(change.sell); if (i === j) i = was; }
    if (change.swap) [i, j] = [j, i];
    DOPE.see({ legs: legs(m, i, j) });
  }
  Object.assign(DOPE.actions, {
    "pair-hours": (b) => DOPE.see({ hours: Number(b.dataset.value) }), "pair-swap": () => pick({ swap: true }),
    "pair-csv": () => (past ? DOPE.save(DOPE.spreads.csv(), "text/csv;charset=utf-8", file("csv")) : none()),
    "pair-json": () => (past ? DOPE.save(JSON.stringify(past, null, 1), "application/json", file("json")) : none()),
  });
  DOPE.ready(() => {
    for (const what of ["market", "buy", "sell"]) $(`pair-${what}`).addEventListener("change", (event) => pick({ [what]: event.target.value }));
    ["view", "page", "matrix"].forEach((section) => DOPE.on(section, draw));
    ["view", "display"].forEach((section) => DOPE.on(section, () => { if (DOPE.spreads.shown("matrix")) { history(); bins(); } }));
    DOPE.on("second", () => { const graph = DOPE.plot("pair-graph"); if (DOPE.spreads.shown("matrix") && graph && past && !(graph.data || []).length) show(); });
  });
})();
