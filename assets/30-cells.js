/* Cells of the opportunities table: text through React only, so nothing from the wire becomes markup. */
(function () {
  "use strict";
  const fmt = window.DOPE.fmt, DOPE = window.DOPE;
  const cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
  const functions = (window.dashAgGridFunctions = window.dashAgGridFunctions || {});
  const h = (...args) => window.React.createElement(...args);
  const STATES = { open: "● open", fading: "◐ fading", closed: "○ closed", stale: "■ stale" };
  const FULL_BAR_BPS = 20;

  cells.DopeSymbol = (p) => h("span", { className: "sym" }, h("b", null, `${p.data.base}-${p.data.quote}`), h("small", { className: "kind" }, p.data.kind));
  const leg = (side) => (p) => {
    const d = p.data, key = d[side], instrument = DOPE.state.instruments.get(key);
    return h("span", { className: "leg-" + side, title: DOPE.venueName(d[side + "_venue"]) }, h("b", null, DOPE.venueShort(d[side + "_venue"])), h("span", { className: "px" }, fmt.price(p.value, instrument && instrument.tick)));
  };
  cells.DopeBuy = leg("buy");
  cells.DopeSell = leg("sell");
  cells.DopeNet = (p) => {
    const v = p.value, width = Math.min(100, (Math.abs(v || 0) / FULL_BAR_BPS) * 100);
    return h("div", { className: "nb" + (v < 0 ? " n" : "") }, h("u", { style: { width: width + "%" } }), h("b", null, `${v > 0 ? "▲" : v < 0 ? "▼" : ""} ${fmt.bps(v)}`));
  };
  /* ≠ = the two quotes are too far apart in time to be compared. */
  cells.DopeState = (p) => {
    const apart = p.data.comparable === false, why = [p.data.reason, apart ? `not comparable: the ages of the two quotes differ by ${fmt.ageMs(Math.abs(p.data.buy_age_ms - p.data.sell_age_ms))}` : ""].filter(Boolean);
    return h("span", { className: "tag s-" + p.value, title: why.join("; ") || undefined }, (STATES[p.value] || String(p.value)) + (apart ? " ≠" : ""));
  };

  functions.dopeTime = (p) => fmt.clock(p.value);
  functions.dopeBps = (p) => fmt.bps(p.value);
  functions.dopePct = (p) => { const text = fmt.signed(p.value, 3); return text === fmt.UNKNOWN ? text : text + fmt.THIN + "%"; };
  functions.dopeSize = (p) => fmt.size(p.value);
  functions.dopeMoney = (p) => fmt.money(p.value);
  functions.dopeAgeMs = (p) => fmt.ageMs(p.value);
  functions.dopeLife = (p) => fmt.age(p.value);
  /* Whatever the order: rows that pay now first, then closed ones, then stale ones. */
  functions.dopeSink = (p) => {
    const rank = { open: 0, fading: 0, closed: 1, stale: 2 };
    const order = p.nodes.map((node, i) => [rank[node.data.state] || 0, i, node]).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    order.forEach(([, , node], i) => { p.nodes[i] = node; });
  };
})();
