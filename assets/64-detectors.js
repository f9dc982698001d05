/* Settings: the parameters of the detectors, read from the API while somebody looks; changed by the command `set`. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE;
  const FRESH_MS = 5000, SOON_MS = 700, SILENT_MS = 15000, OF_A_REPLAY = "These are of the live market: a replay judges by what its tape says, go back to live to change them.";
  const rows = new Map(), pending = new Map();   // detector.name → {row, box, said}, {value, at}
  let read = 0, broken = "";

  const key = (row) => `${row.detector}.${row.name}`, plain = (value) => String(+Number(value).toPrecision(12));
  function fault(one) {
    const text = one.box.value.trim(), value = Number(text), { least, most } = one.row;
    if (text === "" || !Number.isFinite(value)) return "must be a number";
    return value < least || value > most ? `from ${plain(least)} to ${plain(most)}` : "";
  }
  const dirty = (one) => Boolean(one.box.dataset.dirty) && (fault(one) !== "" || Number(one.box.value) !== one.row.value);
  function draw() {
    let some = 0, bad = 0;
    for (const [name, one] of rows) {
      const wait = pending.get(name), { row, box } = one;
      if (wait && row.value === wait.value) pending.delete(name);
      if (!box.dataset.dirty && document.activeElement !== box && box.value !== plain(row.value)) box.value = plain(row.value);
      const wrong = box.dataset.dirty ? fault(one) : "", changed = dirty(one), late = pending.has(name) && Date.now() - wait.at > SILENT_MS;
      box.setAttribute("aria-invalid", String(Boolean(wrong)));
      some += changed ? 1 : 0;
      bad += wrong ? 1 : 0;
      one.said.textContent = wrong || (pending.has(name) ? (late ? "▲ no answer yet" : "◌ asked for") : changed ? `running: ${plain(row.value)}` : row.value === row.usual ? "" : "changed");
      one.said.className = "why " + (wrong ? "bad" : "");
      box.disabled = DOPE.replaying();
    }
    $("detectors-apply").disabled = !some || bad > 0 || DOPE.replaying();
    $("detectors-revert").disabled = !some && !bad;
  }
  function made(row, first) {
    const id = `parameter-${row.detector}-${row.name}`, box = h("input", { type: "number", step: "any", class: "inp", id, "data-test": id, autocomplete: "off", "aria-describedby": id + "-said", "aria-label": `${row.detector} ${row.name}, ${row.unit}` });
    const said = h("span", { class: "why", id: id + "-said", "data-test": id + "-said" });
    box.addEventListener("input", () => { box.dataset.dirty = "1"; draw(); });
    rows.set(key(row), { row, box, said });
    const cells = [first ? row.detector : "", row.name, h("span", { class: "set-value" }, box, said), row.unit, `${plain(row.least)} … ${plain(row.most)}, usually ${plain(row.usual)}`, row.about];
    return h("tr", { "data-key": key(row), class: first ? "first" : "" }, ...cells.map((cell) => h("td", {}, cell)));
  }
  function take(found) {
    const known = found.map(key).join();
    if (known !== [...rows.keys()].join()) {
      rows.clear();
      $("detectors-rows").replaceChildren(...found.map((row, i) => made(row, i === 0 || found[i - 1].detector !== row.detector)));
    }
    for (const row of found) rows.get(key(row)).row = row;
    const hint = $("detectors-empty");
    hint.hidden = found.length > 0;
    if (!found.length) hint.textContent = "Nothing is known yet: the engine is still starting.";
  }
  async function load() {
    if (DOPE.page !== "settings" || !$("detectors-rows")) return;
    const trouble = DOPE.replaying() ? OF_A_REPLAY : broken;
    $("detectors-trouble").hidden = !trouble;
    DOPE.text("detectors-trouble", trouble);
    draw();
    if (DOPE.replaying() || Date.now() - read < (pending.size ? SOON_MS : FRESH_MS)) return;
    read = Date.now();
    try {
      take((await DOPE.replay.call("GET", "parameters")).rows);
      broken = "";
    } catch (error) { broken = `The parameters cannot be read, what is shown may be old: ${error.message}`; }
    if ($("detectors-rows")) draw();
  }
  async function apply() {
    const args = {}, asked = [...rows].filter(([, one]) => dirty(one));
    if (!asked.length || asked.some(([, one]) => fault(one))) return draw();
    for (const [name, one] of asked) {
      const value = Number(one.box.value);
      (args[one.row.detector] = args[one.row.detector] || {})[one.row.name] = value;
      pending.set(name, { value, at: Date.now() });
      delete one.box.dataset.dirty;
    }
    draw();
    DOPE.text("detectors-said", "");
    try {
      await DOPE.ask("set", { parameters: args });
      DOPE.text("detectors-said", `${fmt.number(asked.length)} asked for; it stands on the tape from then on.`);
    } catch (error) { for (const [name, one] of asked) { pending.delete(name); one.box.dataset.dirty = "1"; } }
    read = 0;
    load();
  }
  DOPE.actions["detectors-revert"] = () => {
    for (const one of rows.values()) delete one.box.dataset.dirty;
    if (document.activeElement) document.activeElement.blur();
    draw();
  };
  DOPE.ready(() => {
    const form = $("detectors-form");
    if (form) form.addEventListener("submit", (event) => { event.preventDefault(); apply(); });
    ["page", "second", "mode"].forEach((section) => DOPE.on(section, load));
  });
})();
