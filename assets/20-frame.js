/* The frame: waits for the page, shows the one that the address names, mode, banners, venue pills, clock, status bar. */
(function () {
  "use strict";
  const DOPE = window.DOPE, fmt = DOPE.fmt, link = DOPE.link;
  const $ = (DOPE.$ = (id) => document.getElementById(id));
  const ready = [];
  DOPE.ready = (fn) => { ready.push(fn); };
  DOPE.actions = {};

  /* Text and attributes only, never markup: what comes from the wire cannot become an element. */
  DOPE.h = function (tag, props, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(props || {})) {
      if (value === undefined || value === null || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (name === "class") node.className = value;
      else if (name === "style") Object.assign(node.style, value);
      else if (name in node && typeof value !== "string") node[name] = value;
      else node.setAttribute(name, value);
    }
    node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return node;
  };
  DOPE.icon = (name) => DOPE.h("i", { class: "bi bi-" + name, "aria-hidden": "true" });
  DOPE.text = (id, value) => { const node = $(id); if (node && node.textContent !== value) node.textContent = value; };
  DOPE.fill = (id, ...nodes) => { const node = typeof id === "string" ? $(id) : id; if (node) node.replaceChildren(...nodes); };
  const labels = new Map();   // of venues, also of those that are not watched, as far as anybody has told
  DOPE.called = (id, label) => { labels.set(id, label); };
  DOPE.venueName = (id) => { const v = DOPE.state.venues.get(id); if (v) DOPE.called(id, v.label); return labels.get(id) || id; };
  DOPE.venueShort = (id) => { const v = DOPE.state.venues.get(id); return v ? v.short : id; };

  DOPE.toast = function (text, tone) {
    const holder = $("toasts");
    if (!holder) return;
    const toast = DOPE.h("div", { class: "toast2 " + (tone || "") }, text);
    holder.append(toast);
    while (holder.childElementCount > 4) holder.firstChild.remove();
    setTimeout(() => toast.remove(), 5000);
  };

  DOPE.route = function (path) {
    let shown = null;
    const pages = [...document.querySelectorAll(".page")];
    for (const page of pages) if (page.dataset.path === (path || location.pathname)) shown = page;
    shown = shown || pages[0];
    for (const page of pages) page.classList.toggle("on", page === shown);
    if (!shown) return;
    DOPE.page = shown.id.slice(5);
    document.title = (DOPE.replaying() ? "REPLAY · " : "") + "DOPE · " + shown.dataset.title;
    for (const rail of document.querySelectorAll(".rail a")) {
      const on = rail.id === "rail-" + DOPE.page;
      rail.classList.toggle("on", on);
      if (on) rail.setAttribute("aria-current", "page"); else rail.removeAttribute("aria-current");
    }
    window.dispatchEvent(new Event("resize"));
    DOPE.touch("page");
  };

  function mode() {
    const button = $("mode"), sections = DOPE.state.mode || {};
    if (!button) return;
    let css = "wait", text = "CONNECTING";
    if (DOPE.paused()) [css, text] = ["paused", `PAUSED · ${fmt.number(DOPE.heldCount())} held`];
    else if (link.status === "lost") [css, text] = ["lost", "DISCONNECTED"];
    else if (sections.stopped) [css, text] = ["lost", "STOPPED"];
    else if (link.status === "live" || link.status === "polling") {
      [css, text] = { sim: ["sim", "SIMULATED"], tape: ["replay", "REPLAY"], live: ["", "LIVE"] }[sections.source] || ["wait", "STARTING"];
      if (DOPE.replayWords && DOPE.replaying()) [css, text] = ["replay", DOPE.replayWords()];
      if (link.status === "polling") text += " · polling";
    }
    button.className = "mode " + css;
    button.setAttribute("aria-pressed", String(DOPE.paused()));
    DOPE.text("mode-text", text);
    document.body.classList.toggle("is-paused", DOPE.paused());
    document.body.classList.toggle("is-lost", link.status === "lost" || Boolean(sections.stopped));
  }

  const banner = (css, glyph, text, buttons, test) => DOPE.h("div", { class: "banner " + css, "data-test": test },
    DOPE.icon(glyph), DOPE.h("div", {}, DOPE.h("span", {}, text), DOPE.h("small")), DOPE.h("div", { class: "r" }, buttons || []));
  const button = (text, act, css) => DOPE.h("button", { type: "button", class: "btn2 " + (css || ""), "data-act": act, "data-test": act }, text);
  let shownBanners = "";
  const SILENT_MS = 2000;
  function banners() {
    const sections = DOPE.state.mode || {}, out = [];
    if (sections.banner && !DOPE.replaying()) {
      const text = /^[A-Z ]+: /.test(sections.banner) ? sections.banner : "SIMULATED MARKET: " + sections.banner;
      out.push([sections.stopped ? "e" : "sim", "exclamation-triangle", text, sections.live_available ? [["Go live", "go-live", "pri"]] : [], sections.stopped ? "banner-stopped" : "banner-sim", DOPE.dialWords()]);
    }
    if (DOPE.replayBanner && DOPE.replaying()) out.push(DOPE.replayBanner());
    if (link.status === "lost") {
      const wait = link.nextTry ? `retrying in ${fmt.number(Math.max(0, Math.ceil((link.nextTry - Date.now()) / 1000)))} s` : "connecting";
      out.push(["e", "exclamation-circle", `Live feed to this browser lost ${fmt.number((Date.now() - link.lostAt) / 1000)} s ago. ` +
        `Numbers below are dimmed until it returns: ${wait} (attempt ${link.attempts}).`, [["Retry now", "retry"]], "banner-lost"]);
    }
    const silent = !link.stream && link.age >= SILENT_MS && link.status !== "lost" && !sections.stopped;
    if (silent) out.push(["e", "exclamation-circle", `The engine has published nothing for ${fmt.number(link.age / 1000)} s: numbers below are not current.`, [], "banner-silent"]);
    const troubles = sections.stopped || silent ? [] : sections.troubles || [];
    if (troubles.length) out.push(["w", "exclamation-triangle", `A part of the program failed and is being mended: ${troubles.slice(0, 3).join("; ")}`, [], "banner-mended"]);
    const notices = sections.stopped ? [] : sections.notices || [];
    if (notices.length) out.push(["w", "exclamation-triangle", `The market is watched, but not all is well: ${notices.slice(0, 3).join("; ")}`, [], "banner-notice"]);
    if (sections.clock && !sections.stopped && !DOPE.replaying()) out.push(["w", "clock-history", sections.clock, [], "banner-clock"]);
    const tested = sections.stopped || silent ? {} : sections.self_test || {};
    if (tested.state === "failed") out.push(["e", "exclamation-circle", `Self-test failed: ${tested.text}`, [], "banner-self-test"]);
    if (DOPE.paused()) out.push(["w", "pause-circle", `Screen frozen at ${fmt.clock(DOPE.frozenAt())}: ${link.status === "lost" ? "nothing arrives now" : "data keep arriving"}. ` +
      `${fmt.number(DOPE.heldCount())} updates held.`, [["Resume", "pause", "pri"]], "banner-paused"]);
    const key = JSON.stringify(out), holder = $("banners");
    if (!holder || key === shownBanners) return;
    const same = [...holder.children].map((b) => b.dataset.test).join() === out.map((b) => b[4]).join();
    const focused = document.activeElement;
    if (!same || JSON.parse(shownBanners || "[]").some((b, i) => JSON.stringify(b[3]) !== JSON.stringify(out[i][3])))
      DOPE.fill(holder, ...out.map((b) => banner(b[0], b[1], b[2], b[3].map((x) => button(...x)), b[4])));
    out.forEach((b, i) => [b[2], b[5] || ""].forEach((text, k) => {   // keep the buttons: a click must land
      const node = holder.children[i].children[1].children[k];
      if (node.textContent !== text) node.textContent = text;
    }));
    DOPE.placeDial(holder.querySelector('[data-test="banner-sim"] .r'));
    if (focused.isConnected && focused !== document.activeElement) focused.focus();
    shownBanners = key;
    if (!same) window.dispatchEvent(new Event("resize"));
  }

  const SHAPES = { live: ["ok", "●"], rest: ["slow", "▲"], degraded: ["slow", "▲"], connecting: ["slow", "◌"], halted: ["slow", "▲"] };   // others: down
  DOPE.venueWord = (venue) => (venue.state === "rest" ? "by REST" : venue.state);
  DOPE.venueShape = (venue) => {
    if (venue.state === "live" && venue.excess_p50_ms > 60) return ["slow", "▲"];
    return SHAPES[venue.state] || ["down", "■"];
  };
  const FOR_EVER_MS = 9.2e12;
  /* Until when warnings of this venue are not raised, in words; "" = they are. */
  DOPE.muted = (venue) => {
    const ms = venue && venue.muted_until_ns ? venue.muted_until_ns / 1e6 : 0;
    if (!ms) return "";
    if (ms > FOR_EVER_MS) return "muted until unmuted";
    const [end, today] = [fmt.stamp(ms), fmt.stamp(DOPE.now()).slice(0, 10)];
    return "muted until " + end.slice(end.startsWith(today) ? 11 : 5, 16);
  };
  function venues(map) {
    const holder = $("venues");
    if (!holder || !map.size) return;
    const many = map.size > 10;   // where there are many, the word is in the tip: the shape says it, too
    const pills = [...map.values()].map((venue) => {
      const [css, glyph] = DOPE.venueShape(venue), since = fmt.age(Math.max(0, DOPE.now() - venue.since) / 1000);
      const tail = venue.state === "live" ? fmt.number(venue.excess_p50_ms, venue.excess_p50_ms < 10 ? 1 : 0) : many ? since : `${DOPE.venueWord(venue)} ${since}`;
      return [venue.id, css + (DOPE.muted(venue) ? " muted" : ""), glyph, venue.short, tail, venue.label, since];
    });
    holder.classList.toggle("many", many);
    const same = holder.childElementCount === pills.length && pills.every((pill, i) => holder.children[i].dataset.value === pill[0]);
    if (!same) DOPE.fill(holder, ...pills.map((pill) => DOPE.h("button",
      { type: "button", "data-act": "venue", "data-value": pill[0], "data-test": "venue-" + pill[0] },
      DOPE.h("span", { class: "g" }), DOPE.h("b"), DOPE.h("span", { class: "ms" }))));
    pills.forEach((pill, i) => {
      const node = holder.children[i], [id, css, glyph, name, tail, label, since] = pill;
      const title = `${label}: ${DOPE.venueWord(map.get(id))} for ${since}, median excess delay ${fmt.number(map.get(id).excess_p50_ms, 1)} ms${DOPE.muted(map.get(id)) ? ", " + DOPE.muted(map.get(id)) : ""}`;
      if (node.className !== "vp " + css) node.className = "vp " + css;
      if (node.title !== title) node.title = title;
      [glyph, name, tail].forEach((text, k) => { if (node.children[k].textContent !== text) node.children[k].textContent = text; });
    });
  }

  /* Whether the pills have room with what stands behind their names: asked by laying them out, so once a second only. */
  function fit() {
    const holder = $("venues");
    if (!holder) return;
    holder.classList.remove("tight");
    holder.classList.toggle("tight", holder.scrollHeight > holder.clientHeight + 1);
  }

  let lastBytes = 0, lastMessages = 0;
  function statusBar() {
    const s = DOPE.state, live = [...s.venues.values()].filter((v) => v.state === "live").length;
    DOPE.text("st-venues", s.venues.size ? `${live}/${s.venues.size}` : fmt.UNKNOWN);
    DOPE.text("st-rate", s.sys ? fmt.number(s.sys.msgs_s) : fmt.UNKNOWN);
    DOPE.text("st-latency", `p50 ${fmt.number(DOPE.delay(0.5))} ms · p99 ${fmt.number(DOPE.delay(0.99))} ms`);
    const n = link.messages - lastMessages, bytes = link.bytes - lastBytes;
    [lastMessages, lastBytes] = [link.messages, link.bytes];
    DOPE.text("st-wire", n ? `${fmt.number(bytes / n / 1000, 1)} kB per update · ${n}/s` : "no updates");
    const rec = s.mode && s.mode.recording;
    $("st-rec-dot").className = "dot " + (rec && rec.on ? "on" : "");
    const unsealed = rec && rec.sealed && rec.sealed.reason ? ` (${rec.sealed.reason})` : "";
    DOPE.text("st-rec", !rec ? fmt.UNKNOWN : rec.on ? `recording ${String(rec.path || "").split("/").pop()} ${fmt.fileSize(rec.bytes)}${unsealed}`
      : `not recording${rec.reason ? ": " + rec.reason : ""}`);
  }

  const TICK_MS = 100;
  let ticked = 0;
  function clock() {
    ticked = performance.now();
    DOPE.text("clock-text", fmt.clock(DOPE.paused() ? DOPE.frozenAt() : DOPE.now()));
  }
  function second() {
    mode(); banners(); statusBar();
    if (!DOPE.paused()) venues(DOPE.state.venues);
    fit();
    DOPE.touch("second");
  }
  DOPE.ready(() => {
    DOPE.route(location.pathname);
    DOPE.on("mode", () => { mode(); banners(); });
    DOPE.on("replay", () => { mode(); banners(); });
    DOPE.on("link", () => { mode(); banners(); });
    DOPE.on("held", mode);
    DOPE.on("venues", venues);
    setInterval(second, 1000);
    DOPE.on("applied", clock);   // in the frame of what came, and in one of its own only when nothing does
    setInterval(() => { if (performance.now() - ticked > 1.5 * TICK_MS) clock(); }, TICK_MS);
    DOPE.text("clock-zone", fmt.zoneName());
  });
  DOPE.actions.pause = () => { DOPE.freeze(!DOPE.paused()); mode(); banners(); };
  DOPE.actions.retry = () => DOPE.retry();
  DOPE.actions["go-live"] = () => DOPE.ask("source", { to: "live" }).then(() => DOPE.toast("Connecting to the exchanges"), () => {});

  document.addEventListener("click", (event) => {
    const target = event.target.closest && event.target.closest("[data-act]");
    if (target && DOPE.actions[target.dataset.act]) DOPE.actions[target.dataset.act](target, event);
    const pressed = event.detail > 0 && event.target.closest("button");
    if (pressed) pressed.blur();   // after a mouse click, Space freezes the screen instead of pressing the button again
  });
  window.addEventListener("popstate", () => DOPE.route(location.pathname));
  const wait = setInterval(() => {
    if (!$("dope-app")) return;
    clearInterval(wait);
    ready.splice(0).forEach((fn) => { try { fn(); } catch (error) { console.error("DOPE", error); } });
    DOPE.ready = (fn) => fn();
    DOPE.start();
  }, 20);
})();
