/* The inspector: every number of one opportunity, derived to the cent from the books it was found in. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE;
  let shown = null, row = null, opener = null;

  DOPE.inspect = function (id) {
    const drawer = $("inspector");
    if (!drawer) return;
    if (id === null) {
      const was = !drawer.hidden;
      drawer.hidden = true;
      shown = row = null;
      if (was && opener && opener.focus) opener.focus({ preventScroll: true });
      return;
    }
    if (drawer.hidden) opener = document.activeElement;
    shown = id;
    drawer.hidden = false;
    draw();
    drawer.querySelector(".x").focus({ preventScroll: true });
  };

  /* The ledger in whole units of the last digit shown, so that it adds up exactly as printed. Net, fees and proceeds are
     rounded; gross is their sum and the cost what is left, so at most the last digit of those two absorbs the rounding. */
  DOPE.ledger = function (r) {
    const digits = Math.abs(r.net) < 0.1 ? 4 : 2, unit = 10 ** digits, whole = (v) => Math.round(v * unit);
    const paid = r.qty * r.buy_vwap, got = r.qty * r.sell_vwap;
    const net = whole(r.net), feeBuy = whole(r.buy_cost - paid), feeSell = whole(got - r.sell_proceeds), received = whole(got);
    const conversion = whole(r.conversion || 0), transfer = whole(r.transfer || 0), buffer = whole(r.buffer || 0);
    const gross = net + feeBuy + feeSell + conversion + transfer + buffer, show = (v) => fmt.number(v / unit, digits);
    const first = (r.levels || [])[0], touch = first ? Math.max(whole((first[1] - first[0]) * r.qty), gross) : gross;
    return { net, feeBuy, feeSell, conversion, transfer, buffer, gross, touch, depth: touch - gross, received, cost: received - gross, digits, show };
  };

  const line = (name, value, note, css, test) => h("tr", { class: css }, h("td", {}, name), h("td", { class: "num", "data-test": test }, value), h("td", { class: "mut" }, note || ""));
  const table = (caption, rows, head) => h("table", { class: "kv" }, h("caption", {}, caption), head ? h("thead", {}, h("tr", {}, ...head.map((t) => h("th", {}, t)))) : null, h("tbody", {}, ...rows));
  const tick = (key) => (DOPE.state.instruments.get(key) || {}).tick;
  const px = (key, v) => fmt.price(v, tick(key));
  const vwap = (key, v) => fmt.price(v, tick(key) ? tick(key) / 100 : 0);

  function ledgerTable(r) {
    const l = DOPE.ledger(r), q = r.quote;
    return table(`Ledger at the best size (${q})`, [
      line("Sell proceeds before fee", l.show(l.received), `${fmt.quantity(r.qty)} ${r.base} × ${vwap(r.sell, r.sell_vwap)}`, "", "ledger-received"),
      line("− Buy cost before fee", l.show(l.cost), `${fmt.quantity(r.qty)} ${r.base} × ${vwap(r.buy, r.buy_vwap)}`, "", "ledger-cost"),
      line("= Gross", l.show(l.gross), `${fmt.bps(r.gross_bps)} bps of the buy cost with fee`, "sum", "ledger-gross"),
      line("   at the best prices alone", l.show(l.touch), "what the first levels promise for this size", "mut", "ledger-touch"),
      line("   − depth", l.show(l.depth), "further levels are worse", "mut", "ledger-depth"),
      line("− Fee of the buy", l.show(l.feeBuy), `${fmt.number(r.fee_buy_bps, 2)} bps ${r.buy_as || "taker"}${r.buy_in_base ? " in " + r.base : ""}, ${DOPE.venueName(r.buy_venue)}`, "", "ledger-fee-buy"),
      line("− Fee of the sell", l.show(l.feeSell), `${fmt.number(r.fee_sell_bps, 2)} bps ${r.sell_as || "taker"}, ${DOPE.venueName(r.sell_venue)}`, "", "ledger-fee-sell"),
      r.via ? line("− Conversion", l.show(l.conversion), `beyond the mid of ${r.via}`, "", "ledger-conversion") : null,
      l.transfer ? line("− Fixed costs", l.show(l.transfer), "of one opportunity", "", "ledger-transfer") : null,
      l.buffer ? line("− Held back", l.show(l.buffer), "for what goes wrong", "", "ledger-buffer") : null,
      line("= Net", l.show(l.net), `${fmt.bps(r.net_bps)} bps = net ÷ buy cost with fee ${fmt.money(r.buy_cost)}`, "sum net", "ledger-net"),
    ].filter(Boolean));
  }
  function levelsTable(r) {
    let cumulated = 0, profit = 0;
    const fb = r.fee_buy_bps / 1e4, fs = r.fee_sell_bps / 1e4;
    const rows = (r.levels || []).slice(0, 25).map(([buy, sell, qty]) => {
      const edge = sell * (1 - fs) - buy * (1 + fb);
      cumulated += qty;
      profit += edge * qty;
      return h("tr", {}, h("td", {}, px(r.buy, buy)), h("td", {}, px(r.sell, sell)), h("td", {}, fmt.quantity(qty)), h("td", {}, fmt.bps((edge / (buy * (1 + fb))) * 1e4)), h("td", {}, fmt.quantity(cumulated)), h("td", {}, fmt.money(profit)));
    });
    return table(`Book walk: ${fmt.number((r.levels || []).length)} steps${(r.levels || []).length > 25 ? ", the first 25" : ""}`, rows, ["Buy at", "Sell at", r.base, "Net bps", "Total " + r.base, "Profit"]);
  }
  function draw() {
    if (!shown || !$("inspector-body")) return;
    row = DOPE.state.opps.get(shown) || DOPE.state.opps.get(Number(shown)) || row;
    if (!row) return DOPE.fill("inspector-body", h("p", { class: "mut" }, "This opportunity is no longer on the board."));
    const r = row, gone = !DOPE.state.opps.has(r.id);
    DOPE.text("inspector-title", `${r.symbol} · ${DOPE.venueName(r.buy_venue)} → ${DOPE.venueName(r.sell_venue)}`);
    const life = r.closed || gone ? r.life_s : (DOPE.now() - r.opened) / 1000;
    const order = (DOPE.state.mode || {}).order_size;
    const facts = table("Facts", [
      line("State", `${r.state}${gone ? ", left the board" : ""}`, r.reason || ""),
      line("At my size", `${fmt.money(r.net_at_order)} ${r.quote}`, `${fmt.bps(r.net_bps_at_order)} bps for ${fmt.size(order)} ${r.quote} (${fmt.quantity(r.order_qty)} ${r.base})`),
      line("First levels only", `${fmt.bps(r.touch_net_bps)} bps`, `${px(r.sell, r.sell_px)} against ${px(r.buy, r.buy_px)}, after fees`),
      line("Opened", fmt.clock(r.opened), r.closed ? `closed ${fmt.clock(r.closed)}` : "still open"),
      line("Life", fmt.age(life), `${fmt.number(r.updates)} updates`),
      line("Peak", `${fmt.bps(r.peak_bps)} bps`, `at ${fmt.clock(r.peak_t)}`),
      line("Quote ages", `${fmt.ageMs(r.buy_age_ms)} · ${fmt.ageMs(r.sell_age_ms)}`, `buy · sell; limit ${fmt.ageMs(r.max_age_ms)}`),
      line("Skew", fmt.ageMs(r.skew_ms), r.comparable === false ? "between the two quotes: not comparable, their ages differ by more than 0.5 s" : "between the two quotes"),
      ...(r.clock_step ? [line("Clock", "set while it was open", "a clock jumped, the system's or a venue's; times here follow their own")] : []),
      line("Indicative", DOPE.signedPct(r.indicative_pct), "(sell price − buy price) ÷ buy price, no depth"),
      line("Indicative after fees", DOPE.signedPct(r.indicative_profit_pct), "less both fees; shown for comparison"),
      line("Fees could rise by", `${fmt.number(r.fee_slack_bps, 2)} bps`, "both together, before this size earns nothing"),
    ]);
    const scroll = $("inspector-body").scrollTop;
    DOPE.fill("inspector-body",
      h("div", { class: "insp-head" }, h("span", { class: "tag s-" + r.state }, r.state), h("b", { class: r.net < 0 ? "neg" : "pos" }, `${fmt.bps(r.net_bps)} bps`), h("span", { class: "mut" }, `${r.at_least ? "at least " : ""}${fmt.size(r.size)} ${r.quote} executable · ${r.kind}`)),
      ledgerTable(r), DOPE.curve(r), levelsTable(r), facts,
      h("p", { class: "mut small" }, r.fee_source || "Fees are those of the fee table at your tier, or your own (Settings page). Transfers between venues cost what is set there as fixed costs; funding and slippage after the quote are not included."),
      h("p", { class: "mut small" }, "Monitoring tool. Verify both quotes before you trade."));
    $("inspector-body").scrollTop = scroll;
  }
  DOPE.signedPct = (v) => { const text = fmt.signed(v, 3); return text === fmt.UNKNOWN ? text : text + fmt.THIN + "%"; };
  DOPE.actions["copy-json"] = () => {
    const text = JSON.stringify(row, null, 2);
    if (navigator.clipboard) navigator.clipboard.writeText(text).then(() => DOPE.toast("Copied as JSON"), () => DOPE.toast("The browser refused the clipboard", "bad"));
  };
  DOPE.ready(() => {
    const copy = h("button", { type: "button", class: "chip", "data-act": "copy-json", "data-test": "copy-json" }, DOPE.icon("clipboard"), "JSON");
    $("inspector").querySelector(".x").before(copy);
    let last = 0;
    DOPE.on("opps", () => { const now = Date.now(); if (shown && now - last > 200 && !getSelection().toString()) { last = now; draw(); } });
  });
})();
