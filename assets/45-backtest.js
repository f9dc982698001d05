/* Backtest: the form, the running job, and which of the finished reports is shown. The last one stays until a newer comes. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE;
  const FIELDS = [["latency_ms", "Latency, ms", 100, 0, 60000, "From decision to arrival at both venues"], ["order_size", "Order size", null, 0, 1e9, "Largest order, quote currency"]];
  const input = {}, kept = new Map(), KEEP = 20;
  let asked = 0, refused = "", wanted = 0, dirty = false;

  function build() {
    DOPE.fill("backtest-fields", ...FIELDS.map(([name, label, value, , , tip]) => {
      input[name] = h("input", { type: "number", step: "any", class: "inp", id: "backtest-" + name, "data-test": "backtest-" + name, value: value === null ? "" : String(value), title: tip, autocomplete: "off", inputmode: "decimal" });
      input[name].addEventListener("input", () => { if (name === "order_size") dirty = true; refused = ""; state(); });
      input[name].addEventListener("keydown", (event) => { if (event.key === "Enter") DOPE.actions["run-backtest"](); });
      return h("label", { class: "fieldset" }, h("span", {}, label), input[name]);
    }));
  }
  /* What is wrong with a field, in words; "" = nothing. */
  function wrong(name, label, low, high) {
    const raw = input[name].value.trim(), value = Number(raw), least = name === "order_size" ? value > low : value >= low;
    if (raw === "" || !Number.isFinite(value)) return `${label}: a number is needed`;
    return least && value <= high ? "" : `${label}: ${name === "order_size" ? "above" : "from"} ${fmt.number(low)} to ${fmt.number(high)}`;
  }
  function problems() {
    return FIELDS.map(([name, label, , low, high]) => {
      const text = wrong(name, label, low, high);
      input[name].setAttribute("aria-invalid", String(Boolean(text)));
      return text;
    }).filter(Boolean);
  }
  function whyNot() {
    if (!DOPE.state.mode) return "waiting for the engine";
    if (DOPE.link.status === "lost") return "the server does not answer";
    if (DOPE.paused()) return "the screen is frozen: resume (Space) to start and see it run";
    if (DOPE.jobs.active("backtest")) return "a backtest is running";
    if (asked) return "asked: the worker process is starting";
    const recording = DOPE.state.mode.recording || {};
    if (!$("backtest-tape").value && !recording.on) return "nothing is being recorded: choose a recording";
    return problems()[0] || "";
  }
  function state() {
    if (!input.latency_ms) return;
    if (asked && DOPE.state.jobs.has(asked)) asked = 0;
    const size = (DOPE.state.mode || {}).order_size;
    if (!dirty && size && document.activeElement !== input.order_size) input.order_size.value = String(size);
    const why = whyNot();
    $("run-backtest").disabled = Boolean(why);
    DOPE.text("backtest-why", refused || why || "runs in a worker process; the live market goes on");
    $("backtest-why").classList.toggle("bad", Boolean(refused) || (Boolean(why) && problems()[0] === why));
    DOPE.jobs.show("backtest-job", "backtest", "wide");
    const title = document.querySelector("#backtest-empty h3"), now = DOPE.jobs.active("backtest") ? "The result will stand here" : "No backtest yet";
    if (title && title.textContent !== now) title.textContent = now;
  }
  DOPE.actions["run-backtest"] = async () => {
    if (whyNot()) return state();
    const args = { latency_ms: Number(input.latency_ms.value), order_size: Number(input.order_size.value) }, tape = $("backtest-tape").value;
    if (tape) args.tape = tape;
    [asked, refused, wanted] = [-1, "", 0];
    state();
    try { asked = (await DOPE.ask("backtest", args)).job; } catch (error) { [asked, refused] = [0, `refused: ${error.message}`]; }
    state();
  };

  /* -- which report ---------------------------------------------------------------------------------------------- */
  function reports() {
    for (const job of DOPE.jobs.of("backtest")) if (job.state === "done" && job.result && !kept.has(job.id)) kept.set(job.id, { id: job.id, ended: job.ended, report: job.result });
    while (kept.size > KEEP) kept.delete(kept.keys().next().value);
    const all = [...kept.values()].reverse(), shown = kept.get(wanted) || all[0] || null;
    $("backtest-empty").hidden = Boolean(shown);
    $("backtest-result").hidden = !shown;
    if (!shown) return;
    DOPE.options("backtest-shown", all.map((one) => [String(one.id), `Run ${fmt.number(one.id)} · ${fmt.clock(one.ended)} · ${fmt.number(one.report.result.latency_ms)}${fmt.THIN}ms · ${fmt.size(one.report.order_size)}`]), String(shown.id));
    DOPE.backtest.show(shown);
  }
  DOPE.backtest = { show: () => {}, shown: null };
  DOPE.ready(() => {
    build();
    DOPE.on("jobs", () => { state(); reports(); });
    ["mode", "second", "link", "held"].forEach((section) => DOPE.on(section, state));
    $("backtest-tape").addEventListener("change", () => { refused = ""; state(); });
    $("backtest-shown").addEventListener("change", (event) => { wanted = Number(event.target.value); reports(); });
  });
})();
