/* The event tape: newest first, by kind; a click marks the moment on the chart. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE;
  const ROWS = 150, ICONS = { opp: ["lightning-charge", "i-opp"], jump: ["graph-up", "i-opp"], burst: ["bar-chart", "i-opp"], whale: ["currency-dollar", "i-opp"], link: ["link-45deg", "i-mod"], venue: ["plug", "i-ven"], book: ["book", "i-ven"], fault: ["bug", "i-bad"], model: ["cpu", "i-mod"], system: ["info-circle", "i-sys"] };
  const GROUP = { fault: "book" };   // faults show with the books they spoil
  const SHOWN = ["opp", "jump", "whale", "venue", "book", "model", "system"];   // until somebody chooses: bursts and links are many
  let newest = -1, signature = "";

  const kinds = () => DOPE.view.tape || SHOWN;
  function row(event) {
    const [glyph, css] = ICONS[event.kind] || ICONS.system, bad = !event.muted && ["bad", "down"].includes(event.tone);
    const value = event.muted ? "muted" : event.value === null || event.value === undefined ? "" : String(event.value).replace(/^-/, fmt.MINUS);
    // each in an item of its own: rules of libraries for a button behind a button would make a new line the business of all lines below it
    return h("li", {}, h("button", { type: "button", class: "ev tone-" + (event.muted ? "quiet" : event.tone || ""), "data-act": "event", "data-value": String(event.t), title: event.text },
      h("span", { class: "t" }, fmt.clock(event.t)), h("span", { class: "ic " + (bad ? "i-bad" : css) }, DOPE.icon(glyph)), h("span", { class: "m" }, event.text), h("span", { class: "q" }, value)));
  }
  function draw() {
    const holder = $("tape-rows"), events = DOPE.state.events;
    if (!holder || !DOPE.state.mode) return;
    const now = kinds().join() + fmt.zone.local + DOPE.state.told, wanted = (e) => kinds().includes(GROUP[e.kind] || (ICONS[e.kind] ? e.kind : "system"));
    const first = events.length ? events[events.length - 1].id : -1;
    if (now !== signature || first < newest) { signature = now; newest = -1; holder.replaceChildren(); }
    const fresh = events.filter((e) => e.id > newest && wanted(e)).slice(-ROWS).reverse();
    if (events.length) newest = Math.max(newest, first);
    if (fresh.length) holder.prepend(...fresh.map(row));
    while (holder.childElementCount > ROWS) holder.lastChild.remove();
    const box = $("tape-empty");
    box.hidden = holder.childElementCount > 0;
    if (!box.hidden) DOPE.fill(box, h("div", { class: "empty" }, DOPE.icon("journal-text"), h("h4", {}, "Quiet"), h("p", {}, `Nothing of the chosen kinds yet. An opportunity is noted from ${fmt.bps((DOPE.state.mode || {}).min_net_bps)} bps net.`)));
  }
  function chips() {
    for (const chip of document.querySelectorAll("#tape-kinds button")) {
      const on = kinds().includes(chip.dataset.value);
      chip.classList.toggle("on", on);
      chip.setAttribute("aria-pressed", String(on));
    }
  }
  DOPE.actions["tape-kind"] = (b) => {
    const now = kinds();
    DOPE.see({ tape: now.includes(b.dataset.value) ? now.filter((k) => k !== b.dataset.value) : [...now, b.dataset.value] });
  };
  DOPE.actions.event = (b) => DOPE.markTime && DOPE.markTime(Number(b.dataset.value));
  DOPE.ready(() => {
    ["events", "mode"].forEach((section) => DOPE.on(section, draw));
    DOPE.on("view", () => { chips(); draw(); });
    chips();
  });
})();
