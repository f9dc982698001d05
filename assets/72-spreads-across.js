/* Spreads: pairs of markets in two currencies that cannot be compared now, and why; asked while somebody looks. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { fmt } = DOPE;
  const EVERY_MS = 5000, MOST = 200;
  let shown = null;

  const one = () => (/^[A-Za-z0-9]{1,20}$/.test(DOPE.view.asset) ? DOPE.view.asset : "");   // several are told apart here
  const venue = (key) => DOPE.venueName(key.split(":")[0]);
  /* One row an asset and pair of currencies: all its pairs want the same. */
  function groups(pairs) {
    const found = new Map();
    for (const pair of pairs.filter((p) => DOPE.inView(p.base, DOPE.view.kind))) {
      const name = [pair.base, pair.coin, pair.money].join(" "), group = found.get(name) || found.set(name, { name, n: 0, widest: pair }).get(name);
      group.n += 1;
      if (pair.naive_bps > group.widest.naive_bps) group.widest = pair;
    }
    return [...found.values()];
  }
  function draw() {
    if (!shown || !DOPE.spreads.shown("matrix")) return;
    const rows = groups(shown.pairs), more = shown.pairs.length >= MOST ? "at least " : "", pairs = rows.reduce((n, group) => n + group.n, 0);
    DOPE.rows("across", rows.map(({ name, n, widest: w }) => ({ key: name, cells: [w.base, `${w.coin} · ${w.money}`, fmt.number(n), `${venue(w.buy)} → ${venue(w.sell)}`, [`${fmt.bps(w.naive_bps)} bps`, "off"], [w.blocks, "words warn"]] })),
      "Every live pair in view is in one currency, or a fresh market exchanges its two: all are compared.");
    DOPE.text("across-note", rows.length ? `${more}${fmt.counted(pairs, "pair")} in two currencies: watch a market that exchanges them, in Settings` : "");
  }
  DOPE.spreads.poll({ tab: "matrix", name: "across", every: EVERY_MS, path: () => `conversions?comparable=false&limit=${MOST}${one() ? "&symbol=" + one() : ""}`, draw: (answer) => { shown = answer; draw(); } });
  DOPE.ready(() => DOPE.on("view", draw));
})();
