/* Depth, what a person does with it: controls, pointer and keys, the table of venues, the ladder in numbers, states. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt, depth } = DOPE, { want, data, view } = depth;
  const FEW = 4, STATES = { LIVE: "●", STALE: "▲", SYNCING: "◌" };

  function pressed(id, value) {
    for (const b of ($(id) || { children: [] }).children) {
      const on = b.dataset.value === value;
      b.classList.toggle("on", on);
      b.setAttribute("aria-pressed", String(on));
    }
  }
  /* A few venues as buttons, many as a list. */
  function venues(symbol) {
    const holder = $("depth-venue-holder"), ids = depth.venues(symbol), options = [["", "Merged"], ...ids.map((id) => [id, DOPE.venueName(id)])];
    const key = JSON.stringify(options), value = ids.includes(want.venue) ? want.venue : "";
    if (holder.dataset.key !== key) {
      holder.dataset.key = key;
      if (options.length <= FEW + 1) {
        holder.className = "";
        DOPE.fill(holder, h("div", { id: "depth-venue", class: "seg", role: "group", "aria-label": "Venue" },
          options.map(([v, text]) => h("button", { type: "button", "data-act": "depth-venue", "data-value": v, "data-test": `depth-venue-${v || "all"}` }, text))));
      } else {
        const select = h("select", { id: "depth-venue", class: "sel", "aria-label": "Venue", "data-test": "depth-venue" }, options.map(([v, text]) => h("option", { value: v }, text)));
        select.addEventListener("change", () => depth.choose({ venue: select.value }));
        DOPE.fill(holder, select);
      }
    }
    const node = $("depth-venue");
    if (node.tagName === "SELECT") { if (node.value !== value) node.value = value; } else pressed("depth-venue", value);
  }
  const unit = () => (data.answer ? data.answer.base : "");
  const amount = (v) => (v === null || v === undefined ? fmt.UNKNOWN : v >= 1e4 ? fmt.count(v) : fmt.number(v, v >= 100 ? 1 : v >= 1 ? 2 : 4));
  function controls() {
    if (!$("depth-symbol")) return;
    const symbol = depth.symbol(), answer = data.answer;
    DOPE.options("depth-symbol", depth.symbols().map((s) => [s.symbol, s.symbol]), symbol);
    venues(symbol);
    pressed("depth-window", String(want.window));
    const steps = answer && answer.heatmap.steps.length ? answer.heatmap.steps : [null];
    DOPE.options("depth-step", [1, 2, 5, 10].map((f, i) => [String(f), `bucket ${steps[i] ? fmt.quantity(steps[i]) : "× " + f}`]), String(want.factor));
    const follow = $("depth-follow");
    follow.classList.toggle("on", view.follow);
    follow.setAttribute("aria-pressed", String(view.follow));
    DOPE.text("depth-contrast-now", want.unit === "%" ? `${want.low}–${want.high} %` : `${fmt.quantity(want.low)}–${fmt.quantity(want.high)} ${unit()}`);
    const toggle = $("depth-table-toggle");
    toggle.classList.toggle("on", want.table);
    toggle.setAttribute("aria-pressed", String(want.table));
    $("depth-ladder").classList.toggle("visually-hidden", !want.table);
    $("depth-bars-wrap").hidden = want.table;
    if (order && document.activeElement !== order) order.value = String(want.order || (answer && answer.order_size) || (DOPE.state.mode || {}).order_size || "");
  }

  /* -- what it says beside the picture ------------------------------------------------------------------------ */
  function states() {
    const empty = $("depth-empty"), trouble = $("depth-trouble"), answer = data.answer;
    if (!empty) return;
    trouble.hidden = !data.trouble;
    if (data.trouble) DOPE.text("depth-trouble", `Depth cannot be read${answer ? ", what is shown is old" : ""}: ${data.trouble}`);
    const mine = answer && answer.symbol === depth.symbol(), shown = mine && data.points.length > 0;
    empty.hidden = Boolean(shown);
    if (!shown && mine) {
      const live = answer.venues.filter((v) => v.used).length;
      const why = live ? "The first second of depth is being collected." : "No book of this market is live now: nothing is shown rather than something old.";
      if (!empty.querySelector(".why")) DOPE.fill(empty, h("div", { class: "why" }, h("h3", {}, "Nothing to show yet"), h("p", { class: "mut", "data-test": "depth-why" })));
      empty.querySelector("p").textContent = why;
    }
    const last = shown ? data.points[data.points.length - 1].t : 0, age = shown ? Math.max(Date.now() - data.at, answer.t - last - answer.heatmap.every_s * 1000) : 0;
    const old = shown && !DOPE.paused() && age > depth.STALE_MS;
    $("depth-wrap").classList.toggle("old", old);
    $("depth-stale").hidden = !old;
    if (old) DOPE.text("depth-stale", `▲ newest row is ${fmt.age(age / 1000)} old: ${Date.now() - data.at > depth.STALE_MS ? "no answer" : "no live book"}`);
    if (!mine) return;
    DOPE.text("depth-heat-note", `${answer.symbol} ${answer.kind} · ${answer.venue ? DOPE.venueName(answer.venue) : "all venues merged"} · dots = trades`);
    DOPE.text("depth-book-note", `${answer.base} per ${answer.buckets.step ? fmt.quantity(answer.buckets.step) : "bucket"} · mid ${fmt.price(answer.mid, depth.tick())}`);
    DOPE.text("depth-venues-note", `what your size really costs, in bps of the mid, fee included · ${answer.quote}`);
  }
  const arrow = (v) => (v === null || v === undefined ? [fmt.UNKNOWN, "off"] : [`${v > 0.005 ? "▲ " : v < -0.005 ? "▼ " : ""}${fmt.signed(v * 100, 0)}${fmt.THIN || "\u2009"}%`, v > 0.005 ? "pos" : v < -0.005 ? "neg" : ""]);
  const cost = (v, filled, used) => (v !== null ? [fmt.number(v, 2)] : [fmt.UNKNOWN, "off", used ? `The known levels hold ${fmt.percent(filled * 100, 0)} of it` : ""]);
  function table() {
    const answer = data.answer;
    if (!answer || answer.symbol !== depth.symbol()) return;
    const cheap = (name) => Math.min(...answer.venues.map((v) => v[name]).filter((v) => v !== null));
    const [buy, sell] = [cheap("buy_bps"), cheap("sell_bps")];
    const best = (cell, is) => (is ? [cell[0], "pos", "The cheapest"] : cell);
    DOPE.rows("depth-costs", answer.venues.map((v) => ({ key: v.venue, css: v.used ? "" : "dim", cells: [
      [v.label], [v.bid_depth === null ? fmt.UNKNOWN : `${v.whole ? "" : "≥ "}${amount(v.bid_depth)} ${answer.base}`, v.used ? "" : "off"],
      [v.ask_depth === null ? fmt.UNKNOWN : `${v.whole ? "" : "≥ "}${amount(v.ask_depth)} ${answer.base}`, v.used ? "" : "off"],
      arrow(v.imbalance), [fmt.number(v.fee_bps, 1), "off"],
      best(cost(v.buy_bps, v.buy_filled, v.used), v.buy_bps !== null && v.buy_bps === buy), best(cost(v.sell_bps, v.sell_filled, v.used), v.sell_bps !== null && v.sell_bps === sell),
      [v.used ? `● ${fmt.ageMs(v.age_ms)}` : `${STATES[v.state] || "■"} ${v.state.toLowerCase()}`, v.used ? "off" : "warn", v.reason],
    ] })), "No venue has this market.");
    const rows = [...answer.buckets.asks.slice(0, 25).reverse().map((r) => [...r, "ask"]), ...answer.buckets.bids.slice(0, 25).map((r) => [...r, "bid"])];
    const tick = answer.buckets.step || 0;
    DOPE.rows("depth-ladder", rows.map(([price, size, count, side]) => ({ key: side + price, cells: [[fmt.price(price, tick)], [side, side === "bid" ? "pos" : "neg"], [amount(size)], [fmt.number(count)]] })),
      "No book is live.");
  }

  /* -- pointer and keys ---------------------------------------------------------------------------------------- */
  let dragged = null, order = null;
  function tip(event) {
    const box = $("depth-canvas").getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top, node = $("depth-tip");
    if (dragged) {
      const p = depth.pixels();
      depth.move((dragged.x - x) * p.s, (y - dragged.y) * p.b);
      dragged = { x, y };
    }
    const found = depth.under(x, y);
    view.cursor = found ? { x, y } : null;
    node.hidden = !found || Boolean(dragged);
    if (found) {
      const tick = depth.tick();
      DOPE.fill(node, h("b", {}, fmt.clock(found.t)), h("span", {}, `${fmt.price(found.price, tick || found.step)} … ${fmt.price(found.price + found.step, tick || found.step)}`),
        h("span", {}, found.size === null ? "no live book then" : `${amount(found.size)} ${unit()}`), found.point ? h("span", { class: "mut" }, `mid ${fmt.price(found.point.mid, tick)}`) : null);
      const wrap = $("depth-heat").getBoundingClientRect(), left = event.clientX - wrap.left;
      Object.assign(node.style, { left: (left + 190 > wrap.width ? left - node.offsetWidth - 14 : left + 14) + "px", top: event.clientY - wrap.top + 14 + "px" });
    }
    DOPE.touch("depth");
  }
  function leave() { view.cursor = dragged = null; $("depth-tip").hidden = true; DOPE.touch("depth"); }
  function follow() { Object.assign(view, { follow: true, seen: 1 }); data.fresh = true; DOPE.touch("depth"); }
  function zoom(by) { view.seen = Math.max(0.1, Math.min(2.3, view.seen * by)); DOPE.touch("depth"); }
  const KEYS = {
    ArrowLeft: () => depth.move(-want.window / 20, 0), ArrowRight: () => depth.move(want.window / 20, 0), ArrowUp: () => depth.move(0, 5 / want.factor), ArrowDown: () => depth.move(0, -5 / want.factor),
    "+": () => zoom(0.8), "=": () => zoom(0.8), "-": () => zoom(1.25), 0: follow, Home: follow,
  };
  function span(by) {
    const all = [60, 300, 1800];
    depth.choose({ window: all[Math.max(0, Math.min(2, all.indexOf(want.window) + by))] });
  }

  /* -- contrast ------------------------------------------------------------------------------------------------- */
  function contrast() {
    const node = $("depth-pop");
    const line = (name, label) => {
      const shown = h("b", {}, String(want[name])), peak = want.unit === "%" ? 100 : Math.max(...data.points.flatMap((p) => [...p.sizes]), 1e-9);
      const input = h("input", { type: "range", min: "0", max: String(peak), step: want.unit === "%" ? "1" : String(peak / 100), value: String(want[name]), "aria-label": `${label} cut-off`, "data-test": `depth-${name}` });
      input.addEventListener("input", () => {
        const value = Number(input.value), other = name === "low" ? want.high : want.low, gap = peak / 100;
        depth.choose({ [name]: name === "low" ? Math.min(value, other - gap) : Math.max(value, other + gap) });
        shown.textContent = want.unit === "%" ? `${want[name]} %` : amount(want[name]);
      });
      return h("div", { class: "line" }, h("span", { class: "mut" }, label), input, shown);
    };
    const radio = (group, value, text, act) => h("label", {}, h("input", { type: "radio", name: "depth-" + group, checked: want[group] === value, "data-test": `depth-${group}-${value}`, onchange: act }), text);
    const swap = (value) => () => { depth.choose({ unit: value, low: 0, high: value === "%" ? 99 : depth.cutoffs()[1] }); contrast(); };
    DOPE.fill(node, h("h3", {}, "Contrast"), line("low", "dark below"), line("high", "bright from"),
      h("div", { class: "line" }, h("span", { class: "mut" }, "counted in"), radio("unit", "%", "% of buckets", swap("%")), radio("unit", "size", "size", swap("size"))),
      h("h3", {}, "Colours"), h("div", { class: "scale", style: { background: depth.gradient(want.map) } }),
      h("div", { class: "line" }, h("span"), radio("map", "default", "colour", () => { depth.choose({ map: "default" }); contrast(); }), radio("map", "grey", "grey", () => { depth.choose({ map: "grey" }); contrast(); })));
  }

  function all() { controls(); states(); table(); depth.draw(); }
  DOPE.ready(() => {
    const canvas = $("depth-canvas");
    if (!canvas) return;
    order = h("input", { type: "number", min: "1", step: "any", "aria-label": "My order size", "data-test": "depth-order", style: { width: "72px" }, autocomplete: "off" });
    order.addEventListener("change", () => {
      const value = Number(order.value);
      if (!(value > 0)) { DOPE.toast("Order size must be above 0", "bad"); return controls(); }
      depth.choose({ order: value });
    });
    DOPE.fill("depth-order-holder", h("label", { class: "chip field", title: "Only for this table; Live has the one that counts" }, "order size", order, "$"));
    $("depth-symbol").addEventListener("change", () => depth.choose({ symbol: $("depth-symbol").value }));
    $("depth-step").addEventListener("change", () => { data.fresh = true; depth.choose({ factor: Number($("depth-step").value) }); });
    canvas.addEventListener("pointermove", tip);
    canvas.addEventListener("pointerleave", leave);
    canvas.addEventListener("pointerdown", (event) => { const box = canvas.getBoundingClientRect(); dragged = { x: event.clientX - box.left, y: event.clientY - box.top }; canvas.setPointerCapture(event.pointerId); });
    canvas.addEventListener("pointerup", () => { dragged = null; });
    canvas.addEventListener("dblclick", follow);
    canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoom(event.deltaY < 0 ? 0.87 : 1.15); }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const act = KEYS[event.key];
      if (act && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); event.stopPropagation(); act(); DOPE.touch("depth"); }
    });
    document.addEventListener("keydown", (event) => {
      if (DOPE.page !== "depth" || event.target.closest("input, textarea, select, dialog")) return;
      if (event.key === "[" || event.key === "]") span(event.key === "[" ? -1 : 1);
    });
    new ResizeObserver(() => depth.draw()).observe($("depth-wrap"));
    ["page", "second", "view"].forEach((section) => DOPE.on(section, () => { if (DOPE.page === "depth") { depth.load(); all(); } }));
    DOPE.on("depth", all);
    let known = 0;
    DOPE.on("instruments", () => { if (DOPE.page === "depth" && DOPE.state.instruments.size !== known) { known = DOPE.state.instruments.size; depth.load(); controls(); } });
    if (document.fonts) document.fonts.ready.then(() => depth.draw());
  });
  Object.assign(DOPE.actions, {
    "depth-window": (b) => depth.choose({ window: Number(b.dataset.value) }),
    "depth-venue": (b) => depth.choose({ venue: b.dataset.value }),
    "depth-follow": () => { if (view.follow) { view.follow = false; DOPE.touch("depth"); } else follow(); },
    "depth-contrast": (b) => { contrast(); DOPE.pop("depth-pop", b); },
    "depth-table": () => depth.choose({ table: !want.table }),
  });
})();
