/* Price by venue with Plotly: deviation from the consensus mid in bps, or price. Gaps stay gaps; the two extremes stand out.
   Jumps (▲▼) and bursts of volume (◆◇) are marked on the line of their market, as many of each as can still be told apart. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { $, fmt } = DOPE;
  const QUIET = ["#2DD4BF", "#C792EA", "#F2C94C", "#7FB4E6", "#8FCB7B", "#E38BB0", "#A9B6C6", "#5CC8E0", "#B9A06A", "#9A8CF0", "#6FBF9F", "#D4A5A5"];
  const MAX_LINES = 12, MAX_MARKS = 100, KEPT = 600, MIN_GAP_MS = 950, BUDGET_MS = 60, LATEST_MS = 300, TOP = 12, BOTTOM = 28, LABEL = 14;   // px: above and below the plot, from one name to the next
  const MARKS = { jump: ["jumps", "triangle-up", "triangle-down"], burst: ["bursts", "diamond", "diamond-open"] };   // name, up, down
  let last = 0, pause = MIN_GAP_MS, zoomed = false, cursor = null;

  /* The lines in view: one per instrument, cut to the chosen span. */
  function lines() {
    const s = DOPE.state.series, from = s.t.length ? s.t[s.t.length - 1] - DOPE.view.span * 1000 : 0;
    const start = s.t.findIndex((t) => t >= from), t = start < 0 ? [] : s.t.slice(start);
    const list = [...DOPE.state.instruments.values()].filter((x) => DOPE.inView(x.base, x.kind) && s.mid[x.key]);
    const price = DOPE.view.chart === "px", base = price && list.length ? list[0].base : null;
    const used = (price ? list.filter((x) => x.base === base) : list).slice(0, MAX_LINES);
    return { t, used: used.map((x) => ({ x, mid: s.mid[x.key].slice(start < 0 ? 0 : start) })) };
  }
  /* Median of the mids of the LIVE spot books of one base and quote at each time: the consensus, of at least three. Where fewer are watched
     (or none is spot) the lines are drawn against the middle of what there is, and the note says that it is no consensus. */
  const VOTES = 3;
  function consensus(group, n) {
    const spot = group.filter((l) => l.x.kind === "spot"), enough = spot.length >= VOTES, voters = enough ? spot : group, least = enough ? VOTES : 2;
    const out = new Array(n).fill(null);
    for (let k = 0; k < n; k += 1) {
      const at = voters.map((l) => l.mid[k]).filter((v) => typeof v === "number").sort((a, b) => a - b), m = at.length >> 1;
      if (at.length >= least) out[k] = at.length % 2 ? at[m] : (at[m - 1] + at[m]) / 2;
    }
    out.few = !enough;
    return out;
  }
  const latest = (values) => { const v = values[values.length - 1]; return typeof v === "number" ? v : null; };

  function figure() {
    const { t, used } = lines(), price = DOPE.view.chart === "px";
    const groups = {};
    for (const line of used) (groups[`${line.x.base}-${line.x.quote}`] = groups[`${line.x.base}-${line.x.quote}`] || []).push(line);
    const middles = Object.fromEntries(Object.entries(groups).map(([name, group]) => [name, consensus(group, t.length)]));
    for (const line of used) {
      const middle = middles[`${line.x.base}-${line.x.quote}`];
      line.y = price ? line.mid : line.mid.map((v, k) => (typeof v === "number" && middle[k] ? (v / middle[k] - 1) * 1e4 : null));
      line.end = latest(line.y);
    }
    const ranked = used.filter((l) => l.end !== null).sort((a, b) => b.end - a.end), high = ranked[0], low = ranked.length > 1 ? ranked[ranked.length - 1] : null;
    const many = Object.keys(groups).length > 1, mixed = new Set(used.map((l) => l.x.kind)).size > 1;
    const name = (l) => `${many ? l.x.base + " " : ""}${DOPE.venueShort(l.x.venue)}${mixed && l.x.kind !== "spot" ? " " + l.x.kind : ""}`;
    const times = t.map(fmt.stamp), ends = DOPE.display.palette(), HIGH = DOPE.display.hex(ends.pos), LOW = DOPE.display.hex(ends.neg);
    const traces = used.map((l, i) => {
      const top = l === high || l === low, colour = l === high ? HIGH : l === low ? LOW : QUIET[i % QUIET.length];
      l.colour = colour;
      return { type: "scatter", mode: "lines", x: times, y: l.y, name: name(l), connectgaps: false, opacity: top ? 1 : 0.55, line: { color: colour, width: top ? 2.2 : 1.1 },
        customdata: l.mid.map((v) => fmt.price(v, l.x.tick)), hovertemplate: `%{customdata}${price ? "" : " · %{y:+.2f} bps"}<extra>${name(l).replace(/[<>&]/g, "")}</extra>` };
    });
    const marked = marks(t, used, name);
    return { traces: [...traces, ...marked], ranked, high, low, times, t, name, groups, middles };
  }
  /* Where a drawn line stands at a moment, between its points or at the last one before a gap; null inside a gap and outside. */
  function valueAt(t, y, ms) {
    let low = 0, high = t.length - 1;
    if (high < 1 || ms < t[0] || ms > t[high]) return null;
    while (high - low > 1) { const middle = (low + high) >> 1; if (t[middle] <= ms) low = middle; else high = middle; }
    const [a, b] = [y[low], y[high]];
    if (typeof a !== "number" || typeof b !== "number") return typeof a === "number" ? a : typeof b === "number" ? b : null;
    return a + ((b - a) * (ms - t[low])) / (t[high] - t[low]);
  }
  const since = { jump: 0, burst: 0 };   // from when on all are known, 0 = all of the chart
  const seen = { jump: [0, 0], burst: [0, 0] };   // of each kind how many are in view, and how many of them are drawn
  const wanted = () => String(DOPE.view.marks || "").split(",").filter((kind) => Object.hasOwn(MARKS, kind));
  /* What was found on the lines in view, each kind a trace of its own; where there are too many, the largest by their test. */
  function marks(t, used, name) {
    const lines = new Map(used.map((l) => [l.x.key, l])), found = Object.assign(Object.create(null), { burst: [], jump: [] });   // jumps are few: on top
    for (const row of DOPE.state.findings) {
      const line = lines.get(row.key), y = line && found[row.kind] ? valueAt(t, line.y, row.t) : null;
      if (y !== null) found[row.kind].push({ row, line, y });
    }
    for (const kind of Object.keys(found)) {   // the server keeps so many of a kind: before the first of them nothing is known
      const kept = DOPE.state.findings.filter((row) => row.kind === kind);
      since[kind] = kept.length >= KEPT && t.length && kept[0].t > t[0] ? kept[0].t : 0;
    }
    const ends = DOPE.display.palette(), tone = (way) => DOPE.display.hex(way > 0 ? ends.posLight : ends.negLight);
    return Object.entries(found).flatMap(([kind, all]) => {
      const shown = wanted().includes(kind) ? all.sort((a, b) => b.row.z - a.row.z).slice(0, MAX_MARKS) : [];
      seen[kind] = [all.length, shown.length];
      return !shown.length ? [] : { type: "scatter", mode: "markers", cliponaxis: false, x: shown.map((m) => fmt.stamp(m.row.t)), y: shown.map((m) => m.y), customdata: shown.map((m) => words(m.row, m.line, name)), hovertemplate: "%{customdata}<extra></extra>",
        marker: { symbol: shown.map((m) => MARKS[kind][m.row.way > 0 ? 1 : 2]), size: kind === "jump" ? 11 : 8, color: shown.map((m) => tone(m.row.way)), line: { color: kind === "jump" ? "#0F151E" : shown.map((m) => tone(m.row.way)), width: kind === "jump" ? 1.2 : 1.6 } } };
    });
  }
  function words(row, line, name) {
    const up = row.way > 0, took = fmt.ageMs(row.took_ms);
    const what = row.kind === "jump" ? `${up ? "▲" : "▼"} jump ${fmt.signed(row.way * row.size, 1)} bps within ${took}` : `${up ? "◆ buying" : "◇ selling"} burst ${fmt.quantity(row.size)} ${line.x.base}, ${took}`;
    return `${name(line)} ${what} · z ${fmt.number(row.z, 1)} · ${fmt.clock(row.t)}`.replace(/[<>&]/g, "");
  }
  function legend() {
    for (const button of document.querySelectorAll("#chart-marks button")) {
      const kind = button.dataset.value, on = wanted().includes(kind), [all, shown] = seen[kind];
      button.classList.toggle("on", on);
      button.setAttribute("aria-pressed", String(on));
      button.title = !on ? `Mark ${MARKS[kind][0]} on the lines` : `${fmt.number(all)} ${MARKS[kind][0]} in view${shown < all ? `, the ${fmt.number(shown)} with the largest z are marked` : ""}${since[kind] ? `; known since ${fmt.clock(since[kind])}` : ""}`;
    }
  }
  /* Where the names stand at the right of so many px: [line, share of the height], each at its line's end or as near as the others leave
     room for; where there is none for all of them, those in the middle are left out, and the pointer tells them. */
  function places(ranked, [from, to], height) {
    const room = Math.max(2, Math.floor(height / LABEL)), seen = ranked.filter((l) => l.end >= from && l.end <= to), last = Math.min(seen.length, room) - 1;
    const shown = seen.length <= room ? seen : [...seen.slice(0, Math.ceil(room / 2)), ...seen.slice(seen.length - Math.floor(room / 2))];
    const at = shown.map((l) => ((l.end - from) / (to - from)) * height);
    at.forEach((_, n) => { at[n] = Math.min(at[n], n ? at[n - 1] - LABEL : height); });
    for (let n = last; n >= 0; n -= 1) at[n] = Math.max(at[n], n < last ? at[n + 1] + LABEL : 0);
    return shown.map((l, n) => [l, at[n] / height]);
  }
  function layout(f) {
    const price = DOPE.view.chart === "px", ys = f.ranked.flatMap((l) => l.y.filter((v) => v !== null)), low = Math.min(...ys), high = Math.max(...ys), pad = (high - low || 1) * 0.08;
    const graph = $("chart-graph").querySelector(".js-plotly-plot"), old = zoomed && graph && graph.layout ? graph.layout : null;
    const span = old ? old.yaxis.range : ys.length ? [low - pad, high + pad] : [0, 1];
    const notes = places(f.ranked, span, Math.max(60, ($("chart-graph").clientHeight || 260) - TOP - BOTTOM)).map(([l, at]) => {
      const top = l === f.high || l === f.low, digits = l.x.tick ? fmt.decimals(l.x.tick) : 2, text = `${f.name(l)} ${price ? fmt.number(l.end, digits) : fmt.signed(l.end, 1)}`.replace(/[<>&]/g, "");
      return { xref: "paper", x: 1.005, yref: "paper", y: at, xanchor: "left", yanchor: "middle", showarrow: false, text: top ? `<b>${text}</b>` : text, font: { size: 11, color: l.colour } };
    });
    const base = { color: "#8090A6", gridcolor: "#18212d", zerolinecolor: "#2D3A4B", tickfont: { size: 11 }, fixedrange: false };
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: "Inter, sans-serif", color: "#A9B6C6", size: 11 }, separators: fmt.separators(), showlegend: false, autosize: true,
      margin: { l: price ? 70 : 44, r: 14 + Math.ceil(Math.max(8, ...notes.map((a) => a.text.replace(/<.?b>/g, "").length)) * 6.1), t: TOP, b: BOTTOM }, hovermode: "x", hoverlabel: { bgcolor: "#151D28", bordercolor: "#2D3A4B", font: { family: "Inter, sans-serif", size: 11.5, color: "#E8EEF5" } },
      xaxis: Object.assign({ type: "date", hoverformat: "%H:%M:%S.%L", tickformat: "%H:%M:%S", nticks: innerWidth < 560 ? 4 : 7 }, base, old ? { range: old.xaxis.range, autorange: false } : {}),
      yaxis: Object.assign({ zeroline: !price, tickformat: price ? "," : "", ticksuffix: "", nticks: 7 }, base, old ? { range: old.yaxis.range, autorange: false } : ys.length ? { range: span } : {}),
      annotations: notes, shapes: cursor && f.t.length && cursor >= f.t[0] ? [{ type: "line", xref: "x", yref: "paper", x0: fmt.stamp(cursor), x1: fmt.stamp(cursor), y0: 0, y1: 1, line: { color: "#2DD4BF", width: 1, dash: "dot" } }] : [],
      dragmode: "zoom",
    };
  }
  function draw(force) {
    const holder = $("chart-graph"), graph = holder && holder.querySelector(".js-plotly-plot"), now = performance.now();
    if (!graph || !window.Plotly || DOPE.page !== "live" || (!force && now - last < pause)) return;
    last = now;
    const f = figure();
    $("chart-empty").hidden = f.t.length > 1;
    if (f.t.length < 2) return;
    window.Plotly.react(graph, f.traces, layout(f), { displayModeBar: false, responsive: true, doubleClick: false });
    listen(graph);
    const cost = performance.now() - now;
    pause = cost > BUDGET_MS ? Math.min(5000, cost * 20) : MIN_GAP_MS;   // never more than a twentieth of the main thread
    title(f);
    legend();
  }
  /* Once what is urgent is on the screen: lines of minutes take longer to draw than all the rest, and may come a moment later. */
  let coming = false;
  function soon() {
    if (coming) return;
    coming = true;
    const then = () => { coming = false; draw(false); };
    if (window.requestIdleCallback) window.requestIdleCallback(then, { timeout: LATEST_MS }); else setTimeout(then, 0);
  }
  function title(f) {
    const names = Object.keys(f.groups), one = names.length === 1 ? names[0] : null, price = DOPE.view.chart === "px";
    DOPE.text("chart-title", `${one || "All assets:"} ${one ? "price by venue" : "price by venue"}`);
    const middle = one && latest(f.middles[one]), kept = (f.t[f.t.length - 1] - f.t[0]) / 1000;
    const short = kept < DOPE.view.span * 0.9 ? ` · ${fmt.age(kept)} kept so far` : "";
    const few = names.some((name) => f.middles[name].few), word = few ? "middle" : "consensus";
    const against = few ? `deviation from the middle of what is watched, bps: a consensus needs ${VOTES} spot venues` : "deviation from consensus mid, bps";
    const marked = wanted().filter((kind) => since[kind]).map((kind) => ` · ${MARKS[kind][0]} known since ${fmt.clock(since[kind])}`).join("");
    DOPE.text("chart-note", (price ? "mid price" : against) + (middle ? ` · ${word} ${fmt.number(middle, 2)}` : "") + short + marked + (zoomed ? " · zoomed, double-click resets" : ""));
  }
  function listen(graph) {
    if (graph.dataset.heard) return;
    graph.dataset.heard = "1";
    graph.on("plotly_relayout", (change) => { if (Object.keys(change).some((key) => key.startsWith("xaxis.range"))) zoomed = true; });
    graph.on("plotly_doubleclick", () => { zoomed = false; draw(true); });
  }
  DOPE.actions["chart-mark"] = (b) => {
    const now = wanted(), kind = b.dataset.value;
    DOPE.see({ marks: (now.includes(kind) ? now.filter((one) => one !== kind) : [...now, kind]).join() });
  };
  DOPE.markTime = (ms) => { cursor = ms; draw(true); };
  DOPE.ready(() => {
    DOPE.on("series", soon);
    ["view", "page"].forEach((section) => DOPE.on(section, () => { zoomed = false; draw(true); legend(); }));
    DOPE.on("second", () => { if (!DOPE.paused()) soon(); });
  });
})();
