/* What the user chose to see: asset, kind, filters, sizes. Kept in localStorage, carried by a link, shared by all blocks. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $ } = DOPE;
  const STORE = "dope.view", DEFAULTS = { asset: "", kind: "", min: null, max: null, size: null, stale: true, text: "", route: "", columns: null, matrix: "net", chart: "dev", span: 240, marks: "jump", tape: null, pair: "", venue: "", tab: "", legs: "", hours: 1,
    lead_asset: "", lead_venues: "", lead_window: "300", lead_series: "quotes", lead_clock: "receipt", lead_grid: "fine", lead_only: "", lead_shares: "" };
  const NUMBERS = ["min", "max", "size", "span", "hours"], LONG = { legs: 170, lead_venues: 240 };
  const OWN = { spreads: ["tab", "legs", "hours"], leadlag: Object.keys(DEFAULTS).filter((name) => name.startsWith("lead_")) };   // in links to that page alone
  const here = (name) => Object.entries(OWN).every(([page, names]) => page === DOPE.page || !names.includes(name));
  const LINKED = ["asset", "kind", "min", "max", "size", "text", "matrix", "chart", "span", "marks", "venue", ...Object.values(OWN).flat()];
  const view = (DOPE.view = Object.assign({}, DEFAULTS));

  function load() {
    try {
      const kept = JSON.parse(localStorage.getItem(STORE) || "{}");
      for (const name of Object.keys(DEFAULTS)) if (Object.hasOwn(kept, name)) view[name] = kept[name];   // nothing else: "__proto__" is a name too
    } catch (error) { /* private mode: the defaults do */ }
    view.text = view.route = "";
    const asked = new URLSearchParams(location.search);
    for (const name of LINKED) if (asked.has(name)) {
      const value = asked.get(name).slice(0, LONG[name] || 40);
      view[name] = NUMBERS.includes(name) ? (value !== "" && Number.isFinite(Number(value)) ? Number(value) : DEFAULTS[name]) : value;
    }
  }
  DOPE.see = function (changes) {
    Object.assign(view, changes);
    try { localStorage.setItem(STORE, JSON.stringify(Object.assign({}, view, { text: "", route: "" }))); } catch (error) { /* as above */ }
    draw();
    DOPE.touch("view");
  };
  DOPE.link_to_view = function () {
    const query = new URLSearchParams();
    for (const name of LINKED) if (view[name] !== DEFAULTS[name] && view[name] !== null && here(name)) query.set(name, view[name]);
    const text = query.toString();
    return location.origin + location.pathname + (text ? "?" + text : "");
  };
  /* Does something of this base and kind belong to the view? */
  DOPE.inView = (base, kind) => (!view.asset || view.asset.split(",").includes(base)) && (!view.kind || view.kind === kind);

  function bases() {
    return [...new Set([...DOPE.state.instruments.values()].map((i) => i.base))];
  }
  function kinds() {
    return [...new Set([...DOPE.state.instruments.values()].map((i) => i.kind))];
  }
  function segment(id, act, options, chosen) {
    const holder = $(id);
    if (!holder) return;
    const same = [...holder.children].map((b) => b.dataset.value).join() === options.map((o) => o[0]).join();
    if (!same) DOPE.fill(holder, ...options.map(([value, text]) => h("button", { type: "button", "data-act": act, "data-value": value, "data-test": `${act}-${value || "all"}` }, text)));
    for (const b of holder.children) {
      const on = chosen(b.dataset.value);
      b.classList.toggle("on", on);
      b.setAttribute("aria-pressed", String(on));
    }
  }
  function draw() {
    const assets = view.asset ? view.asset.split(",") : [];
    segment("assets", "asset", [["", "All"], ...bases().map((b) => [b, b])], (v) => (v ? assets.includes(v) : !assets.length));
    segment("kinds", "kind", [["", "All kinds"], ...kinds().map((k) => [k, k])], (v) => v === view.kind);
    for (const name of ["matrix-mode", "chart-mode", "chart-span"]) {
      const value = String({ "matrix-mode": view.matrix, "chart-mode": view.chart, "chart-span": view.span }[name]);
      for (const b of ($(name) || { children: [] }).children) {
        b.classList.toggle("on", b.dataset.value === value);
        b.setAttribute("aria-pressed", String(b.dataset.value === value));
      }
    }
    const stale = document.querySelector('[data-act="hide-stale"]');
    if (stale) { stale.classList.toggle("on", view.stale); stale.setAttribute("aria-pressed", String(view.stale)); }
    const filters = document.querySelector('[data-act="filters"]');
    if (filters) filters.classList.toggle("on", view.max !== null || view.size !== null);
    if (input.min) for (const name of Object.keys(input)) {
      if (document.activeElement !== input[name]) input[name].value = name === "order" ? String((DOPE.state.mode || {}).order_size ?? "") : view[name] ?? "";
    }
  }

  const input = {};
  function field(name, label, unit, width, test) {
    input[name] = h("input", { type: name === "text" ? "search" : "number", step: "any", "aria-label": label, "data-test": test, style: { width }, placeholder: name === "text" ? "F" : "any", autocomplete: "off" });
    input[name].addEventListener(name === "order" ? "change" : "input", () => changed(name));
    return h("label", { class: "chip field", title: label }, name === "text" ? DOPE.icon("funnel") : label, input[name], unit);
  }
  function changed(name) {
    const raw = input[name].value.trim(), value = raw === "" ? null : Number(raw);
    if (name === "text") return DOPE.see({ text: raw.slice(0, 60) });
    if (value !== null && !Number.isFinite(value)) return;
    if (name !== "order") return DOPE.see({ [name]: value });
    DOPE.orderSize(raw);
  }
  /* One order size for all: what net, fills and costs are reckoned for. */
  DOPE.orderSize = function (raw) {
    const value = String(raw).trim() === "" ? null : Number(raw);
    if (value === null || !Number.isFinite(value) || value <= 0) { DOPE.toast("Order size must be above 0", "bad"); return draw(); }
    try { localStorage.setItem("dope.order", String(value)); } catch (error) { /* private mode */ }
    DOPE.ask("set", { order_size: value }).then(() => DOPE.toast(`Order size ${DOPE.fmt.size(value)}`), () => {});
  };
  DOPE.ready(() => {
    load();
    DOPE.fill("grid-controls", field("min", "net ≥", "bps", "44px", "min-net"), field("order", "my size", "$", "58px", "order-size"), field("text", "Quick filter (F)", "", "64px", "quick-filter"));
    DOPE.fill("filters-pop", h("h3", {}, "Filters"), field("max", "net ≤", "bps", "70px", "max-net"), field("size", "executable size ≥", "$", "70px", "min-size"),
      h("button", { type: "button", class: "btn2", "data-act": "reset-filters", "data-test": "reset-filters" }, "Show everything"));
    draw();
    let known = "";
    DOPE.on("instruments", () => {
      const now = bases().join() + kinds().join();
      if (now !== known) { known = now; draw(); }
    });
    let size = null;
    DOPE.on("mode", (mode) => {   // it comes ten times a second and seldom says something new; what was refused does not stay in the box
      const now = String((mode || {}).order_size ?? ""), box = input.order;
      if (now !== size || (box && document.activeElement !== box && box.value !== now)) { size = now; draw(); }
    });
    let asked = false;
    DOPE.on("mode", (mode) => {   // this browser's own order size, once per visit
      if (DOPE.replaying()) return;
      let own = null;
      try { own = Number(localStorage.getItem("dope.order")); } catch (error) { /* private mode */ }
      if (!asked && mode && own > 0 && own !== mode.order_size) DOPE.ask("set", { order_size: own }).catch(() => {});
      asked = asked || Boolean(mode);
    });
  });

  Object.assign(DOPE.actions, {
    asset: (b, event) => {
      const now = view.asset ? view.asset.split(",") : [], value = b.dataset.value;
      if (!value) return DOPE.see({ asset: "", route: "" });
      if (!(event.ctrlKey || event.metaKey)) return DOPE.see({ asset: value, route: "" });
      const next = now.includes(value) ? now.filter((x) => x !== value) : [...now, value];
      DOPE.see({ asset: next.join(","), route: "" });
    },
    kind: (b) => DOPE.see({ kind: b.dataset.value, route: "" }),
    "hide-stale": () => DOPE.see({ stale: !view.stale }),
    "matrix-mode": (b) => DOPE.see({ matrix: b.dataset.value }),
    "chart-mode": (b) => DOPE.see({ chart: b.dataset.value }),
    "chart-span": (b) => DOPE.see({ span: Number(b.dataset.value) }),
    "reset-filters": () => { DOPE.see({ asset: "", kind: "", min: null, max: null, size: null, text: "", route: "", stale: false }); },
    link: () => {
      const text = DOPE.link_to_view();
      const done = () => DOPE.toast("Link to this view copied");
      if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, () => DOPE.toast(text));
      else DOPE.toast(text);
    },
    filters: (b) => DOPE.pop("filters-pop", b),
  });
})();
