/* Spreads, Triangles: those that are open or were, and the ways that come nearest to paying; asked while somebody looks. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, fmt } = DOPE;
  const EVERY_MS = 2000, STATE = { open: ["● open", "ok"], closed: ["○ closed", "off"], stale: ["■ stale", "bad"] };
  let shown = null;

  const wanted = (path) => !DOPE.view.asset || DOPE.view.asset.split(",").some((asset) => path.includes(asset));
  const path = (names) => names.join(" → ");
  const legs = (t) => t.markets.map((m, i) => `${t.sides[i]} ${m.split(":")[1]} as ${t.roles[i]}`).join(", ");
  const life = (t) => ({ key: t.id, cells: [
    STATE[t.state] || [t.state], DOPE.venueName(t.venue), h("span", { title: legs(t) }, path(t.path)), [fmt.bps(t.profit_bps), t.profit_bps > 0 ? "pos" : "neg"], fmt.bps(t.peak_bps),
    `${fmt.quantity(t.start)} ${t.path[0]}`, `${fmt.quantity(t.profit)} ${t.path[0]}`, t.opened ? t.opened.slice(11, 19) : fmt.UNKNOWN, fmt.age(t.life_s), t.reason || fmt.UNKNOWN,
  ] });
  const way = (w) => ({ key: `${w.venue} ${path(w.path)}`, cells: [DOPE.venueName(w.venue), h("span", { title: legs(w) }, path(w.path)), [fmt.bps(w.net_bps), w.net_bps >= 0 ? "pos" : ""], [fmt.number(w.fees_bps, 2), "", legs(w)], w.net_bps < 0 ? fmt.number(-w.net_bps, 2) : ["pays", "pos"]] });
  function draw() {
    if (!shown || !DOPE.spreads.shown("triangles")) return;
    const none = shown.ways ? "None has paid since start: three fees stand against it. The nearest ways stand below." : "No venue quotes three watched markets that lead round: watch ETH-BTC, ETH-USDT and BTC-USDT at one venue in Settings.";
    DOPE.rows("triangles", shown.rows.filter((t) => wanted(t.path)).map(life), none);
    DOPE.rows("ways", shown.nearest.filter((w) => wanted(w.path)).map(way), shown.ways ? "No way of which all three books are live." : "There are no ways.");
    DOPE.text("triangles-note", `${fmt.number(shown.opened)} since start · ${fmt.counted(shown.ways, "way")} known`);
  }
  DOPE.spreads.poll({ tab: "triangles", name: "triangles", every: EVERY_MS, path: () => "triangles?limit=50", draw: (answer) => { shown = answer; draw(); } });
  DOPE.ready(() => DOPE.on("view", draw));
})();
