/* Lead-lag, drawn: the network of who leads whom, and what all markets did on average around jumps. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE;
  const SVG = "http://www.w3.org/2000/svg", WIDTH = 620, HEIGHT = 330, JUMPS_NEEDED = 20;
  const COLOURS = ["#4DA3FF", "#FF9F45", "#2DD4BF", "#F2C94C", "#C792EA", "#A9B6C6", "#7FD1AE", "#FF8FA3", "#8FB8FF", "#D6A77A", "#9ADBE8", "#B7C48A"];
  const AT = [-500, 0, 100, 250, 500, 1000, 2000];   // offsets told as numbers
  let drawn = "";

  function s(tag, props, ...children) {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(props)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }
  function network(told) {
    const holder = $("leadlag-network"), found = told.pairs.filter((p) => p.leader), n = told.markets.length;
    const key = JSON.stringify([told.markets.map((m) => m.key), found.map((p) => [p.leader, p.x, p.y, p.lag_ms, Math.round(p.z)])]);
    if (!holder || key === drawn) return;
    drawn = key;
    if (!found.length) {
      holder.setAttribute("aria-label", "No market leads another");
      return DOPE.fill(holder, h("p", { class: "hint" }, "No market leads another in this window: nothing to draw."));
    }
    const place = new Map(told.markets.map((m, i) => { const a = (2 * Math.PI * i) / n - Math.PI / 2; return [m.key, [WIDTH / 2 + 225 * Math.cos(a), HEIGHT / 2 + 140 * Math.sin(a)]]; }));
    const arrow = s("marker", { id: "lead-arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto", markerUnits: "userSpaceOnUse" }, s("path", { d: "M0 0L8 4L0 8z", fill: "#4DA3FF" }));
    const lines = found.flatMap((p) => {
      const [x1, y1] = place.get(p.leader), [x2, y2] = place.get(p.leader === p.x ? p.y : p.x), d = Math.hypot(x2 - x1, y2 - y1) || 1, ux = (x2 - x1) / d, uy = (y2 - y1) / d;
      const width = Math.min(3.5, Math.max(1, p.z / 8)).toFixed(1), mid = [x1 + (x2 - x1) * 0.42, y1 + (y2 - y1) * 0.42];
      const title = s("title", {});
      title.textContent = `${DOPE.lead.name(p.leader)} leads by ${fmt.number(Math.abs(p.lag_ms))} ms, z ${fmt.number(p.z, 1)}`;
      const label = s("text", { x: mid[0], y: mid[1] - 3, class: "lag" });
      label.textContent = `${fmt.number(Math.abs(p.lag_ms))} ms`;
      return [s("line", { x1: x1 + ux * 34, y1: y1 + uy * 15, x2: x2 - ux * 44, y2: y2 - uy * 17, "stroke-width": width, "marker-end": "url(#lead-arrow)" }, title), label];
    });
    const nodes = told.markets.map((m) => {
      const [x, y] = place.get(m.key), text = s("text", { x, y: y + 4, class: "name" }), name = DOPE.lead.name(m.key), width = 16 + 7 * name.length;
      text.textContent = name;
      return s("g", {}, s("rect", { x: x - width / 2, y: y - 12, width, height: 24, rx: 8 }), text);
    });
    holder.setAttribute("aria-label", found.map((p) => `${DOPE.lead.name(p.leader)} leads ${DOPE.lead.name(p.leader === p.x ? p.y : p.x)} by ${Math.abs(p.lag_ms)} ms`).join("; "));
    DOPE.fill(holder, s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" }, s("defs", {}, arrow), ...lines, ...nodes));
  }
  function paths(told) {
    const graph = DOPE.plot("paths-graph"), cover = $("paths-graph-empty"), { jumps, offsets_ms: at, markets } = told.paths, known = markets.filter((m) => m.n);
    if (!graph || !cover) return;
    cover.hidden = known.length > 0;
    const small = jumps < JUMPS_NEEDED;
    DOPE.text("leadpaths-note", known.length ? `average of ${fmt.counted(jumps, "jump")}${small ? `: n = ${fmt.number(jumps)}, needs ${fmt.number(JUMPS_NEEDED)}` : ""}, bps in their direction, ± 2 s` : "");
    $("leadpaths").classList.toggle("small-sample", small && known.length > 0);
    if (!known.length) DOPE.fill(cover, h("div", { class: "empty" }, DOPE.icon("lightning-charge"), h("h3", {}, "No jump in this window"), h("p", {}, "When a market jumps, this shows which of them moved first, averaged over all jumps.")));
    const traces = known.map((m) => ({ type: "scatter", mode: "lines", name: DOPE.lead.name(m.key), x: at, y: m.bps, line: { width: 1.7, color: COLOURS[markets.indexOf(m) % COLOURS.length] }, hovertemplate: `${DOPE.lead.name(m.key)} %{y:+.2f} bps<extra></extra>` }));
    const line = { type: "line", xref: "x", yref: "paper", x0: 0, x1: 0, y0: 0, y1: 1, line: { color: "#4a5d76", width: 1, dash: "dot" } };
    const layout = DOPE.plotLayout({ margin: { l: 48, r: 12, t: 14 + 18 * Math.ceil(known.length / 4), b: 34 }, showlegend: true, legend: { orientation: "h", y: 1.01, yanchor: "bottom", font: { size: 10.5 } }, shapes: [line], yaxis: { autorange: true, title: { text: "bps", font: { size: 11 } } } });
    Object.assign(layout.xaxis, { type: "linear", tickformat: "", hoverformat: "", ticksuffix: " ms", range: [-1000, 2000] });
    if (known.length) window.Plotly.react(graph, traces, layout, { displayModeBar: false, responsive: true, doubleClick: "reset" });
    numbers(at, known);
  }
  function numbers(at, known) {
    const head = document.querySelector("#leadpaths thead tr");
    if (head && head.childElementCount < 2) head.append(...AT.map((t) => h("th", { scope: "col" }, `${fmt.signed(t, 0)} ms`)), h("th", { scope: "col" }, "Jumps"));
    DOPE.rows("paths", known.map((m) => ({ key: m.key, cells: [DOPE.lead.name(m.key), ...AT.map((t) => [fmt.signed(m.bps[at.indexOf(t)], 2)]), [fmt.number(m.n), m.n < JUMPS_NEEDED ? "off" : ""]] })), "No jump in this window.");
  }
  function draw() {
    const told = DOPE.lead.shown;
    if (!told || DOPE.page !== "leadlag") return;
    network(told);
    paths(told);
  }
  DOPE.ready(() => DOPE.on("lead", draw));
})();
