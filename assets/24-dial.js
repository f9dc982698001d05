/* The dial of the simulated market: a menu of what it can play, and what a viewer should see; both stand in its banner. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $ } = DOPE;
  const BARS = 94;   // px at the lower end of a phone
  let patience = 5000;   // ms in which what was asked for must be played
  const HELP = ["What the simulated market plays, until another scenario is chosen or the program ends. The first one is chosen at start: ", "--scenario NAME"];
  let rows = [], state = "", asked = "", giveUp = 0, shown = "";

  const playing = () => (DOPE.replaying() ? null : (DOPE.state.mode || {}).scenario || null);
  const nameOf = (id) => (rows.find((row) => row.id === id) || { name: id }).name;
  const label = h("b");
  const button = h("button", { type: "button", class: "btn2 dial", id: "dial", "data-act": "dial", "data-test": "dial", title: HELP.join(""),
    "aria-haspopup": "menu", "aria-expanded": "false", "aria-controls": "dial-menu" }, "Scenario:", label, h("span", { "aria-hidden": "true" }, "▾"));
  /* For the banner: the button, and one line about what is played; none and "" where no simulated market is shown. */
  DOPE.placeDial = (holder) => {
    if (!holder || !playing()) button.remove();
    else if (button.parentNode !== holder) holder.prepend(button);
  };
  DOPE.dialPatience = (ms) => { patience = ms; };
  DOPE.dialWords = () => {
    const now = playing();
    return !now ? "" : asked ? `Changing to ${nameOf(asked)} …` : `What you should see: ${now.see}`;
  };

  const item = (row, now) => h("button", { type: "button", role: "menuitemradio", "aria-checked": String(row.id === now.id), class: row.id === now.id ? "on" : "",
    tabindex: row.id === now.id ? "0" : "-1", "data-act": "dial-play", "data-value": row.id, "data-test": "scenario-" + row.id }, h("b", {}, row.name), h("span", {}, row.see));
  function content(now) {
    const words = h("p", { class: "mut" }, HELP[0], h("span", { style: { whiteSpace: "nowrap" } }, HELP[1]));
    if (state === "loading") return [words, h("p", { class: "mut", "data-test": "dial-loading" }, "Loading the scenarios …")];
    if (state === "none") return [words, h("p", { class: "mut", "data-test": "dial-empty" }, "This market has no scenarios.")];
    if (state) return [words, h("p", { class: "bad", "data-test": "dial-trouble" }, state), h("button", { type: "button", class: "btn2", "data-act": "dial-load", "data-test": "dial-load" }, "Try again")];
    return [words, ...rows.map((row) => item(row, now))];
  }
  function draw() {
    const menu = $("dial-menu"), now = playing();
    if (!now) [menu.hidden, asked] = [true, ""];
    button.setAttribute("aria-expanded", String(!menu.hidden));
    if (!now) return;
    if (!rows.length && !state) load();
    if (asked && (now.id === asked || Date.now() > giveUp)) {
      if (now.id !== asked && !DOPE.paused()) DOPE.toast(`${nameOf(asked)} is not played: the event tape tells why`, "bad");
      asked = "";
      DOPE.touch("mode");
    }
    label.textContent = asked ? nameOf(asked) + " …" : now.name;
    const key = JSON.stringify([state, rows, now.id]), held = menu.contains(document.activeElement);
    if (key === shown) return;
    shown = key;
    const at = held ? document.activeElement.dataset.value : "";
    DOPE.fill(menu, ...content(now));
    if (held) focus(at);
  }
  function focus(id) {
    const items = [...$("dial-menu").querySelectorAll("button")];
    (items.find((each) => each.dataset.value === id) || items.find((each) => each.classList.contains("on")) || items[0] || button).focus();
  }
  function load() {
    state = "loading";
    draw();
    fetch("/api/v1/scenarios", { credentials: "same-origin" })
      .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`the server refused (${answer.status})`))))
      .then((body) => { [rows, state] = [body.rows, body.rows.length ? "" : "none"]; }, (error) => { state = `The scenarios could not be loaded: ${error.message}.`; })
      .then(() => { draw(); if (!$("dial-menu").hidden) focus(""); });
  }
  function close() {
    $("dial-menu").hidden = true;
    button.focus();
    draw();
  }

  Object.assign(DOPE.actions, {
    dial: () => {
      DOPE.pop("dial-menu", button);
      draw();
      if ($("dial-menu").hidden) return;
      $("dial-menu").style.maxHeight = Math.max(160, innerHeight - button.getBoundingClientRect().bottom - BARS) + "px";
      focus("");
    },
    "dial-load": load,
    "dial-play": (b) => {
      const id = b.dataset.value;
      if (id !== playing().id) {
        [asked, giveUp] = [id, Date.now() + patience];
        DOPE.touch("mode");
        DOPE.ask("scenario", { name: id }).catch(() => { asked = ""; DOPE.touch("mode"); });
      }
      close();
    },
  });
  DOPE.ready(() => {
    $("dial-menu").addEventListener("keydown", (event) => {
      const items = [...$("dial-menu").querySelectorAll("button")], at = items.indexOf(document.activeElement);
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
      if (to !== undefined && items.length) { event.preventDefault(); items[(to + items.length) % items.length].focus(); }
      if (event.key === "Escape" || event.key === "Tab") close();
    });
    for (const section of ["mode", "replay", "second"]) DOPE.on(section, draw);
  });
})();
