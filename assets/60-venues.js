/* Venues: one row per exchange, one per book; changed in place. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE;
  const PACE_MS = 250, HOUR_MS = 3600000, WORST = { connecting: 1, degraded: 2, halted: 2, rest: 3, live: 4 };
  const PROOF = {
    sequence: ["sequence numbers", "", "Every message carries a number: a lost one is noticed at once"],
    checksum: ["checksums", "", "The venue sends checksums of its book, ours is compared with each"],
    snapshot: ["whole books", "", "Each message is a whole book: nothing can be lost in between"],
    none: ["■ unverifiable", "warn", "The venue offers neither numbers nor checksums: a lost message cannot be noticed at once"],
  };
  const BOOK = { LIVE: ["● ", ""], SYNCING: ["◌ ", "off"], STALE: ["▲ ", "warn"], GAP: ["▲ ", "warn"] };
  let drawn = 0, asked = ["", ""];   // a venue, and what is about to be done with it: "sure" (disable), "mute"

  const some = (n) => [fmt.number(n), n ? "warn" : "off"];
  const since = (ms) => (ms ? fmt.age(Math.max(0, DOPE.now() - ms) / 1000) : fmt.UNKNOWN);
  /* The last hour as a strip: [state, share of the hour] from the left; null = not known. */
  function spans(past, now) {
    const from = now - HOUR_MS, out = [];
    if (!past.length || past[0][0] > from) out.push(["none", past.length ? (past[0][0] - from) / HOUR_MS : 1]);
    past.forEach(([start, state], n) => {
      const end = n + 1 < past.length ? past[n + 1][0] : now, share = (Math.min(end, now) - Math.max(start, from)) / HOUR_MS;
      if (share > 0) out.push([state, share]);
    });
    return out;
  }
  function strip(v) {
    const parts = spans(v.past || [], DOPE.now()), known = parts.reduce((s, [state, share]) => s + (state === "none" ? 0 : share), 0);
    const live = parts.reduce((s, [state, share]) => s + (state === "live" || state === "rest" ? share : 0), 0);
    const text = known ? fmt.percent(100 * live / known) : fmt.UNKNOWN;
    return h("span", { class: "hour", title: `live ${text} of the time that is known, by socket or by REST` }, h("span", { class: "strip", "aria-hidden": "true" },
      ...parts.map(([state, share]) => h("i", { class: "st-" + state, style: { width: `${(100 * share).toFixed(2)}%` } }))), h("small", {}, text));
  }
  function error(v) {
    const next = v.next_retry ? `, again in ${fmt.age(Math.max(0, v.next_retry - DOPE.now()) / 1000)}` : "";
    return [(v.last_error || "none") + next, v.last_error && v.state !== "live" ? "words bad" : "words off", v.last_error];
  }
  const pick = (v) => h("button", { type: "button", class: "vpick", "data-act": "venue-pick", "data-value": v.id, "data-test": "venue-pick-" + v.id }, h("b", {}, v.label));
  const again = (v) => h("button", { type: "button", class: "chip", "data-act": "reconnect", "data-value": v.id, "data-test": "reconnect-" + v.id, title: `Close the connections of ${v.label} and open them anew` }, "Reconnect");
  const chip = (act, v, text, title, css) => h("button", { type: "button", class: "chip " + (css || ""), "data-act": act, "data-value": v.id, "data-test": `${act}-${v.id}`, title }, text);
  const QUIET = "None of its warnings is raised; it is watched as before";
  const mute = (v, name, seconds, text) => h("button", { type: "button", class: "chip", "data-act": "venue-hush", "data-value": v.id, "data-seconds": seconds, "data-test": `venue-hush-${name}-${v.id}`, title: QUIET }, text);
  function buttons(v) {
    const what = asked[0] === v.id ? asked[1] : "";
    if (what === "sure") return [chip("venue-keep", v, "Keep", "Keep watching"), chip("venue-off", v, `Stop watching ${fmt.number(v.books_total)} books`, "Settings brings it back", "drop")];
    if (what === "mute") return [chip("venue-keep", v, "Cancel", "Raise its warnings as before"), mute(v, "15", "900", "15 min"), mute(v, "60", "3600", "1 h"), mute(v, "on", "", "Until unmuted")];
    return [again(v), DOPE.muted(v) ? chip("venue-unmute", v, "Unmute", "Raise its warnings again") : chip("venue-mute", v, "Mute", `Do not raise warnings of ${v.label} for a while`),
      chip("venue-sure", v, "Disable", `Close the connections of ${v.label} and show it no longer`)];
  }
  const acts = (v) => h("span", { class: "racts" }, ...buttons(v));
  const urgency = (v) => (DOPE.muted(v) ? WORST.live : WORST[v.state] || 0);
  function venue(v) {
    const [css, glyph] = DOPE.venueShape(v);
    return { key: v.id, css: v.id === DOPE.view.venue ? "chosen" : "", cells: [
      h("span", {}, pick(v), DOPE.muted(v) ? h("small", { class: "muted", title: QUIET }, DOPE.muted(v)) : null), [`${glyph} ${DOPE.venueWord(v)} ${since(v.since)}`, css === "down" ? "bad" : css === "slow" ? "warn" : ""], strip(v),
      [`${fmt.number(v.books_live)} / ${fmt.number(v.books_total)}`, v.books_live < v.books_total ? "warn" : ""], fmt.number(v.msgs_s),
      [`${fmt.number(v.excess_p50_ms, 1)} · ${fmt.number(v.excess_p99_ms, 1)}`], PROOF[v.integrity] || [v.integrity || fmt.UNKNOWN], some(v.gaps),
      v.integrity === "checksum" ? [`${fmt.number(v.checksums_ok)} · ${fmt.number(v.checksum_bad)}`, v.checksum_bad ? "warn" : ""] : [fmt.UNKNOWN, "off"], some(v.faults), some(v.reconnects),
      [`${fmt.number(v.acks_ok)} / ${fmt.number(v.acks_total)}`, v.acks_ok < v.acks_total ? "warn" : "", (v.unacked || []).join(", ")],
      [v.breaker, v.breaker === "closed" ? "off" : "bad"], error(v), acts(v),
    ] };
  }
  function book(i) {
    const [glyph, css] = BOOK[i.state] || ["■ ", "bad"], live = i.state === "LIVE", spread = live && i.bid && i.ask ? (i.ask - i.bid) / ((i.ask + i.bid) / 2) * 1e4 : null;
    const proof = i.check === "none" ? ["never", "warn", PROOF.none[2]] : [i.checked_ms === null ? "not yet" : fmt.ageMs(i.checked_ms), i.checked_ms === null ? "off" : "", (PROOF[i.check] || [])[2]];
    return { key: i.key, cells: [
      [`${DOPE.venueShort(i.venue)} ${i.symbol}`, "", i.key], [glyph + i.state, css], since(i.since), fmt.price(live ? i.bid : null, i.tick), fmt.price(live ? i.ask : null, i.tick), fmt.number(spread, 2),
      fmt.ageMs(i.age_ms), fmt.ageMs(i.unchanged_ms), proof, some(i.gaps), i.check === "checksum" ? some(i.checksum_bad) : [fmt.UNKNOWN, "off"], [live ? "" : i.reason || "", "words"],
    ] };
  }
  function draw(force) {
    if (DOPE.page !== "venues" || DOPE.paused() || !$("fleet-rows") || (!force && Date.now() - drawn < PACE_MS)) return;
    drawn = Date.now();
    const fleet = [...DOPE.state.venues.values()], chosen = DOPE.state.venues.get(DOPE.view.venue);
    fleet.sort((a, b) => urgency(a) - urgency(b) || a.label.localeCompare(b.label));
    const books = [...DOPE.state.instruments.values()].filter((i) => (!chosen || i.venue === chosen.id) && DOPE.inView(i.base, i.kind));
    const calm = (i) => i.state === "LIVE" || Boolean(DOPE.muted(DOPE.state.venues.get(i.venue)));
    books.sort((a, b) => calm(a) - calm(b) || a.key.localeCompare(b.key));
    DOPE.rows("fleet", fleet.map(venue), "No venue is watched yet: the engine is still starting.");
    DOPE.rows("books", books.map(book), "No book passes the asset and kind chosen above.");
    const live = fleet.filter((v) => v.state === "live").length, quiet = fleet.filter(DOPE.muted).length, right = books.filter((i) => i.state === "LIVE").length;
    DOPE.text("fleet-note", fleet.length ? `${fmt.number(live)} of ${fmt.number(fleet.length)} live${quiet ? `, ${fmt.number(quiet)} muted` : ""}; what needs you stands first` : "");
    DOPE.text("books-title", chosen ? `Books of ${chosen.label}` : "Books");
    DOPE.text("books-note", `${fmt.number(right)} of ${fmt.number(books.length)} known to be right`);
    document.querySelector('[data-test="venue-pick-all"]').hidden = !chosen;
    const refused = chosen ? chosen.unacked || [] : [];
    $("venue-refused").hidden = !refused.length;
    DOPE.text("venue-refused", refused.length ? `Not acknowledged: ${refused.join(", ")}` : "");
  }
  DOPE.actions["venue-pick"] = (b) => DOPE.see({ venue: b.dataset.value === DOPE.view.venue ? "" : b.dataset.value || "" });
  const ask = (id, what, then) => {
    asked = [id, what];
    draw(true);
    const next = then && document.querySelector(`[data-test="${CSS.escape(then)}"]`);
    if (next) next.focus();
  };
  Object.assign(DOPE.actions, {
    "venue-sure": (b) => ask(b.dataset.value, "sure", "venue-keep-" + b.dataset.value),
    "venue-mute": (b) => ask(b.dataset.value, "mute", "venue-keep-" + b.dataset.value),
    "venue-keep": (b) => ask("", "", `venue-${asked[1] || "sure"}-${b.dataset.value}`),
    "venue-hush": (b) => {
      const id = b.dataset.value, seconds = b.dataset.seconds ? Number(b.dataset.seconds) : null;
      ask("", "", "venue-mute-" + id);
      DOPE.ask("mute", { venue: id, seconds }).then(() => DOPE.toast(`${DOPE.venueName(id)} is muted: it is watched as before, its warnings are not raised`), () => {});
    },
    "venue-unmute": (b) => DOPE.ask("unmute", { venue: b.dataset.value }).then(() => DOPE.toast(`Warnings of ${DOPE.venueName(b.dataset.value)} are raised again`), () => {}),
    "venue-off": (b) => {
      const name = DOPE.venueName(b.dataset.value);
      ask("", "", "venue-sure-" + b.dataset.value);
      DOPE.ask("unwatch", { venue: b.dataset.value }).then(() => DOPE.toast(`${name} is no longer watched; Settings brings it back`), () => {});
    },
  });
  DOPE.ready(() => {
    $("page-venues").addEventListener("keydown", (event) => { if (event.key === "Escape" && asked[0]) ask("", "", `venue-${asked[1]}-${asked[0]}`); });
    ["venues", "instruments", "second"].forEach((section) => DOPE.on(section, () => draw(false)));
    ["page", "view"].forEach((section) => DOPE.on(section, () => draw(true)));
  });
})();
