/* Dialogs, pop-overs, jump box, export and the keyboard. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE;
  const DIALOGS = ["tour", "help", "jump", "export"], SPANS = [60, 240, 900];

  DOPE.open = (id) => { DIALOGS.forEach((other) => $(other).open && $(other).close()); $(id).showModal(); };
  DOPE.pop = function (id, anchor) {
    const node = $(id), show = node.hidden;
    document.querySelectorAll(".pop").forEach((other) => { other.hidden = true; });
    node.hidden = !show;
    if (!show || !anchor) return;
    const box = anchor.getBoundingClientRect(), parent = node.offsetParent.getBoundingClientRect();
    const left = Math.max(8 - parent.left, Math.min(box.left - parent.left, innerWidth - parent.left - node.offsetWidth - 12, parent.width - node.offsetWidth - 4));
    Object.assign(node.style, { left: left + "px", top: Math.max(2, box.bottom - parent.top + 6) + "px" });
  };
  function closePops(except) {
    document.querySelectorAll(".pop").forEach((pop) => { if (pop !== except) pop.hidden = true; });
  }
  document.addEventListener("pointerdown", (event) => {
    if (!event.target.closest(".pop, [data-act]")) closePops();
    if (event.target.tagName === "DIALOG") event.target.close();   // a click on the backdrop
  });

  /* -- venue card: the health of one venue ------------------------------------------------------------------ */
  let shownVenue = null;
  function venueCard() {
    const node = $("venue-card"), v = DOPE.state.venues.get(shownVenue);
    if (!node || node.hidden || !v) return;
    const [css, glyph] = DOPE.venueShape(v);
    const next = v.next_retry ? fmt.age(Math.max(0, v.next_retry - DOPE.now()) / 1000) : fmt.UNKNOWN;
    const rows = [
      ["State", `${glyph} ${DOPE.venueWord(v)} for ${fmt.age((DOPE.now() - v.since) / 1000)}`], ["Books live", `${fmt.number(v.books_live)} of ${fmt.number(v.books_total)}`],
      ["Acknowledged", `${fmt.number(v.acks_ok)} of ${fmt.number(v.acks_total)} topics`], ["Messages", `${fmt.number(v.msgs_s)} /s`],
      ["Excess delay", `p50 ${fmt.number(v.excess_p50_ms, 1)} · p99 ${fmt.number(v.excess_p99_ms, 1)} ms`], ["Errors", `${fmt.number(v.errors_min)} /min`],
      ["Reconnects", fmt.number(v.reconnects)], ["Gaps · faults", `${fmt.number(v.gaps)} · ${fmt.number(v.faults)}`],
      ["Integrity", { sequence: "sequence numbers", checksum: `checksums, ${fmt.number(v.checksums_ok)} ok, ${fmt.number(v.checksum_bad)} bad`, none: "none offered by the venue" }[v.integrity] || v.integrity],
      ["Breaker", v.breaker], ["Next retry", next], ["Last error", v.last_error || "none"], ["Warnings", DOPE.muted(v) || "raised"],
    ];
    if ((v.unacked || []).length) rows.push(["Not acknowledged", v.unacked.slice(0, 5).join(", ")]);
    DOPE.fill(node, h("h3", { class: css }, v.label), h("dl", {}, ...rows.flatMap(([k, t]) => [h("dt", {}, k), h("dd", {}, String(t))])),
      h("button", { type: "button", class: "btn2", "data-act": "reconnect", "data-value": v.id }, "Reconnect"));
  }
  DOPE.actions.venue = (b) => {
    const again = shownVenue === b.dataset.value && !$("venue-card").hidden;
    $("venue-card").hidden = true;
    shownVenue = b.dataset.value;
    if (!again) { DOPE.pop("venue-card", b); venueCard(); DOPE.pop("venue-card", b); DOPE.pop("venue-card", b); }
  };
  DOPE.actions.reconnect = (b) => DOPE.ask("reconnect", { venue: b.dataset.value }).then(() => DOPE.toast("Reconnecting"), () => {});

  /* -- jump box ---------------------------------------------------------------------------------------------- */
  let chosen = 0, found = [];
  function targets() {
    const pages = [...document.querySelectorAll(".rail a")].map((a) => ["page", a.textContent.trim(), () => a.click()]);
    const assets = [...document.querySelectorAll("#assets button")].map((b) => ["asset", b.textContent, () => b.click()]);
    const kinds = [...document.querySelectorAll("#kinds button")].map((b) => ["kind", b.textContent, () => b.click()]);
    const venues = [...DOPE.state.venues.values()].map((v) => ["venue", v.label, () => DOPE.see({ text: v.label })]);
    const commands = [["command", "Freeze or resume", () => DOPE.actions.pause()], ["command", "Export", () => DOPE.actions.export()], ["command", "Copy link", () => DOPE.actions.link()], ["command", "Show everything", () => DOPE.actions["reset-filters"]()]];
    return [...pages, ...assets, ...kinds, ...venues, ...commands];
  }
  function search() {
    const words = $("jump-input").value.toLowerCase().split(/\s+/).filter(Boolean);
    found = targets().filter(([kind, name]) => words.every((w) => (kind + " " + name).toLowerCase().includes(w))).slice(0, 12);
    chosen = Math.max(0, Math.min(chosen, found.length - 1));
    DOPE.fill("jump-list", ...(found.length ? found.map(([kind, name, go], i) => h("li", { role: "option", class: i === chosen ? "on" : "", "aria-selected": String(i === chosen), onclick: () => { $("jump").close(); go(); } },
      h("span", { class: "mut" }, kind), name)) : [h("li", { class: "mut" }, "Nothing of that name")]));
  }
  DOPE.actions.jump = () => { DOPE.open("jump"); $("jump-input").value = ""; chosen = 0; search(); $("jump-input").focus(); };

  /* -- export ------------------------------------------------------------------------------------------------ */
  let exportAll = false;
  function exportLinks() {
    const view = DOPE.view, query = new URLSearchParams();
    if (!exportAll) for (const [name, value] of [["asset", view.asset], ["kind", view.kind], ["min_net", view.min], ["max_net", view.max], ["min_size", view.size]])
      if (value !== "" && value !== null) query.set(name, value);
    for (const kind of ["csv", "parquet", "json"]) $("export-" + kind).setAttribute("href", `/api/v1/export/opportunities.${kind}${query.size ? "?" + query : ""}`);
    const rows = DOPE.visibleRows ? DOPE.visibleRows() : 0, all = (DOPE.state.cards || {}).total;
    const option = (value, text) => h("label", {}, h("input", { type: "radio", name: "export-what", "data-test": "export-" + (value ? "all" : "view"), checked: exportAll === value, onchange: () => { exportAll = value; exportLinks(); } }), text);
    DOPE.fill("export-what", option(false, `What the asset, kind, net and size filters let through (${fmt.number(rows)} on screen now)`), option(true, `All recorded since start (${fmt.number(all)} opportunities)`));
  }
  DOPE.actions.export = () => { DOPE.open("export"); exportLinks(); };
  DOPE.actions.help = () => DOPE.open("help");
  DOPE.actions.tour = () => DOPE.open("tour");
  DOPE.actions.close = (b) => {
    const holder = b.closest("dialog, .drawer");
    if (holder.tagName === "DIALOG") holder.close(); else DOPE.inspect(null);
  };

  /* -- keyboard ---------------------------------------------------------------------------------------------- */
  const KEYS = {
    " ": () => DOPE.actions.pause(), "/": () => DOPE.actions.jump(), "?": () => DOPE.actions.help(), e: () => DOPE.actions.export(), l: () => DOPE.actions.link(),
    f: () => { const box = document.querySelector('[data-test="quick-filter"]'); box.focus(); box.select(); },
    j: () => DOPE.step && DOPE.step(1), k: () => DOPE.step && DOPE.step(-1), Enter: () => DOPE.step && DOPE.step(0),
    "[": () => span(-1), "]": () => span(1),
  };
  function span(by) {
    const at = SPANS.indexOf(DOPE.view.span);
    DOPE.see({ span: SPANS[Math.max(0, Math.min(SPANS.length - 1, at + by))] });
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !$("dope-app")) return;
    const at = event.target.checkVisibility() ? event.target : document.body;   // what just closed keeps the focus until the next frame
    const typing = at.closest("input, textarea, select, [contenteditable]");
    if (event.key === "Escape") {
      if (typing) at.blur();
      closePops();
      if (!document.querySelector("dialog[open]")) DOPE.inspect(null);
      return;
    }
    if (typing || document.querySelector("dialog[open]")) return;
    if ((event.key === " " || event.key === "Enter") && at.closest("button, a, [role=option]")) return;
    if (event.key === "Enter" && at.closest(".ag-root")) return;   // the grid opens it itself
    if (/^[0-9]$/.test(event.key)) {   // 0 is the tenth
      const page = document.querySelectorAll(".rail a")[(Number(event.key) + 9) % 10];
      if (page) page.click();
      return;
    }
    const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (act) { event.preventDefault(); act(); }
  });

  DOPE.ready(() => {
    const box = h("input", { id: "jump-input", type: "search", placeholder: "asset, venue, page, command", "aria-label": "Jump to", "data-test": "jump-input", autocomplete: "off" });
    DOPE.fill("jump-holder", DOPE.icon("search"), box);
    box.addEventListener("input", () => { chosen = 0; search(); });
    box.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); chosen += event.key === "ArrowDown" ? 1 : -1; search(); }
      if (event.key === "Enter" && found[chosen]) { event.preventDefault(); $("jump").close(); found[chosen][2](); }
    });
    DOPE.on("second", venueCard);
    let seen = false;
    try { seen = localStorage.getItem("dope.seen") === "1"; localStorage.setItem("dope.seen", "1"); } catch (error) { seen = true; }
    if (!seen && new URLSearchParams(location.search).get("tour") !== "0") DOPE.open("tour");
  });
})();
