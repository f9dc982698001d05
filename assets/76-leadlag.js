/* Lead-lag: asks the API while somebody looks; matrix, evidence and clocks. The drawings are in 77-leadlag-chart.js. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE;
  const FRESH_MS = 2000, CLOCKS_MS = 6000, JUMPS_NEEDED = 20, USUAL = { window: "300", series: "quotes", clock: "receipt", grid: "fine" }, NAMES = Object.keys(USUAL);
  let read = 0, clocked = 0, asking = false, only = false, shares = false, asked = "", chip = null;
  const lead = (DOPE.lead = { shown: null, name: (key) => key });

  const markets = () => [...DOPE.state.instruments.values()].filter((i) => i.kind !== "reference");
  const asset = () => DOPE.view.lead_asset || String(DOPE.view.asset || "").split(",")[0] || "BTC";
  const chosen = () => String(DOPE.view.lead_venues || "").split(",").filter(Boolean);
  /* What is asked: the controls as they stand in the view; a link may say what no control can. */
  function wish() {
    const query = new URLSearchParams({ symbol: asset(), discovery: String(shares) });
    for (const name of NAMES) {
      const options = [...$("lead-" + name).options].map((o) => o.value), value = String(DOPE.view["lead_" + name]);
      query.set(name, options.includes(value) ? value : USUAL[name]);
    }
    chosen().forEach((venue) => query.append("venue", venue));
    return query;
  }

  const ms = (v) => (v === null || v === undefined ? fmt.UNKNOWN : fmt.signed(v, Math.abs(v) < 10 && v % 1 ? 1 : 0));
  const pairOf = (told, a, b) => told.pairs.find((p) => (p.x === a && p.y === b) || (p.x === b && p.y === a));
  const scoreOf = (told, a, b) => told.jumps.find((s) => s.leader === a && s.follower === b);
  /* A pair as its first market sees it: lags turned round where it is the second one of the answer. */
  function turned(p, first) {
    const way = p.x === first ? 1 : -1, turn = (v) => (v === null || v === undefined ? v : way * v || 0);
    const low = way > 0 ? p.low_ms : turn(p.high_ms), high = way > 0 ? p.high_ms : turn(p.low_ms);
    return { ...p, way, lag: turn(p.lag_ms), low, high, llr: way > 0 || !p.llr ? p.llr : 1 / p.llr, first, second: way > 0 ? p.y : p.x,
      n_first: way > 0 ? p.n_x : p.n_y, n_second: way > 0 ? p.n_y : p.n_x, top: p.top_ms.map(([a, b]) => (way > 0 ? [a, b] : [turn(b), turn(a)])) };
  }
  const few = (p) => `n = ${fmt.number(Math.min(p.n_x, p.n_y))}, needs ${fmt.number(200)}`;
  const jumped = (s) => (!s || !(s.n + s.simultaneous + s.unresolved) ? "" : s.n < JUMPS_NEEDED ? `jumps: n = ${fmt.number(s.n)}, needs ${fmt.number(JUMPS_NEEDED)}`
    : `jumps: ${fmt.number(s.led)} of ${fmt.number(s.n)} first, ${ms(s.lag_ms)} ms, p ${s.p < 0.001 ? "< 0.001" : fmt.number(s.p, 3)}`);
  const SAYS = { leads: ["● leads", "pos"], "not resolved": ["◐ not resolved", "off"], "not related": ["○ not related", "off"], "too few": ["◌ too few", "off"] };

  function cell(told, row, column) {
    if (row === column) return h("td", { class: "self", "aria-label": "itself" }, "╲");
    const pair = pairOf(told, row, column), score = scoreOf(told, row, column);
    if (!pair) return h("td", { class: "off" }, fmt.UNKNOWN);
    const p = turned(pair, row), leads = p.leader === row, follows = p.leader === column;
    const said = leads || follows ? [h("b", {}, `${ms(p.lag)} ms`), h("small", {}, `z ${fmt.number(p.z, 1)} · n ${fmt.number(Math.min(p.n_x, p.n_y))}`)]
      : only ? [fmt.UNKNOWN] : [h("span", {}, p.state === "too few" ? few(p) : p.state === "not resolved" ? `${ms(p.lag)} ms ?` : p.state)];
    const jumps = jumped(score);
    if (jumps && !(only && score.verdict !== "leads")) said.push(h("small", { class: score.verdict === "leads" ? "pos" : "off" }, jumps));
    const title = `${lead.name(row)} ${leads ? "leads" : follows ? "follows" : "against"} ${lead.name(column)}. ${p.why || `Sub-windows ${ms(p.low)} … ${ms(p.high)} ms`}`;
    return h("td", { class: leads ? "leads" : follows ? "follows" : "off", title, "data-pair": `${row} ${column}` }, ...said);
  }
  function matrix(told) {
    const keys = told.markets.map((m) => m.key), holder = $("leadlag-matrix");
    if (keys.length < 2) {
      DOPE.fill(holder, h("p", { class: "hint" }, !told.at ? "Nothing is reckoned yet: the engine is still starting."
        : `${keys.length ? "Only one market" : "No market"} of ${told.symbol} has prices in this window. Lead and lag need two.`));
      return;
    }
    const head = h("tr", {}, h("th", { scope: "col" }, "leads ↓ whom →"), ...keys.map((key) => h("th", { scope: "col", title: key }, lead.name(key))));
    const rows = keys.map((row) => h("tr", {}, h("th", { scope: "row", title: row }, lead.name(row)), ...keys.map((column) => cell(told, row, column))));
    const now = h("table", { class: "leadmatrix", "aria-label": "Lag of each row's market ahead of each column's, ms" }, h("thead", {}, head), h("tbody", {}, ...rows));
    if (!holder.firstElementChild || !holder.firstElementChild.isEqualNode(now)) holder.replaceChildren(now);
  }
  const by = (p, clock) => { const c = p.clocks[clock]; return !c || c.state === "too few" ? [fmt.UNKNOWN, "off", c ? "too few changes or stamps" : ""] : [ms(c.lag_ms * p.way || 0), c.state === "leads" ? "" : "off", c.state]; };
  function evidence(told) {
    const rank = { leads: 0, "not resolved": 1, "not related": 2, "too few": 3 };
    const rows = told.pairs.map((pair) => turned(pair, pair.leader || (pair.lag_ms < 0 ? pair.y : pair.x))).filter((p) => !only || p.state === "leads");
    rows.sort((a, b) => rank[a.state] - rank[b.state] || (b.z || 0) - (a.z || 0) || a.first.localeCompare(b.first));
    DOPE.rows("evidence", rows.map((p) => {
      const share = told.shares.find((s) => s.x === p.x && s.y === p.y), grey = p.state === "too few" ? "off" : "", score = scoreOf(told, p.first, p.second);
      const bounds = share && share.low !== null ? (p.way > 0 ? [share.low, share.high] : [1 - share.high, 1 - share.low]) : null;
      return { key: [p.x, p.y].join(" "), cells: [
        [`${lead.name(p.first)} ${p.state === "leads" ? "→" : "·"} ${lead.name(p.second)}`, "left", `${p.first} ${p.second}`], [SAYS[p.state][0], `left ${SAYS[p.state][1]}`, p.why], [ms(p.lag), grey],
        [p.low === null ? fmt.UNKNOWN : `${ms(p.low)} … ${ms(p.high)}`, grey], [p.top.slice(0, 3).map(([a, b]) => (a === b ? ms(a) : `${ms(a)} … ${ms(b)}`)).join(", ") || fmt.UNKNOWN, grey],
        [fmt.number(p.contrast, 2), grey], [fmt.number(p.llr, 2), grey], [fmt.number(p.z, 1), p.state === "leads" ? "" : "off"], [`${fmt.number(p.n_first)} · ${fmt.number(p.n_second)}`, grey, p.state === "too few" ? few(p) : ""],
        by(p, "receipt"), by(p, "exchange"), by(p, "corrected"), [jumped(score).replace("jumps: ", "") || fmt.UNKNOWN, score && score.verdict === "leads" ? "pos" : "off"],
        !shares ? ["not asked for", "off"] : bounds ? [`${fmt.number(bounds[0], 2)} … ${fmt.number(bounds[1], 2)}`] : [share ? share.why : fmt.UNKNOWN, "off"],
      ] };
    }), only ? "Nothing is sure here: no pair leads in this window. Switch “findings only” off to see why." : "No pair yet: two markets of one asset with prices in this window are needed.");
    const found = told.pairs.filter((p) => p.state === "leads").length;
    DOPE.text("lead-note", told.pairs.length ? `${fmt.number(found)} of ${fmt.number(told.pairs.length)} pairs lead, by the ${told.clock} clock, on ${told.series}` : "");
    DOPE.text("evidence-note", told.pairs.length ? `lags within ± ${fmt.number(told.reach_ms / 1000, 1)} s by ${fmt.number(told.step_ms)} ms; the lag of the first market ahead of the second` : "");
  }
  function clocks(told) {
    DOPE.rows("clocks", told.venues.map((v) => ({ key: v.venue, cells: [
      v.label, [ms(v.floor_ms)], [v.uncertainty_ms === null ? fmt.UNKNOWN : `± ${fmt.number(v.uncertainty_ms, 1)}`], [v.drift_ms_h === null ? "needs 5 min" : fmt.signed(v.drift_ms_h, 1), v.drift_ms_h === null ? "off" : ""],
      [`${fmt.number(v.excess_p50_ms, 1)} · ${fmt.number(v.excess_p99_ms, 1)}`], [v.resolution_ms === null ? fmt.UNKNOWN : String(v.resolution_ms)], [fmt.number(v.n)],
    ] })), "No venue has stamped a message yet.");
    const steps = told.steps.length ? ` · the system clock was set ${fmt.number(told.steps.length)}×, last by ${fmt.signed(told.steps[told.steps.length - 1].step_ms / 1000, 1)} s` : "";
    DOPE.text("clocks-note", told.trouble || `system clock minus ours: ${fmt.signed(told.offset_ms || 0, 1)} ms${steps}`);
  }
  function draw() {
    const told = lead.shown;
    if (!told || !$("leadlag-matrix") || DOPE.page !== "leadlag") return;
    const mixed = new Set(told.markets.map((m) => m.symbol)).size > 1, short = new Map(told.markets.map((m) => [m.key, `${DOPE.venueShort(m.venue)}${mixed ? " " + m.symbol.replace(told.symbol + "-", "") : ""}`]));
    lead.name = (key) => short.get(key) || key;
    matrix(told);
    evidence(told);
    DOPE.touch("lead");
  }
  async function load(force) {
    const now = Date.now();
    if (DOPE.page !== "leadlag" || DOPE.paused() || DOPE.replaying() || asking || (!force && now - read < FRESH_MS)) return;
    asking = true;
    read = now;
    const query = (asked = String(wish()));
    try {
      const told = await DOPE.replay.call("GET", "leadlag?" + query);
      lead.shown = told;
      draw();
      if (now - clocked >= CLOCKS_MS) { clocked = now; clocks(await DOPE.replay.call("GET", "clocks?symbol=-")); }
      $("leadlag-trouble").hidden = true;
    } catch (error) {
      if (!$("leadlag-trouble")) return;
      $("leadlag-trouble").hidden = false;
      DOPE.text("leadlag-trouble", `Lead and lag cannot be read, what is shown is old: ${error.message}`);
    } finally { asking = false; }
    if (query !== String(wish())) load(true);   // somebody has changed it meanwhile
  }
  function pressed(act, on) {
    const button = document.querySelector(`[data-act="${act}"]`);
    button.setAttribute("aria-pressed", String(on));
    button.classList.toggle("on", on);
  }
  /* The controls show what the view says. */
  function controls() {
    if (DOPE.page !== "leadlag") return;
    [only, shares] = [DOPE.view.lead_only === "1", DOPE.view.lead_shares === "1"];
    DOPE.options("lead-symbol", [...new Set(["BTC", asset(), ...markets().map((i) => i.base)])].sort().map((b) => [b, b]), asset());
    const query = wish(), few = chosen();
    for (const name of NAMES) if (document.activeElement !== $("lead-" + name)) $("lead-" + name).value = query.get(name);
    pressed("lead-only", only);
    pressed("lead-shares", shares);
    DOPE.text("lead-venues-now", few.length ? few.map(DOPE.venueShort).slice(0, 4).join(", ") + (few.length > 4 ? ` and ${few.length - 4} more` : "") : "all");
    if (!$("lead-venues-pop").hidden) venues();
  }
  function venues() {
    const ids = [...new Set([...markets().filter((i) => [i.base, i.symbol].includes(asset())).map((i) => i.venue), ...chosen()])].sort(), few = chosen();
    const rows = [["", "All venues"], ...ids.map((id) => [id, DOPE.venueName(id)])].map(([id, label]) => [id, label, id ? few.includes(id) : !few.length]);
    const key = JSON.stringify(rows), holder = $("lead-venues-pop");
    if (holder.dataset.key === key) return;   // what has the focus stays
    holder.dataset.key = key;
    DOPE.fill(holder, h("h3", {}, "Venues"), ...rows.map(([id, label, on]) =>
      h("button", { type: "button", class: "btn2" + (on ? " pri" : ""), "data-act": "lead-venue", "data-value": id, "data-test": `lead-venue-${id || "all"}`, "aria-pressed": String(on) }, label)));
  }
  Object.assign(DOPE.actions, {
    "lead-only": () => DOPE.see({ lead_only: only ? "" : "1" }),
    "lead-shares": () => DOPE.see({ lead_shares: shares ? "" : "1" }),
    "lead-venues": (b) => { venues(); DOPE.pop("lead-venues-pop", b); },
    "lead-venue": (b) => {
      const id = b.dataset.value, few = chosen();
      DOPE.see({ lead_venues: !id ? "" : (few.includes(id) ? few.filter((one) => one !== id) : [...few, id]).join() });
      venues();
      const again = document.querySelector(`#lead-venues-pop [data-value="${CSS.escape(id)}"]`);
      if (again) again.focus();
    },
  });
  DOPE.ready(() => {
    $("lead-symbol").addEventListener("change", () => DOPE.see({ lead_asset: $("lead-symbol").value }));
    NAMES.forEach((name) => $("lead-" + name).addEventListener("change", () => DOPE.see({ ["lead_" + name]: $("lead-" + name).value })));
    DOPE.on("view", () => {
      if (chip !== null && chip !== DOPE.view.asset && DOPE.view.asset) DOPE.view.lead_asset = "";   // an asset chosen at the top counts here, too
      chip = DOPE.view.asset;
      controls();
      draw();
      if (DOPE.page === "leadlag" && asked !== String(wish())) load(true);
    });
    DOPE.on("second", () => { controls(); load(false); });
    DOPE.on("page", () => { controls(); load(true); });
  });
})();
