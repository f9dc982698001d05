/* Profit against size in the inspector, and how long such openings last: asked of the API while somebody looks. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, fmt } = DOPE, NS = "http://www.w3.org/2000/svg";
  const CURVE_MS = 1000, LIVES_MS = 5000, WIDE = 360, TALL = 132, LEFT = 52, BOTTOM = 18, TOP = 8;
  const box = h("section", { class: "curve", "data-test": "curve" });
  let of = null, row = null, curve = null, lives = null, trouble = "", at = { curve: 0, lives: 0 };

  const node = (name, attributes, text) => {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const line = (name, value, note, test) => h("tr", {}, h("td", {}, name), h("td", { class: "num", "data-test": test }, value), h("td", { class: "mut" }, note || ""));

  /* The points worth drawing: up to a little beyond the size at which nothing is left. */
  function seen(c) {
    const top = c.best ? c.best.net : 0, end = c.widest ? c.widest.cost * 1.3 : Infinity;
    const points = [{ cost: 0, net: -c.transfer }];
    for (const p of c.points) {
      points.push(p);
      if (p.cost > end && p.net < -top) break;
    }
    return points;
  }
  function chart(c) {
    const points = seen(c), xs = points.map((p) => p.cost), ys = points.map((p) => p.net), last = Math.max(...xs) || 1;
    const low = Math.min(0, Math.max(Math.min(...ys), -Math.max(...ys, 0) || -Infinity)), high = Math.max(0, ...ys) || 1, span = high - low || 1;
    const x = (v) => LEFT + (Math.min(v, last) / last) * (WIDE - LEFT - 8), y = (v) => TOP + ((high - Math.max(low, v)) / span) * (TALL - TOP - BOTTOM);
    const best = c.best, said = best ? `Largest profit ${fmt.money(best.net)} ${c.quote} at ${fmt.size(best.cost)} ${c.quote}` : "No size pays";
    const svg = node("svg", { viewBox: `0 0 ${WIDE} ${TALL}`, role: "img", "aria-label": `Profit against size. ${said}` });
    svg.append(node("line", { x1: LEFT, x2: WIDE - 8, y1: y(0), y2: y(0), class: "zero" }));
    svg.append(node("polyline", { points: points.map((p) => `${x(p.cost).toFixed(1)},${y(p.net).toFixed(1)}`).join(" "), class: "line" }));
    if (c.order_size && c.order_size < last) svg.append(node("line", { x1: x(c.order_size), x2: x(c.order_size), y1: TOP, y2: TALL - BOTTOM, class: "mine" }));
    if (best) svg.append(node("circle", { cx: x(best.cost), cy: y(best.net), r: 4, class: "best" }));
    if (c.widest && c.widest.cost <= last) svg.append(node("circle", { cx: x(c.widest.cost), cy: y(c.widest.net), r: 3, class: "widest" }));
    svg.append(node("text", { x: 0, y: y(high) + 8 }, fmt.money(high)), node("text", { x: 0, y: Math.min(y(0) + 4, TALL - BOTTOM) }, "0"));
    svg.append(node("text", { x: LEFT, y: TALL - 4 }, "0"), node("text", { x: WIDE - 8, y: TALL - 4, "text-anchor": "end" }, `${fmt.size(last)} ${c.quote}`));
    return svg;
  }
  const least = (size) => (size.at_least ? "≥ " : "");
  function sizes(c) {
    const row = (name, s, test) => (s ? line(name, `${least(s)}${fmt.size(s.cost)} ${c.quote}`, `${fmt.money(s.net)} ${c.quote}, ${fmt.bps(s.net_bps)} bps; the last unit ${fmt.bps(s.marginal_bps)} bps${s.takes ? "" : "; less than the venues take"}`, test) : line(name, fmt.UNKNOWN, "no size", test));
    return h("table", { class: "kv" }, h("caption", {}, c.recorded ? "Profit against size, as last seen" : "Profit against size, now"), h("tbody", {},
      row("Largest profit", c.best, "curve-best"), row(`Largest at ${fmt.bps(c.threshold_bps)} bps or more`, c.widest, "curve-widest"),
      c.blocks ? line("What blocks", c.blocks.term, c.blocks.text, "curve-blocks") : null));
  }
  function steps(c) {
    const rows = c.points.slice(0, 40).map((p) => h("tr", {}, ...[fmt.size(p.cost), fmt.quantity(p.qty), fmt.money(p.net), fmt.bps(p.net_bps), fmt.bps(p.marginal_bps)].map((text) => h("td", {}, text))));
    const head = [c.quote, c.base, "Net", "Net bps", "Last unit bps"].map((text) => h("th", {}, text));
    return h("details", {}, h("summary", {}, `Table: ${fmt.number(c.points.length)} sizes${c.points.length > 40 ? ", the first 40" : ""}`), h("table", { class: "kv" }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows)));
  }
  function lasting(l) {
    const share = (v) => `${fmt.number(v * 100, 0)}${fmt.THIN}%`, mine = l.fills_at_latency;
    const still = (s) => { const step = [...l.open_after].reverse().find((each) => each.t <= s); return step ? step.s : 1; };
    return h("table", { class: "kv" }, h("caption", {}, "Such openings so far: this pair"), h("tbody", {},
      line("Openings", fmt.number(l.openings), `${fmt.number(l.ended)} seen to fade, ${fmt.number(l.stale)} went stale`),
      mine && mine.n ? line("Fills at my latency", share(mine.share), `${share(mine.low)} – ${share(mine.high)}; ${fmt.number(mine.filled)} of ${fmt.number(mine.n)}, ${fmt.number(mine.ms)} ms later`, "fills") : line("Fills at my latency", fmt.UNKNOWN, "none has been watched so long yet", "fills"),
      l.ended ? line("Still open after 1 s", share(still(1)), l.median_s === null ? "half of them last longer than any was seen" : `half of them last ${fmt.age(l.median_s)}`, "open-after") : line("Still open after 1 s", fmt.UNKNOWN, "none was seen to fade yet", "open-after")));
  }
  function draw() {
    const open = box.querySelector("details[open]");
    const parts = curve && curve.points.length ? [sizes(curve), chart(curve), steps(curve)] : [h("p", { class: "mut small" }, trouble || (curve ? "The books are not live: there is no curve." : "Asking for the curve…"))];
    box.replaceChildren(...parts, ...(lives ? [lasting(lives)] : []));
    if (open && box.querySelector("details")) box.querySelector("details").open = true;
  }
  async function ask(what, every, path, take) {
    if (Date.now() - at[what] < every) return;
    at[what] = Date.now();
    const asked = of;
    try {
      const answer = await DOPE.replay.call("GET", path);
      if (asked === of) { take(answer); trouble = ""; }
    } catch (error) {
      if (asked === of && what === "curve") { curve = null; trouble = `No curve: ${error.message}`; }
    }
    if (asked === of) draw();
  }
  /* The part of the inspector for row ``r``: the same element as long as it is the same opportunity. */
  DOPE.curve = function (r) {
    row = r;
    if (of !== r.id) { of = r.id; curve = lives = null; trouble = ""; at = { curve: 0, lives: 0 }; draw(); }
    if (DOPE.replaying()) { trouble = "Not shown in a replay: only the newest moment has all its books."; draw(); return box; }
    if (DOPE.paused() && curve) return box;
    const closed = r.closed !== null;
    ask("curve", closed && curve && curve.recorded ? Infinity : CURVE_MS, `opportunities/${encodeURIComponent(r.id)}/curve`, (answer) => { curve = answer; });
    ask("lives", LIVES_MS, `survival?symbol=${encodeURIComponent(r.symbol)}&buy_venue=${encodeURIComponent(r.buy_venue)}&sell_venue=${encodeURIComponent(r.sell_venue)}`, (answer) => { lives = answer.total; });
    return box;
  };
  DOPE.ready(() => DOPE.on("second", () => { if (row && box.isConnected && !document.getElementById("inspector").hidden) DOPE.curve(row); }));
})();
