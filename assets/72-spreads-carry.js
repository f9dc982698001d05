/* Spreads, Carry: basis of perpetuals and what holding the better side would pay; asked while somebody looks. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE;
  const EVERY_MS = 2000;
  let hold = "24", shown = null;

  const name = (key) => DOPE.venueName(key.split(":")[0]);
  const wanted = (row) => !DOPE.view.asset || DOPE.view.asset.split(",").includes(row.base);
  const fees = (r) => r.fees.map((f) => `${f.side} at ${name(f.market)} as ${f.role} ${fmt.number(f.fee_bps, 2)} bps`).join(", ");
  function row(r) {
    const sides = [["a", r.long_a], ["b", r.long_b]].filter(([, s]) => s).sort((x, y) => y[1].net_bps - x[1].net_bps), best = sides[0];
    const s = best ? best[1] : null, f = r.funding_b, n = (v, d = 1) => (s ? fmt.signed(v(s), d) : fmt.UNKNOWN), tone = s ? (s.net_bps > 0 ? "pos" : "neg") : "";
    return { key: `${r.a}>${r.b}`, cells: [
      h("span", {}, h("b", {}, `${r.base}-${r.quote}`), h("small", {}, `${name(r.a)}${r.kind === "spot-perp" ? " spot" : " perp"} / ${name(r.b)} perp`)),
      fmt.signed(r.basis_bps, 2), [fmt.signed(r.median_bps, 2), r.median_bps === null ? "off" : "", r.median_bps === null ? `${r.samples} of 30 samples` : `${r.samples} samples`], fmt.signed(r.deviation_bps, 2),
      f ? [`${fmt.signed(f.rate_bps, 2)} / ${fmt.number(f.interval_h)} h`, "", f.next ? `next ${f.next.slice(11, 19)} UTC` : ""] : [fmt.UNKNOWN, "off"], f ? fmt.percent(f.annual_pct) : fmt.UNKNOWN,
      [best ? `long ${name(best[0] === "a" ? r.a : r.b)}, short ${name(best[0] === "a" ? r.b : r.a)}` : "a book is not live", best ? "" : "off"],
      n((x) => x.entry_bps), n((x) => x.funding_bps), n((x) => x.convergence_bps), s ? [fmt.number(s.fees_bps, 1), "", fees(r)] : fmt.UNKNOWN, [n((x) => x.net_bps), tone], s ? fmt.percent(s.apr_pct) : fmt.UNKNOWN,
      s && s.break_even_h !== null ? (s.break_even_h ? fmt.age(s.break_even_h * 3600) : "at once") : ["not in 90 d", "off"],
      f && f.settled.n ? `${fmt.signed(f.settled.p50_bps, 2)} (${fmt.number(f.settled.n)})` : ["none yet", "off"],
    ] };
  }
  function draw() {
    if (!shown || !DOPE.spreads.shown("carry")) return;
    const rows = shown.rows.filter(wanted);
    DOPE.rows("carry", rows.map(row), shown.rows.length ? "No perpetual of the assets chosen at the top: choose All." : "No perpetual is watched beside another market of its base and quote: add one in Settings.");
    DOPE.text("carry-note", `${fmt.counted(rows.length, "pair")} · display only: funding is a forecast`);
    for (const b of $("carry-hold").children) { const on = b.dataset.value === hold; b.classList.toggle("on", on); b.setAttribute("aria-pressed", String(on)); }
  }
  const ask = DOPE.spreads.poll({ tab: "carry", name: "carry", every: EVERY_MS, path: () => `basis?limit=200&hold=${hold}`, draw: (answer) => { shown = answer; draw(); } });
  DOPE.actions["carry-hold"] = (b) => { hold = b.dataset.value; draw(); ask(true); };
  DOPE.ready(() => DOPE.on("view", draw));
})();
