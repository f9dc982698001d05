/* Spreads: the matrices of now from the stream, and those of a moment of the last hour from what was recorded. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE;
  const WAIT_MS = 250, MOST = 24, FOR_EVER = 1e12, HOUR_S = 3600, STEP_S = 5, NOTHING = "nothing was recorded";
  let at = 0, found = null, timer = 0;   // at = ms of the moment, 0 = now

  const inView = () => (DOPE.state.matrix || []).filter((m) => DOPE.inView(m.base, m.kind) && m.venues.length > 1);
  const keyOf = (m, venue) => [...DOPE.state.instruments.values()].find((x) => x.venue === venue && x.base === m.base && x.quote === m.quote && x.kind === m.kind);
  const symbolOf = (m) => (keyOf(m, m.venues[0]) || { symbol: "" }).symbol;
  const net = (gross, wall) => (typeof gross === "number" && typeof wall === "number" ? ((1 + gross / 1e4) / (1 + wall / 1e4) - 1) * 1e4 : null);
  /* A matrix of then: gross as recorded, net by the fees of now. What was not there then has no value. */
  function ofThen(m) {
    const row = found && found.rows.find((r) => r.symbol === symbolOf(m)), cells = new Map((row ? row.cells : []).map((c) => [`${c.buy_venue}>${c.sell_venue}`, c.gross_bps]));
    const gross = m.venues.map((a) => m.venues.map((b) => { const v = cells.get(`${a}>${b}`); return v === undefined ? null : v; }));
    return Object.assign({}, m, { gross, net: gross.map((line, i) => line.map((v, j) => net(v, m.wall[i][j]))), z: gross.map((line) => line.map(() => null)),
      state: gross.map((line, i) => line.map((v, j) => (i === j ? "self" : v === null ? "none" : "ok"))) });
  }
  const list = () => (at ? inView().map(ofThen) : DOPE.state.matrix);

  const redraw = DOPE.matrices({
    name: "spreads", page: "spreads", flow: true, list, past: () => at > 0,
    picked: (m, i, j) => DOPE.view.legs === DOPE.spreads.legs(m, i, j), pick: (box) => DOPE.spreads.choose(box.m, box.i, box.j),
  });

  function words() {
    const moment = $("spreads-moment"), asked = inView().slice(0, MOST), back = (DOPE.now() - at) / 1000;
    moment.classList.toggle("then", Boolean(at));
    for (const b of document.querySelectorAll('[data-act="spreads-now"]')) { b.classList.toggle("on", !at); b.setAttribute("aria-pressed", String(!at)); }
    if (!at) return DOPE.text("spreads-moment", "now, at my order size");
    const blind = found ? found.rows.filter((row) => !row.recorded) : [], less = inView().length > MOST ? ` · the first ${MOST} matrices only` : "";
    const when = `${fmt.clock(at)} ${fmt.zoneName()}, ${fmt.age(back)} ago`;
    if (!found) return DOPE.text("spreads-moment", `${when}: reading what was recorded`);
    if (blind.length === asked.length) return DOPE.text("spreads-moment", `${when}: nothing was recorded${blind[0] && blind[0].why && blind[0].why !== NOTHING ? " (" + blind[0].why + ")" : ""}`);
    const part = blind.length ? ` · nothing recorded of ${blind.slice(0, 4).map((row) => row.symbol).join(", ")}${blind.length > 4 ? ` and ${blind.length - 4} more` : ""}` : "";
    DOPE.text("spreads-moment", `${when} · best prices then, fees of now${DOPE.view.matrix === "z" ? " · z-scores are not recorded" : ""}${part}${less}`);
  }
  function note() {
    const all = inView(), none = $("spreads-none"), known = Boolean(DOPE.state.matrix);
    const pairs = all.reduce((n, m) => n + m.venues.length * (m.venues.length - 1), 0);
    DOPE.text("spreads-card-note", known ? `${fmt.number(all.length)} markets · ${fmt.number(pairs)} routes · bps, row buys, column sells` : "waiting for the first books");
    none.hidden = !known || all.length > 0;
    $("spreads-matrices").hidden = known && !all.length;
    if (known && !all.length && !none.childElementCount) DOPE.fill(none, DOPE.spreads.none("grid-3x3-gap", "No two venues quote this", "The asset or kind chosen at the top is watched at one venue or none.",
      h("button", { type: "button", class: "btn2", "data-act": "reset-filters" }, "Show everything")));
  }
  function controls() {
    for (const b of $("spreads-mode").children) { b.classList.toggle("on", b.dataset.value === DOPE.view.matrix); b.setAttribute("aria-pressed", String(b.dataset.value === DOPE.view.matrix)); }
    const box = $("spreads-order");
    if (document.activeElement !== box) box.value = String((DOPE.state.mode || {}).order_size ?? "");
  }
  function draw() {
    if (!DOPE.spreads.shown("matrix")) return;
    note(); words(); controls(); redraw();
  }
  const ask = DOPE.spreads.poll({
    tab: "matrix", name: "then", every: FOR_EVER, idle: () => { found = null; draw(); },
    path: () => (at && inView().length ? `matrix?at=${at}&${inView().slice(0, MOST).map((m) => "symbol=" + encodeURIComponent(symbolOf(m))).join("&")}` : ""),
    draw: (answer) => { found = answer; draw(); },
  });
  function move(ms) {
    clearTimeout(timer);
    const back = -ms;
    DOPE.text("spreads-moment", back ? `${fmt.clock(DOPE.now() - back * 1000)} ${fmt.zoneName()}, ${fmt.age(back)} ago` : "now");
    timer = setTimeout(() => {
      at = back ? Math.floor((DOPE.now() - back * 1000) / 1000) * 1000 : 0;
      found = null;
      if (!at) $("then-trouble").hidden = true;
      draw();
      ask(false);
    }, WAIT_MS);
  }
  Object.assign(DOPE.spreads, { net, keyOf });
  DOPE.actions["spreads-mode"] = (b) => DOPE.see({ matrix: b.dataset.value });
  DOPE.actions["spreads-now"] = () => { $("spreads-back").value = "0"; move(0); };
  DOPE.ready(() => {
    DOPE.fill("spreads-back-holder", h("input", { id: "spreads-back", type: "range", min: String(-HOUR_S), max: "0", step: String(STEP_S), value: "0", "data-test": "spreads-back", "aria-label": "Moment of the last hour, seconds back", "aria-describedby": "spreads-moment" }));
    DOPE.fill("spreads-order-holder", h("input", { id: "spreads-order", type: "number", step: "any", autocomplete: "off", style: { width: "58px" }, "data-test": "spreads-order", "aria-label": "Order size in quote currency" }));
    $("spreads-back").addEventListener("input", (event) => move(Number(event.target.value)));
    $("spreads-order").addEventListener("change", (event) => DOPE.orderSize(event.target.value));
    ["view", "page", "matrix", "mode", "second"].forEach((section) => DOPE.on(section, draw));
  });
})();
