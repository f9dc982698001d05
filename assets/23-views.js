/* Saved views: what is chosen on this page under a name, kept by the server; a list to apply or delete them. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $ } = DOPE;
  const KEPT = {
    live: ["asset", "kind", "min", "max", "size", "stale", "matrix", "chart", "span", "marks"],
    leadlag: ["lead_asset", "lead_venues", "lead_window", "lead_series", "lead_clock", "lead_grid", "lead_only", "lead_shares"],
  };
  const POPS = { live: "views-pop", leadlag: "lead-views-pop" }, NUMBERS = ["min", "max", "size", "span"];
  const page = () => (DOPE.page in KEPT ? DOPE.page : "live");
  const parts = {};   // page → its field for a name, and its list: only that is drawn again, or a click on what goes would be lost
  let views = [], state = "loading", asked = 0;

  async function call(method, title, body) {
    const path = "/api/v1/views" + (title === undefined ? "" : `/${page()}/${encodeURIComponent(title)}`);
    const options = { method, credentials: "same-origin", headers: body ? { "Content-Type": "application/json" } : {} };
    if (body) options.body = JSON.stringify(body);
    let text = "the server does not answer";
    try {
      const answer = await fetch(path, options);
      if (answer.ok) return answer.status === 204 ? null : await answer.json();
      const told = await answer.json().catch(() => ({}));
      text = told.error ? [told.error, told.hint].filter(Boolean).join("; ") : `the server refused (${answer.status})`;
    } catch (error) { /* text already says it */ }
    throw new Error(text);
  }
  async function load() {
    const mine = ++asked;
    let found = [], trouble = "";
    try {
      found = (await call("GET")).filter((view) => view.page === page());
    } catch (error) { trouble = `Saved views cannot be read: ${error.message}`; }
    if (mine !== asked) return;   // a later question will be answered with what is true by then
    [views, state] = [found, trouble];
    draw();
  }
  async function change(title, work, done) {
    try {
      await work();
      DOPE.toast(`${done} “${title}”`);
    } catch (error) { DOPE.toast(error.message, "bad"); }
    await load();
  }
  function row(view) {
    return h("div", { class: "view-row", "data-test": "view-row" },
      h("button", { type: "button", class: "btn2", "data-act": "view-apply", "data-value": view.name, "data-test": "view-apply", title: `Saved ${view.saved}` }, view.name),
      h("button", { type: "button", class: "ib", "data-act": "view-delete", "data-value": view.name, "data-test": "view-delete", "aria-label": `Delete view ${view.name}` }, DOPE.icon("trash")));
  }
  function draw() {
    const at = page();
    if (!$(POPS[at])) return;
    if (!parts[at]) {
      const name = h("input", { type: "text", maxlength: "64", "aria-label": "Name of the view", placeholder: "name", "data-test": "view-name", autocomplete: "off" });
      parts[at] = { name, list: h("div", {}) };
      DOPE.fill(POPS[at], h("h3", {}, "Saved views"), parts[at].list,
        h("div", { class: "view-row" }, name, h("button", { type: "button", class: "btn2", "data-act": "view-save", "data-test": "view-save" }, "Save what is chosen")));
    }
    const told = state === "loading" ? "Loading…" : state || (views.length ? "" : "None saved yet.");
    parts[at].list.replaceChildren(...(told ? [h("p", { class: "mut" }, told)] : views.map(row)));
  }

  Object.assign(DOPE.actions, {
    views: (b) => { draw(); DOPE.pop(POPS[page()], b); if (!$(POPS[page()]).hidden) load(); },
    "view-save": () => {
      const { name } = parts[page()], title = name.value.trim();
      if (!title) { DOPE.toast("A view needs a name", "bad"); return; }
      const kept = Object.fromEntries(KEPT[page()].map((key) => [key, DOPE.view[key]]));
      change(title, () => call("PUT", title, { state: kept }), "Saved").then(() => { name.value = ""; });
    },
    "view-apply": (b) => {
      const view = views.find((each) => each.name === b.dataset.value);
      if (!view) return;
      const kept = page() === "live" ? { text: "", route: "" } : {};
      for (const key of KEPT[page()]) if (key in view.state) {   // whoever saved it: only what this page can show
        const value = view.state[key];
        kept[key] = key === "stale" ? Boolean(value) : NUMBERS.includes(key) ? (Number.isFinite(value) ? value : null) : String(value ?? "").slice(0, 200);
      }
      if (kept.span === null) delete kept.span;
      DOPE.see(kept);
      DOPE.toast(`View “${view.name}”`);
    },
    "view-delete": (b) => change(b.dataset.value, () => call("DELETE", b.dataset.value), "Deleted"),
  });
})();
