/* Trust: the state of the self-test from the stream, the promises from the API while somebody looks. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE;
  const FRESH_MS = 2000, STATE = { kept: ["● kept", "ok"], broken: ["■ broken", "bad"], few: ["◌ too few", "off"] };
  let read = 0;

  const when = (ms) => (ms ? DOPE.replay.when(ms) : fmt.UNKNOWN);
  const said = {
    off: () => ["Switched off: DOPE_SELF_TEST_S is 0", "off"],
    waiting: () => ["◌ Waiting for the first self-test", "off"],
    idle: (s) => ["◌ " + s.text, "off"],
    ok: () => ["● The newest self-test was found, priced to the tick, shown and closed", "ok"],
    failed: (s) => ["■ Self-test failed: " + s.text, "bad"],
  };
  function state() {
    const s = (DOPE.state.mode || {}).self_test, rail = $("rail-trust");
    if (rail) rail.classList.toggle("alarm", Boolean(s && s.state === "failed"));
    if (!s || !$("self-test-state")) return;
    const [text, css] = (said[s.state] || said.waiting)(s);
    DOPE.text("self-test-state", text);
    $("self-test-state").className = "tested " + css;
    DOPE.facts("self-test-facts", [
      ["Carried out", fmt.number(s.run)], ["Found", fmt.number(s.found)],
      ["Missed", fmt.number(s.missed), s.missed ? "bad" : ""], ["Priced wrongly", fmt.number(s.mispriced), s.mispriced ? "bad" : ""],
      ["Too late", fmt.number(s.late), s.late ? "warn" : ""], ["Not closed", fmt.number(s.unclosed), s.unclosed ? "bad" : ""],
      ["Not possible", fmt.number(s.void), s.void ? "warn" : "", "Our own loop stood still meanwhile: tried again at once"],
      ["Newest", when(s.at)], ["Browsers", s.pages ? `${fmt.number(s.pages)} watched the newest one` : "no browser watched the newest one"],
    ]);
  }
  const row = (p) => ({ key: p.id, cells: [
    STATE[p.state] || [p.state], h("span", {}, p.promise, h("small", { class: "how" }, p.how)), [p.promised],
    [p.measured || "nothing yet", p.measured ? "" : "off"],
    [`${fmt.number(p.samples)}${p.samples < p.needed ? ` of ${fmt.number(p.needed)}` : ""}`, p.state === "few" ? "off" : "", p.of], [when(p.since_ms), "", p.since || ""], [p.test],
  ] });
  async function load() {
    if (DOPE.page !== "trust" || DOPE.paused() || DOPE.replaying() || Date.now() - read < FRESH_MS) return;
    read = Date.now();
    try {
      const now = await DOPE.replay.call("GET", "promises");
      DOPE.rows("promises", now.rows.map(row), "Nothing is measured yet: the engine is still starting.");
      DOPE.text("promises-note", `${fmt.number(now.kept)} kept · ${fmt.number(now.broken)} broken · ${fmt.number(now.few)} with too few samples to say`);
      $("promises-trouble").hidden = true;
    } catch (error) {
      if (!$("promises-trouble")) return;
      $("promises-trouble").hidden = false;
      DOPE.text("promises-trouble", `The promises cannot be read, what is shown is old: ${error.message}`);
    }
  }
  DOPE.ready(() => {
    DOPE.on("mode", state);
    ["page", "second"].forEach((section) => DOPE.on(section, load));
    DOPE.on("page", state);
  });
})();
