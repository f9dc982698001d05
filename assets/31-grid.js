/* The opportunities table: rows in and out by transaction, everything else in place; sorted anew once a second. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE;
  const HOT = ["buy_px", "sell_px", "gross_bps", "profit_pct", "net_bps", "size", "net", "net_at_order", "quote_age", "life", "state", "fees_bps", "peak_bps", "net_bps_at_order", "touch_net_bps", "skew_ms", "indicative_pct"];
  let api = null, shown = new Map();

  function getApi() {
    if (api && !api.isDestroyed()) return api;
    try { api = window.dash_ag_grid.getApi("opps-grid"); } catch (error) { api = null; }
    if (api) prepare();
    return api;
  }
  function prepare() {
    shown = new Map();
    api.applyColumnState({ state: [{ colId: "net_at_order", sort: "desc" }] });
    if (DOPE.view.columns) api.applyColumnState({ state: DOPE.view.columns.map(([colId, hide]) => ({ colId, hide })) });
    api.addEventListener("rowClicked", (event) => DOPE.inspect(event.data.id));
    api.addEventListener("cellKeyDown", (event) => { if (event.event.key === "Enter") DOPE.inspect(event.data.id); });
  }
  function wanted(row) {
    const v = DOPE.view;
    if (!DOPE.inView(row.base, row.kind)) return false;
    if (v.stale && row.state === "stale") return false;
    if (v.min !== null && !(row.net_bps >= v.min)) return false;
    if (v.max !== null && !(row.net_bps <= v.max)) return false;
    if (v.size !== null && !(row.size >= v.size)) return false;
    if (v.route && v.route !== `${row.buy}>${row.sell}`) return false;
    if (!v.text) return true;
    const text = [row.symbol, row.kind, row.state, DOPE.venueName(row.buy_venue), DOPE.venueName(row.sell_venue), DOPE.venueShort(row.buy_venue), DOPE.venueShort(row.sell_venue)].join(" ").toLowerCase();
    return v.text.toLowerCase().split(/\s+/).every((word) => text.includes(word));
  }
  /* What the grid changes is on the page when this returns: else it would be there a frame later, and each update would take two. */
  const atOnce = (change) => (window.ReactDOM && window.ReactDOM.flushSync ? window.ReactDOM.flushSync(change) : change());
  const lifeOf = (row) => (row.closed || row.state === "stale" ? row.life_s : Math.max(0, (DOPE.paused() ? DOPE.frozenAt() : DOPE.now()) - row.opened) / 1000);
  function derived(row) {
    return Object.assign({}, row, {
      key: String(row.id), profit_pct: typeof row.net_bps === "number" ? row.net_bps / 100 : null, life: Math.round(lifeOf(row) * 10) / 10,
      quote_age: Math.round(Math.max(row.buy_age_ms ?? 0, row.sell_age_ms ?? 0) / 10) * 10,
    });
  }
  function update() {
    const opps = DOPE.state.opps, grid = getApi();
    if (!grid || DOPE.page !== "live") return;
    const add = [], changed = [], remove = [], keep = new Set();
    for (const row of opps.values()) {
      if (!wanted(row)) continue;
      const fresh = derived(row);
      keep.add(fresh.key);
      const node = shown.has(fresh.key) && grid.getRowNode(fresh.key);
      if (!node) { add.push(fresh); continue; }
      const restyle = node.data.state !== fresh.state, moved = HOT.filter((name) => node.data[name] !== fresh[name]);
      if (node.data.comparable !== fresh.comparable) moved.push("state");
      Object.assign(node.data, fresh);
      if (restyle) grid.redrawRows({ rowNodes: [node] }); else if (moved.length) changed.push([node, moved]);
    }
    for (const key of shown.keys()) if (!keep.has(key)) remove.push({ key });
    shown = new Map([...keep].map((key) => [key, true]));
    atOnce(() => {
      if (add.length || remove.length) grid.applyTransaction({ add, remove });
      // a cell that is refreshed takes its classes anew even if nothing changed, and then the page reckons its style anew
      for (const [node, columns] of changed) grid.refreshCells({ rowNodes: [node], columns });
    });
    note();
  }
  function note() {
    const rows = [...DOPE.state.opps.values()], open = rows.filter((r) => r.state === "open" || r.state === "fading").length;
    const routes = (DOPE.state.matrix || []).reduce((n, m) => n + m.venues.length * (m.venues.length - 1), 0);
    DOPE.text("opps-note", `${fmt.number(open)} open · ${fmt.number(shown.size)} shown · ${fmt.number(routes)} routes watched`);
    empty(rows.length);
  }
  DOPE.visibleRows = () => shown.size;
  DOPE.on("display", () => {
    const grid = getApi();
    if (!grid) return;
    grid.setGridOption("rowHeight", DOPE.display.get("density") === "compact" ? 26 : 34);
    grid.resetRowHeights();
    grid.refreshCells({ force: true });
  });

  /* -- the empty state: why nothing pays, by the five nearest misses ----------------------------------------- */
  function empty(total) {
    const box = $("opps-empty"), misses = DOPE.state.misses;
    if (!box) return;
    box.hidden = shown.size > 0 || !DOPE.state.mode;
    if (!DOPE.state.mode) { box.hidden = false; return; }
    if (shown.size || box.contains(document.activeElement)) return;
    if (total) return DOPE.fill(box, blank("funnel", "No row passes the filters", `${fmt.number(total)} are hidden by them.`, [["Show everything", "reset-filters"]]));
    const live = [...DOPE.state.venues.values()].filter((v) => v.state === "live").length;
    const near = (misses || []).filter((m) => !DOPE.view.kind || m.kind === DOPE.view.kind);
    const table = near.length ? h("table", { class: "kv misses", "data-test": "misses" }, h("caption", {}, "Nearest misses at my order size"),
      h("tbody", {}, ...near.map((m) => h("tr", {}, h("td", {}, m.symbol), h("td", {}, `${DOPE.venueName(m.buy_venue)} → ${DOPE.venueName(m.sell_venue)}`),
        h("td", { class: "neg" }, fmt.bps(m.net_bps) + " bps"), h("td", { class: "mut" }, m.blocks))))) : null;
    const text = `${live} of ${DOPE.state.venues.size} venues are live. Most routes are negative after fees; one shows up here the moment it pays.`;
    DOPE.fill(box, blank("binoculars", "No opportunities now: that is normal", text, [["Show routes down to −5 bps", "lower"]], table));
  }
  const blank = (glyph, title, text, buttons, extra) => h("div", { class: "empty" }, DOPE.icon(glyph), h("h4", {}, title), h("p", {}, text), extra || null,
    h("div", { class: "row-end mid" }, ...buttons.map(([label, act]) => h("button", { type: "button", class: "btn2", "data-act": act, "data-test": act }, label))));
  DOPE.actions.lower = () => DOPE.ask("set", { min_net_bps: -5 }).then(() => DOPE.toast("Showing routes from −5 bps"), () => {});

  /* -- columns, steps ---------------------------------------------------------------------------------------- */
  DOPE.actions.columns = (b) => {
    const grid = getApi();
    if (!grid) return;
    DOPE.fill("columns-pop", h("h3", {}, "Columns"), ...grid.getColumns().map((col) => h("label", {}, h("input", {
      type: "checkbox", checked: col.isVisible(), "data-test": "column-" + col.getColId(),
      onchange: (event) => {
        grid.setColumnsVisible([col.getColId()], event.target.checked);
        DOPE.see({ columns: grid.getColumns().map((c) => [c.getColId(), !c.isVisible()]) });
      },
    }), col.getColDef().headerName)));
    DOPE.pop("columns-pop", b);
  };
  /* J, K move the selection; Enter (0) inspects it. */
  DOPE.step = function (by) {
    const grid = getApi();
    if (!grid || !grid.getDisplayedRowCount()) return;
    const chosen = grid.getSelectedNodes()[0], at = chosen ? chosen.rowIndex : by > 0 ? -1 : 0;
    const node = grid.getDisplayedRowAtIndex(Math.max(0, Math.min(grid.getDisplayedRowCount() - 1, at + by)));
    node.setSelected(true, true);
    grid.ensureNodeVisible(node);
    if (by === 0 || !$("inspector").hidden) DOPE.inspect(node.data.id);
  };
  DOPE.ready(() => {
    ["opps", "view", "page", "misses"].forEach((section) => DOPE.on(section, update));
    DOPE.on("second", () => { update(); if (getApi() && shown.size && !DOPE.paused()) atOnce(() => api.refreshClientSideRowModel("sort")); });
    const wait = setInterval(() => { if (getApi()) { clearInterval(wait); update(); } }, 100);
  });
})();
