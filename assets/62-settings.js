/* Settings: the trading figures of the program, the fees in force, and how this browser shows things. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE, display = DOPE.display;
  const SILENT_MS = 15000;
  /* name in `set` and in the mode section, label, unit, what it does, least, most; `open` = the least itself is not allowed */
  const FIGURES = [
    ["order_size", "Order size", "quote currency", "What one order is worth: matrix, costs and fills are for this size", 0, 1e9, true],
    ["min_net_bps", "Opens from", "bps net", "An opportunity opens when it pays this much after fees and depth", -1e4, 1e4],
    ["leave_net_bps", "Closes below", "bps net", "It closes when it pays less than this; never above the one that opens it", -1e4, 1e4],
    ["min_notional", "Least size", "quote currency", "What can be traded must be worth this much", 0, 1e9],
    ["transfer_cost", "Fixed costs", "quote currency", "What one opportunity costs besides fees: withdrawal, gas", 0, 1e9],
    ["buffer_bps", "Held back", "bps of the sale", "For what goes wrong between seeing and filling; part of the costs", 0, 1000],
  ];
  const WORDS = {
    zone: ["Time", "Clock, event tape, opportunities and the charts of Live and Predict; recordings and backtests stay in UTC", { utc: "UTC", local: "local" }],
    numbers: ["Numbers", "How thousands are divided; files always hold plain numbers", { thin: "91\u2009234.5", comma: "91,234.5", plain: "91234.5" }],
    colours: ["Pays and costs", "Figures, matrix and the two ends of the price chart; the sign says the same without colour", { "blue-orange": "blue, orange", "green-red": "green, red", "red-green": "red, green" }],
    density: ["Rows", "Height of table rows", { normal: "normal", compact: "compact" }],
    motion: ["Motion", "System = as the system is set; none = nothing moves by itself", { system: "system", still: "none" }],
    rate: ["Screen updates", "How often data are drawn; the stream, and what you click, are as fast as ever", { all: "all", 5: "5 a second", 2: "2 a second", 1: "1 a second" }],
  };
  const inputs = {}, pending = new Map();   // name → {value, at}

  /* -- trading figures ------------------------------------------------------------------------------------------- */
  function fault(name) {
    const [, label, , , low, high, open] = FIGURES.find((f) => f[0] === name), text = inputs[name].value.trim(), value = Number(text);
    if (text === "" || !Number.isFinite(value)) return `${label} must be a number`;
    if (value < low || value > high || (open && value === low)) return `${label} must be ${open ? "above" : "at least"} ${fmt.number(low)}, at most ${fmt.number(high)}`;
    if (name === "leave_net_bps" && !fault("min_net_bps") && value > Number(inputs.min_net_bps.value)) return "Closes below must not be above Opens from";
    return "";
  }
  const running = (name) => (DOPE.state.mode || {})[name];
  const changed = () => FIGURES.map((f) => f[0]).filter((name) => typeof running(name) === "number" && inputs[name].value.trim() !== String(running(name)));
  function figures() {
    if (!inputs.order_size || DOPE.page !== "settings") return;
    for (const [name, , unit] of FIGURES) {
      const now = running(name), wait = pending.get(name), box = inputs[name];
      if (wait && now === wait.value) pending.delete(name);
      if (typeof now === "number" && !box.dataset.dirty && document.activeElement !== box && box.value !== String(now)) box.value = String(now);
      const bad = box.dataset.dirty ? fault(name) : "";
      box.setAttribute("aria-invalid", String(Boolean(bad)));
      const late = wait && pending.has(name) && Date.now() - wait.at > SILENT_MS;
      DOPE.text("figure-" + name, bad || (pending.has(name) ? (late ? "▲ no answer yet" : "◌ asked for") : typeof now === "number" ? `running: ${fmt.quantity(now)} ${unit}` : "waiting for the first data"));
      $("figure-" + name).className = "why " + (bad ? "bad" : "");
    }
    const some = changed(), ok = some.length && !some.some(fault);
    $("figures-apply").disabled = !ok;
    $("figures-revert").disabled = !some.length;
  }
  async function apply() {
    const some = changed();
    if (!some.length || some.some(fault)) return figures();
    const args = Object.fromEntries(some.map((name) => [name, Number(inputs[name].value)]));
    for (const name of some) { pending.set(name, { value: args[name], at: Date.now() }); delete inputs[name].dataset.dirty; }
    figures();
    try {
      await DOPE.ask("set", args);
      if ("order_size" in args) try { localStorage.setItem("dope.order", String(args.order_size)); } catch (error) { /* private mode */ }
    } catch (error) { for (const name of some) { pending.delete(name); inputs[name].dataset.dirty = "1"; } }
    figures();
  }
  function revert() {
    for (const [name] of FIGURES) { delete inputs[name].dataset.dirty; if (typeof running(name) === "number") inputs[name].value = String(running(name)); }
    figures();
  }
  function figuresForm() {
    const fields = FIGURES.map(([name, label, unit, tip]) => {
      inputs[name] = h("input", { type: "number", step: "any", class: "inp", id: "set-" + name, "data-test": "set-" + name, "aria-describedby": "figure-" + name, autocomplete: "off" });
      inputs[name].addEventListener("input", () => { inputs[name].dataset.dirty = "1"; figures(); });
      return h("div", { class: "set-line" }, h("label", { for: "set-" + name, title: tip }, label, h("small", {}, tip)), h("span", { class: "set-value" }, h("span", { class: "with-unit" }, inputs[name], h("span", { class: "mut" }, unit)), h("span", { id: "figure-" + name, class: "why", role: "status" })));
    });
    const form = h("form", { class: "set-form", novalidate: true, "data-test": "figures-form" }, ...fields, h("div", { class: "act" },
      h("button", { type: "submit", class: "btn2 pri", id: "figures-apply", "data-test": "figures-apply", disabled: true }, "Apply"),
      h("button", { type: "button", class: "btn2", id: "figures-revert", "data-act": "figures-revert", "data-test": "figures-revert", disabled: true }, "Back to what runs")));
    form.addEventListener("submit", (event) => { event.preventDefault(); apply(); });
    DOPE.fill("figures-form", form);
  }

  /* -- fees ------------------------------------------------------------------------------------------------------ */
  const AGEING_DAYS = 90;
  const age = (date) => (date ? (DOPE.now() - Date.parse(date)) / 86400000 : 0);
  function tier(f) {
    const many = (f.tiers || []).length > 1;
    if (!many || f.tier === "your own") return h("span", {}, f.tier || "default");
    const list = h("select", { class: "inp", "aria-label": `Fee tier of ${DOPE.venueName(f.venue)}`, "data-test": `tier-${f.venue}` }, ...f.tiers.map((name) => h("option", { value: name, selected: name === f.tier }, name)));
    list.addEventListener("change", () => DOPE.ask("tier", { venue: f.venue, tier: list.value }).catch(() => { list.value = f.tier; }));
    return list;
  }
  /* As what a leg of this venue pays: the fee is another one, the price is not. */
  function role(f, leg) {
    const now = f[leg + "_as"] || "taker";
    const list = h("select", { class: "inp", "aria-label": `Fee of a leg that ${leg}s at ${DOPE.venueName(f.venue)}`, "data-test": `role-${leg}-${f.venue}`, disabled: DOPE.replaying() }, ...["taker", "maker"].map((name) => h("option", { value: name, selected: name === now }, name)));
    list.addEventListener("change", () => DOPE.ask("set", { roles: { [f.venue]: { [leg]: list.value } } }).catch(() => { list.value = now; }));
    return list;
  }
  let drawn = "";
  function fees(mode) {
    if (DOPE.page !== "settings") return;
    const rows = (mode || {}).fees || [], key = JSON.stringify(rows) + Boolean(mode) + DOPE.replaying();
    if (key === drawn && $("fees-rows") && $("fees-rows").childElementCount === rows.length) return;
    drawn = key;
    const bps = (v) => (typeof v === "number" ? `${fmt.number(v, 2)} bps` : fmt.UNKNOWN);
    DOPE.rows("fees", rows.map((f) => {
      const days = age(f.as_of), old = days > AGEING_DAYS, low = f.confidence === "low";
      const why = [old ? `looked up ${fmt.number(Math.round(days))} days ago` : "", low ? "no good source" : "", f.discount_pct ? `${fmt.number(f.discount_pct)} % let off` : ""].filter(Boolean).join(", ");
      return { key: `${f.venue}:${f.kind}`, cells: [[DOPE.venueName(f.venue), "", f.venue], [f.kind], [bps(f.taker_bps)], [bps(f.maker_bps)], role(f, "buy"), role(f, "sell"), [f.currency], tier(f),
        [f.as_of || fmt.UNKNOWN, old ? "warn" : "", why], [f.confidence || fmt.UNKNOWN, low ? "warn" : "", why], [f.source || fmt.UNKNOWN, "words"]] };
    }), mode ? "No fees are known." : "Waiting for the first data");
    const doubtful = rows.filter((f) => age(f.as_of) > AGEING_DAYS || f.confidence === "low").length;
    DOPE.text("fees-note", rows.length ? `your own by DOPE_FEES${doubtful ? ` · ${fmt.number(doubtful)} of ${fmt.number(rows.length)} old or without a good source` : ""}` : "");
  }

  /* -- display --------------------------------------------------------------------------------------------------- */
  function choice(name) {
    const [label, tip, words] = WORDS[name];
    return h("fieldset", { class: "set-line", "data-test": "choice-" + name }, h("legend", { title: tip }, label, h("small", {}, tip)), h("span", { class: "seg2" }, ...display.CHOICES[name].map((value) => {
      const radio = h("input", { type: "radio", name: "display-" + name, value, checked: display.get(name) === value, "data-test": `display-${name}-${value}` });
      radio.addEventListener("change", () => display.set({ [name]: value }));
      return h("label", {}, radio, h("span", {}, words[value]));
    })));
  }
  function said(text, bad) {
    DOPE.text("display-said", text);
    $("display-said").className = "why " + (bad ? "bad" : "");
  }
  async function load(input) {
    const file = input.files[0];
    input.value = "";
    if (!file) return;
    try {
      if (file.size > 65536) throw new Error("it is too long for a file of settings");
      display.read(await file.text());
      said(`Taken from ${file.name.slice(0, 60)}.`, false);
    } catch (error) { said(`Nothing was taken from ${file.name.slice(0, 60)}: ${error.message}.`, true); }
  }
  function displayForm() {
    const file = h("input", { type: "file", accept: ".json,application/json", class: "visually-hidden", "data-test": "display-import" });
    file.addEventListener("change", () => load(file));
    DOPE.fill("display-form", h("div", { class: "set-form" }, ...Object.keys(WORDS).map(choice), h("div", { class: "act" },
      h("button", { type: "button", class: "btn2", "data-act": "display-reset", "data-test": "display-reset" }, DOPE.icon("arrow-counterclockwise"), "Reset"),
      h("button", { type: "button", class: "btn2", "data-act": "display-export", "data-test": "display-export" }, DOPE.icon("download"), "Export"),
      h("label", { class: "btn2 file" }, DOPE.icon("upload"), "Import", file)), h("p", { id: "display-said", class: "why", role: "status", "data-test": "display-said" })));
  }
  function chosen() {
    for (const radio of document.querySelectorAll("#display-form input[type=radio]")) radio.checked = display.get(radio.name.slice(8)) === radio.value;
  }
  Object.assign(DOPE.actions, {
    "figures-revert": revert,
    "display-reset": () => { display.reset(); said("As it comes out of the box.", false); },
    "display-export": () => DOPE.save(display.text(), "application/json", "dope-display.json"),
    zone: () => display.set({ zone: display.get("zone") === "local" ? "utc" : "local" }),
  });
  DOPE.ready(() => {
    figuresForm();
    displayForm();
    DOPE.on("mode", (mode) => { figures(); fees(mode); });
    DOPE.on("second", figures);
    DOPE.on("page", () => { figures(); fees(DOPE.state.mode); });
    DOPE.on("display", () => { chosen(); figures(); fees(DOPE.state.mode); });
  });
})();
