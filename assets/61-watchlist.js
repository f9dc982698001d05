/* Watchlist: search among what the venues list, and what is watched venue by venue. Nothing counts as done before the books say so. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE;
  const WAIT_MS = 200, PACE_MS = 300, SILENT_MS = 20000, LISTS_MS = 30000, LIMIT = 50, MEANT = 2;
  const BOOK = { LIVE: ["●", "acc"], SYNCING: ["◌", "off"], STALE: ["▲", "warn"], GAP: ["▲", "warn"] };
  const pending = new Map();   // key or venue → {drop, at}: asked for, not seen yet
  const lists = new Map();   // venue → how many markets it lists
  let box = null, place = null, timer = 0, aborter = null, question = 0, status = "idle", found = null, sure = "", drawn = 0, heard = 0, read = 0, shownPlaces = "";

  /* -- the search ---------------------------------------------------------------------------------------------- */
  async function ask(query, signal) {
    const answer = await fetch("/api/v1/instruments?" + new URLSearchParams(query), { signal, credentials: "same-origin", cache: "no-store" });
    const body = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(body.error ? [body.error, body.hint].filter(Boolean).join("; ") : `the server refused (${answer.status})`);
    body.venues.forEach((v) => { lists.set(v.venue, v.listed); DOPE.called(v.venue, v.label); });
    return body;
  }
  async function search() {
    clearTimeout(timer);
    if (aborter) aborter.abort();
    const q = box.value.trim(), venue = place.value, mine = (question += 1);
    if (!q && !venue) { [status, found] = ["idle", null]; return draw(true); }
    status = "loading";
    draw(true);
    aborter = new AbortController();
    try {
      const body = await ask(Object.assign({ q, limit: LIMIT }, venue ? { venue } : {}), aborter.signal);
      if (mine !== question) return;
      [status, found] = ["done", body];
    } catch (error) {
      if (mine !== question) return;
      [status, found] = [`Could not search: ${error instanceof TypeError ? "the server does not answer" : error.message}`, null];
    }
    draw(true);
  }
  async function listed() {   // which venues there are, with or without a search
    if (DOPE.page !== "settings" || DOPE.replaying() || Date.now() - read < LISTS_MS) return;
    read = Date.now();
    try { await ask({ limit: 1 }); } catch (error) { /* what is watched is shown all the same */ }
    draw(true);
  }

  /* -- commands -------------------------------------------------------------------------------------------------- */
  function trouble(text) {
    const node = $("watch-trouble");
    if (!node) return;
    node.hidden = !text;
    DOPE.text("watch-trouble", text);
  }
  async function command(name, args, marks) {
    const at = Date.now();
    marks.forEach((mark) => pending.set(mark, { drop: name === "unwatch", at }));
    sure = "";
    trouble("");
    draw(true);
    try { await DOPE.ask(name, args); } catch (error) {
      marks.forEach((mark) => pending.delete(mark));
      trouble(`Not done: ${error.message}`);
    }
    draw(true);
  }
  function refusals(events) {   // what was accepted, but could not be carried out, is said on the event tape
    const fresh = (events || []).filter((e) => e.id > heard);
    if (events && events.length) heard = events[events.length - 1].id;
    const told = fresh.filter((e) => e.kind === "system" && /^(un)?watch refused: /.test(e.text)).pop();
    if (told && pending.size) { pending.clear(); trouble(`Not done: ${told.text}`); }
  }
  const on = (venue) => DOPE.state.venues.has(venue);
  const nameOf = DOPE.venueName;
  function settle() {
    for (const [mark, { drop, at }] of pending) {
      const book = DOPE.state.instruments.get(mark), there = mark.includes(":") ? Boolean(book) : on(mark);
      if (drop ? !there : there && (!book || book.state === "LIVE")) pending.delete(mark);
      else if (Date.now() - at > 6 * SILENT_MS) pending.delete(mark);
    }
  }
  const button = (text, act, value, label, css) => h("button", { type: "button", class: css || "chip", "data-act": act, "data-value": value, "data-test": `${act}-${value}`, "aria-label": label, title: label }, text);

  /* -- what was found -------------------------------------------------------------------------------------------- */
  function state(key) {   // [glyph and words, css] of a market that is watched or asked for; null = neither
    const wait = pending.get(key), book = DOPE.state.instruments.get(key);
    if (wait && wait.drop && book) return ["◌ leaving", "off"];
    if (wait && !wait.drop && !book) return Date.now() - wait.at > SILENT_MS ? ["▲ no answer yet", "warn"] : ["◌ asked for", "off"];
    if (!book) return null;
    const [glyph, css] = BOOK[book.state] || ["■", "bad"];
    return [`${glyph} ${book.state}`, css];
  }
  function act(r, key) {
    const is = state(key), name = `${r.symbol} at ${nameOf(r.venue)}`, wait = pending.has(key) && (pending.get(key).drop || !DOPE.state.instruments.has(key));
    if (wait) return h("span", { class: "act-cell" }, h("span", { class: is ? is[1] : "off" }, is ? is[0] : "◌ asked for"));
    if (is) return h("span", { class: "act-cell" }, h("span", { class: is[1] }, is[0]), button("Remove", "unwatch", key, `Stop watching ${name}`));
    if (r.status !== "trading") return h("span", { class: "act-cell warn", title: "The venue's own word for why it does not trade" }, `does not trade: ${r.status}`);
    return h("span", { class: "act-cell" }, button("Add", "watch", key, `Watch ${name}`, "chip add"));
  }
  const amount = (v) => (v > 0 ? fmt.quantity(v) : fmt.UNKNOWN);
  const least = (r) => (r.min_size > 0 ? `${fmt.quantity(r.min_size)} ${r.base}` : r.min_notional > 0 ? `${fmt.quantity(r.min_notional)} ${r.quote}` : fmt.UNKNOWN);
  function row(r) {
    const key = `${r.venue}:${r.symbol}`, contract = r.kind === "spot" || r.kind === "reference" ? fmt.UNKNOWN : r.contract_value === null ? "not known" : `${fmt.quantity(r.contract_value)} ${r.inverse ? r.quote : r.base}`;
    return { key, css: DOPE.state.instruments.has(key) ? "chosen" : "", cells: [
      [r.symbol, "", key], [nameOf(r.venue)], r.source === "list" ? [r.native] : [r.native, "grey", "From our own table: the list of this venue is not read yet"], [r.ccxt || fmt.UNKNOWN], [r.inverse ? `${r.kind}, inverse` : r.kind], [amount(r.tick)], [amount(r.lot)], [least(r)], [contract],
      act(r, key),
    ] };
  }
  function meant() {
    const holder = $("finds-meant"), symbols = found && !place.value ? found.meant.filter((symbol) => found.rows.some((r) => r.symbol === symbol)).slice(0, MEANT) : [];
    const lines = symbols.map((symbol) => {
      const rows = found.rows.filter((r) => r.symbol === symbol), open = rows.filter((r) => !DOPE.state.instruments.has(`${r.venue}:${symbol}`) && r.status === "trading" && on(r.venue)).length;
      return [symbol, rows.length, open, [...DOPE.state.instruments.values()].filter((i) => i.symbol === symbol).length];
    });
    const useful = lines.filter(([, , open, held]) => open || held), key = JSON.stringify([useful, sure]);
    if (!holder || holder.dataset.key === key) return;
    holder.dataset.key = key;
    DOPE.fill(holder, ...useful.map(([symbol, at, open, held]) => h("div", { class: "meant-line" }, h("b", {}, symbol), h("span", { class: "mut" }, `listed at ${fmt.number(at)}, watched at ${fmt.number(held)}`),
      open ? button(`Watch at ${fmt.number(open)} more`, "watch-everywhere", symbol, `Watch ${symbol} at all watched venues that list it`) : null,
      ...(held ? [sure === "*:" + symbol ? question_(`Stop watching ${symbol} at ${fmt.number(held)} venues?`, "unwatch-everywhere", symbol) : button("Remove everywhere", "unwatch-sure", "*:" + symbol, `Stop watching ${symbol} at all venues`)] : []))));
    focusSure(holder);
  }
  const question_ = (text, act_, value) => h("span", { class: "sure", role: "group", "aria-label": text }, h("span", {}, text), button("Keep", "unwatch-keep", value, "Keep watching", "chip keep"), button("Stop watching", act_, value, text, "chip drop"));
  const focusSure = (holder) => { const keep = holder.querySelector(".keep"); if (keep && sure && document.activeElement !== keep) keep.focus(); };
  function finds() {
    const many = found && found.rows.length, why = status === "loading" ? "Searching…" : status === "idle" ? "Any spelling does: btc, ETH/USDT, BTCUSDT, XBT/USD, BTC/USDT:USDT, 1000PEPEUSDT, bitcoin." :
      status === "done" ? `No venue lists “${box.value.trim()}”${place.value ? ` at ${nameOf(place.value)}` : ""}. Try the coin alone.` : status;
    $("finds").setAttribute("aria-busy", String(status === "loading"));
    if (status !== "loading" || !many) DOPE.rows("finds", found ? found.rows.map(row) : [], why);
    $("finds-empty").classList.toggle("bad", !["idle", "loading", "done"].includes(status));
    DOPE.text("finds-note", status === "loading" ? "searching…" : many ? `${fmt.number(many)}${found.more ? " first" : ""} of what fits “${found.q}”` : "");
    meant();
    const places = JSON.stringify([...lists].sort());
    if (places !== shownPlaces) {
      shownPlaces = places;
      const chosen = place.value;
      DOPE.fill(place, h("option", { value: "" }, "all venues"), ...[...lists.keys()].sort((a, b) => nameOf(a).localeCompare(nameOf(b))).map((v) => h("option", { value: v }, `${nameOf(v)} (${fmt.number(lists.get(v))})`)));
      place.value = lists.has(chosen) ? chosen : "";
    }
  }

  /* -- what is watched ------------------------------------------------------------------------------------------- */
  function chip(book) {
    const [text, css] = state(book.key), leaving = pending.has(book.key) && pending.get(book.key).drop;
    return h("span", { class: "wchip " + css, title: `${book.key}: ${leaving ? "leaving" : book.state}${book.reason ? ", " + book.reason : ""}` }, h("span", { class: "g", "aria-hidden": "true" }, text.split(" ")[0]), h("span", {}, book.symbol),
      leaving ? null : h("button", { type: "button", "data-act": "unwatch", "data-value": book.key, "data-test": "chip-" + book.key, "aria-label": `Stop watching ${book.symbol} at ${nameOf(book.venue)}` }, DOPE.icon("x-lg")));
  }
  function venue(id, books) {
    const v = DOPE.state.venues.get(id), live = books.filter((b) => b.state === "LIVE").length, wait = pending.get(id), name = nameOf(id);
    const toggle = h("button", { type: "button", role: "switch", class: "switch", "aria-checked": String(Boolean(v)), "aria-label": `Watch ${name}`, "data-act": "watch-venue", "data-value": id, "data-test": "switch-" + id, disabled: Boolean(wait) }, h("i"));
    const text = wait ? (wait.drop ? "◌ leaving" : Date.now() - wait.at > SILENT_MS ? "▲ no answer yet" : "◌ asked for") : v ? `${fmt.number(live)} of ${fmt.number(books.length)} live` : lists.has(id) ? `off · lists ${fmt.number(lists.get(id))}` : "off";
    const ask_ = sure === id ? question_(`Stop watching ${name} and its ${fmt.number(books.length)} books?`, "unwatch-venue", id) : null;
    return [h("div", { class: "wv-head" }, toggle, h("b", {}, name), h("span", { class: "mut" }, text), ask_), books.length ? h("div", { class: "wchips" }, ...books.map(chip)) : null].filter(Boolean);
  }
  function watched() {
    const holder = $("watched-list"), books = [...DOPE.state.instruments.values()], all = [...new Set([...DOPE.state.venues.keys(), ...lists.keys()])];
    all.sort((a, b) => on(b) - on(a) || nameOf(a).localeCompare(nameOf(b)));
    const old = new Map([...holder.children].map((li) => [li.dataset.key, li])), now = [], live = books.filter((b) => b.state === "LIVE").length;
    for (const id of all) {
      const own = books.filter((b) => b.venue === id).sort((a, b) => a.symbol.localeCompare(b.symbol)), li = old.get(id) || h("li", { "data-key": id, "data-test": "watched-" + id });
      const sign = JSON.stringify([nameOf(id), on(id), sure === id, lists.get(id), pending.has(id) && [pending.get(id), Date.now() - pending.get(id).at > SILENT_MS], own.map((b) => [b.key, b.state, pending.get(b.key)])]);
      if (li.dataset.sign !== sign) {
        const had = li.contains(document.activeElement) ? document.activeElement.dataset.test : "";
        li.dataset.sign = sign;
        li.className = on(id) ? "" : "is-off";
        li.replaceChildren(...venue(id, own));
        focusSure(li);
        if (had && !li.contains(document.activeElement)) (li.querySelector(`[data-test="${CSS.escape(had)}"]`) || li.querySelector(".switch")).focus();
      }
      now.push(li);
    }
    if (now.length !== holder.childElementCount || now.some((li, i) => holder.children[i] !== li)) {
      const had = holder.contains(document.activeElement) ? document.activeElement : null;
      holder.replaceChildren(...now);
      if (had && had.isConnected) had.focus();
    }
    DOPE.text("watched-note", all.length ? `${fmt.number(books.length)} books at ${fmt.number(DOPE.state.venues.size)} venues, ${fmt.number(live)} live` : "waiting for the first data");
  }
  function draw(force) {
    if (DOPE.page !== "settings" || !box || !$("watched-list") || (!force && Date.now() - drawn < PACE_MS)) return;
    drawn = Date.now();
    settle();
    finds();
    watched();
  }

  const split = (key) => { const at = key.indexOf(":"); return { venue: key.slice(0, at), symbol: key.slice(at + 1) }; };
  const sameSymbol = (symbol, kept) => [...DOPE.state.instruments.values()].filter((i) => i.symbol === symbol && kept).map((i) => i.key);
  Object.assign(DOPE.actions, {
    watch: (b) => command("watch", split(b.dataset.value), [b.dataset.value]),
    unwatch: (b) => command("unwatch", split(b.dataset.value), [b.dataset.value]),
    "watch-everywhere": (b) => command("watch", { symbol: b.dataset.value }, (found ? found.rows : []).filter((r) => r.symbol === b.dataset.value && on(r.venue) && r.status === "trading" && !DOPE.state.instruments.has(`${r.venue}:${r.symbol}`)).map((r) => `${r.venue}:${r.symbol}`)),
    "unwatch-everywhere": (b) => command("unwatch", { symbol: b.dataset.value }, sameSymbol(b.dataset.value, true)),
    "watch-venue": (b) => { if (on(b.dataset.value)) { sure = b.dataset.value; draw(true); } else command("watch", { venue: b.dataset.value }, [b.dataset.value]); },
    "unwatch-venue": (b) => command("unwatch", { venue: b.dataset.value }, [b.dataset.value]),
    "unwatch-sure": (b) => { sure = b.dataset.value; draw(true); },
    "unwatch-keep": () => { sure = ""; draw(true); },
  });
  DOPE.ready(() => {
    box = h("input", { type: "search", class: "inp", id: "finds-q", maxlength: "80", placeholder: "symbol or coin, in any spelling", "aria-label": "Search markets", "data-test": "finds-q", autocomplete: "off", spellcheck: "false" });
    place = h("select", { class: "sel", "aria-label": "Venue", "data-test": "finds-venue" }, h("option", { value: "" }, "all venues"));
    box.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(search, WAIT_MS); });
    box.addEventListener("keydown", (event) => {
      if (event.key === "Enter") search();
      const first = event.key === "ArrowDown" && document.querySelector("#finds-meant button, #finds-rows button");
      if (first) { event.preventDefault(); first.focus(); }
    });
    place.addEventListener("change", search);
    DOPE.fill("finds-box", DOPE.icon("search"), box, place);
    $("page-settings").addEventListener("keydown", (event) => { if (event.key === "Escape" && sure) { sure = ""; draw(true); } });
    ["venues", "instruments", "second"].forEach((section) => DOPE.on(section, () => draw(false)));
    ["page", "display"].forEach((section) => DOPE.on(section, () => draw(true)));
    ["page", "second"].forEach((section) => DOPE.on(section, listed));
    DOPE.on("events", refusals);
  });
})();
