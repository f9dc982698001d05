/* Spreads, Market map: how often, how long, at what net for which size it paid, per symbol and pair; asked while somebody looks. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, fmt } = DOPE;
  const EVERY_MS = 5000;
  let shown = null;

  const known = (v) => v !== null && v !== undefined;
  const range = (v, low, high, form) => [known(v) ? form(v) : fmt.UNKNOWN, known(v) ? "" : "off", known(low) && known(high) ? `95 % between ${form(low)} and ${form(high)}` : ""];
  const share = (v) => fmt.percent(v * 100);
  const wanted = (r) => (!DOPE.view.asset || DOPE.view.asset.split(",").includes(r.symbol.split("-")[0])) && (!DOPE.view.kind || r.kind === DOPE.view.kind);
  const row = (r) => {
    const [first, ...rest] = r.net_bps;
    return { key: `${r.symbol} ${r.kind} ${r.buy_venue} ${r.sell_venue}`, cells: [
      h("span", {}, h("b", {}, r.symbol), h("small", {}, `${DOPE.venueName(r.buy_venue)} → ${DOPE.venueName(r.sell_venue)}`)),
      [fmt.number(r.worth_per_hour, 2), "", "quote currency an hour"], fmt.number(r.openings), range(r.per_hour, r.per_hour_low, r.per_hour_high, (v) => fmt.number(v, 1)), range(r.median_s, r.median_low_s, r.median_high_s, fmt.age),
      first ? [fmt.bps(first.median), first.n ? "" : "off", `at ${fmt.size(first.size)}, n = ${fmt.number(first.n)}, one in twenty above ${fmt.bps(first.p95)}`] : fmt.UNKNOWN,
      [rest.map((x) => `${fmt.size(x.size)}: ${x.n ? fmt.signed(x.median, 1) : fmt.UNKNOWN}`).join(" · "), "", rest.map((x) => `${fmt.size(x.size)}: n = ${fmt.number(x.n)}`).join(", ")],
      known(r.capacity) ? fmt.size(r.capacity) : [fmt.UNKNOWN, "off"], known(r.capacity_per_day) ? fmt.size(r.capacity_per_day) : [fmt.UNKNOWN, "off"], range(r.fills, r.fills_low, r.fills_high, share),
      [`${share(r.late_share)}${r.late_venue ? " " + DOPE.venueName(r.late_venue) : ""}`, r.late_share ? "" : "off", `95 % between ${share(r.late_low)} and ${share(r.late_high)}`],
    ] };
  };
  function draw() {
    if (!shown || !DOPE.spreads.shown("map")) return;
    const rows = shown.rows.filter(wanted);
    DOPE.rows("map", rows.map(row), shown.rows.length ? "Nothing opened of the assets and kinds chosen at the top: choose All." : "Nothing has opened since start. That is normal; the map fills as opportunities come and go.");
    DOPE.text("map-note", `${fmt.number(rows.length)} routes in ${fmt.age(shown.hours * 3600)} · fills at ${fmt.number(shown.latency_ms)} ms`);
  }
  DOPE.spreads.poll({ tab: "map", name: "map", every: EVERY_MS, path: () => "market-map?limit=200", draw: (answer) => { shown = answer; draw(); } });
  DOPE.ready(() => DOPE.on("view", draw));
})();
