/* Spreads: which tab is shown, and how each asks the API while somebody looks: at most so often, never twice at once, failures said. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE;
  const polls = [];

  const names = () => [...document.querySelectorAll("#spreads-tabs button")].map((b) => b.dataset.value);
  const tab = () => (names().includes(DOPE.view.tab) ? DOPE.view.tab : names()[0]);
  const shown = (name) => DOPE.page === "spreads" && tab() === name;

  function draw() {
    for (const name of names()) {
      const on = name === tab(), button = $(`spreads-tab-${name}`);
      $(`spreads-${name}`).hidden = !on;
      button.classList.toggle("on", on);
      button.setAttribute("aria-selected", String(on));
      button.tabIndex = on ? 0 : -1;
    }
  }
  function go(name) {
    if (name === tab()) return;
    DOPE.see({ tab: name });
    history.pushState(null, "", `/spreads?tab=${name}`);
    window.dispatchEvent(new Event("resize"));
  }
  /* own: {tab, name (of its trouble line), every: ms, path(): what to ask, "" = nothing now, draw(answer), idle(): while nothing is known}. */
  function poll(own) {
    let asked = "", read = 0, good = 0, busy = false;
    function trouble(error) {
      const node = $(`${own.name}-trouble`);
      if (!node) return;
      node.hidden = !error;
      if (error) DOPE.text(`${own.name}-trouble-text`, `This cannot be read: ${error.message}${good ? `. What is shown is ${fmt.age((Date.now() - good) / 1000)} old` : ""}.`);
    }
    async function load(force) {
      if (!shown(own.tab) || DOPE.paused() || DOPE.replaying() || busy || !DOPE.state.instruments.size) return;   // before the first book there is nothing to ask
      const path = own.path(), again = path !== asked;
      if (!path || (!force && !again && Date.now() - read < own.every)) return;
      if (again) { good = 0; if (own.idle) own.idle(); }
      [busy, asked, read] = [true, path, Date.now()];
      try {
        const found = await DOPE.replay.call("GET", path);
        if (path === own.path()) { good = Date.now(); own.draw(found); trouble(null); }
      } catch (error) {
        if (path === own.path()) { if (own.failed && !good) own.failed(error); trouble(error); }
      }
      busy = false;
      if (path !== own.path()) load(false);
    }
    polls.push(load);
    ["page", "view", "second", "instruments"].forEach((section) => DOPE.on(section, () => load(false)));
    return load;
  }
  DOPE.spreads = { tab, shown, poll };
  /* Why there is nothing, and one thing to do about it. */
  DOPE.spreads.none = (glyph, title, text, button) => h("div", { class: "empty" }, DOPE.icon(glyph), h("h3", {}, title), h("p", {}, text), button || null);
  DOPE.actions["spreads-tab"] = (b) => go(b.dataset.value);
  DOPE.actions["spreads-retry"] = () => polls.forEach((load) => load(true));
  DOPE.ready(() => {
    $("spreads-tabs").addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key], all = names();
      if (!step) return;
      event.preventDefault();
      const next = all[(all.indexOf(tab()) + step + all.length) % all.length];
      go(next);
      draw();
      $(`spreads-tab-${next}`).focus();
    });
    window.addEventListener("popstate", () => {
      const asked = new URLSearchParams(location.search).get("tab");
      if (location.pathname === "/spreads" && names().includes(asked || names()[0])) DOPE.see({ tab: asked || names()[0] });
    });
    ["view", "page"].forEach((section) => DOPE.on(section, draw));
    draw();
  });
})();
