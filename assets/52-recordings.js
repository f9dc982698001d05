/* The recordings: a bar of 24 hours per day with what is covered and what is missing, and one row per recording. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE, replay = DOPE.replay;
  const DAY = 86400000, DAYS = 14, ROWS = 100, FRESH_MS = 10000;
  const SOURCES = { live: "live", sim: "simulated", import: "imported" };
  let runs = null, bundles = [], trouble = "", read = 0;

  /* Tapes of one run of the program are one recording. */
  function together(tapes) {
    const found = new Map();
    for (const tape of tapes) {
      const key = tape.error || !tape.session ? tape.name : tape.source + tape.session, run = found.get(key);
      if (!run) { found.set(key, Object.assign({ parts: 1 }, tape, { gaps: [...tape.gaps] })); continue; }
      Object.assign(run, { parts: run.parts + 1, last_ms: Math.max(run.last_ms, tape.last_ms), frames: run.frames + tape.frames, bytes: run.bytes + tape.bytes, lost: run.lost + tape.lost, complete: tape.complete, sealed: run.sealed && tape.sealed });
      run.gaps.push(...tape.gaps);
    }
    return [...found.values()].sort((a, b) => (b.first_ms || 0) - (a.first_ms || 0));
  }
  const growing = (run) => !run.complete && run.last_ms && Date.now() + DOPE.link.offset - run.last_ms < 60000;
  function block(run, day) {
    const from = Math.max(run.first_ms, day), to = Math.min(run.last_ms, day + DAY), place = (ms) => ((ms - day) / DAY * 100).toFixed(4) + "%";
    const words = `${replay.when(run.first_ms)} – ${replay.when(run.last_ms)} · ${SOURCES[run.source] || run.source} · ${fmt.number(run.frames)} frames`;
    return [h("button", { type: "button", class: "rblock " + run.source, title: words, "aria-label": `Play ${words}`, "data-act": "recording-play", "data-value": run.name, "data-from": String(from), "data-to": String(to), "data-test": "recording-block",
      style: { left: place(from), width: ((to - from) / DAY * 100).toFixed(4) + "%" } }),
      ...run.gaps.filter((gap) => gap.to_ms >= day && gap.from_ms < day + DAY).map((gap) => h("i", { class: "rgap", title: `${fmt.number(gap.lost)} frames lost: ${gap.reason}`, style: { left: place(Math.max(gap.from_ms, day)), width: ((gap.to_ms - gap.from_ms) / DAY * 100).toFixed(4) + "%" } }))];
  }
  function days(list) {
    const known = list.filter((run) => run.first_ms && !run.error), found = new Set();
    for (const run of known) for (let day = Math.floor(run.first_ms / DAY); day <= Math.floor(run.last_ms / DAY) && found.size < 400; day += 1) found.add(day);
    return [...found].sort((a, b) => b - a).slice(0, DAYS).map((day) => h("div", { class: "rday" }, h("span", {}, new Date(day * DAY).toISOString().slice(0, 10)),
      h("div", { class: "rtrack" }, ...known.filter((run) => run.first_ms < (day + 1) * DAY && run.last_ms >= day * DAY).flatMap((run) => block(run, day * DAY)))));
  }
  function row(run) {
    const usable = run.frames > 0 && !run.error, state = run.error ? "unreadable" : growing(run) ? "recording now" : [run.complete ? "closed" : "cut off", run.sealed ? "sealed" : ""].filter(Boolean).join(", ");
    return {
      key: run.name,
      cells: [[usable ? replay.when(run.first_ms) : run.name, "", run.name], [usable ? fmt.age((run.last_ms - run.first_ms) / 1000) : fmt.UNKNOWN], [SOURCES[run.source] || run.source || fmt.UNKNOWN], [fmt.number(run.frames)], [fmt.fileSize(run.bytes)],
        [state, run.error ? "bad" : "", run.error || ""], [run.lost ? `${fmt.number(run.lost)} frames` : usable ? "nothing" : fmt.UNKNOWN, run.lost ? "warn" : "off"],
        h("button", { type: "button", class: "chip", "data-act": "recording-play", "data-value": run.name, "data-test": "recording-play", disabled: !usable }, DOPE.icon("play-fill"), "Play")],
    };
  }
  const bundled = (one) => ({
    key: one.name,
    cells: [[one.name, "", one.error || ""], [one.error || one.tapes.join(", "), one.error ? "bad" : ""], [fmt.fileSize(one.bytes)],
      h("button", { type: "button", class: "chip", "data-act": "bundle-play", "data-value": one.name, "data-test": "bundle-play", disabled: Boolean(one.error) }, DOPE.icon("play-fill"), "Play")],
  });
  function draw() {
    if (!$("recordings-days")) return;
    const none = runs !== null && !runs.length;
    $("recordings-wait").hidden = runs !== null || Boolean(trouble);
    $("recordings-trouble").hidden = !trouble;
    DOPE.text("recordings-trouble", trouble);
    $("recordings-none").hidden = !none;
    $("recordings-table").hidden = !runs || none;
    $("bundles-table").hidden = !bundles.length;
    DOPE.rows("bundles", bundles.slice(0, ROWS).map(bundled), "");
    if (none) {
      const mode = DOPE.state.mode || {}, rec = mode.recording || {};
      DOPE.text("recordings-why", rec.on ? "This run is being recorded: its first seconds are on their way to the disk." : `Nothing is recorded${rec.reason ? ": " + rec.reason : ""}. The sample market shows how it works, without a network.`);
      document.querySelector('[data-act="replay-sample"]').hidden = mode.source === "sim" || DOPE.replaying();
    }
    if (!runs) return;
    DOPE.fill("recordings-days", ...days(runs), ...(runs.length ? [h("div", { class: "rday hours" }, h("span"), h("div", { class: "rtrack" }, ...["00", "06", "12", "18", "24"].map((t) => h("span", {}, t))))] : []));
    DOPE.rows("recordings", runs.slice(0, ROWS).map(row), "");
    DOPE.text("recordings-card-note", runs.length ? `${fmt.number(runs.length)} recordings, UTC; click a bar to play from there` : "");
  }
  async function load(force) {
    if (DOPE.page !== "replay" || (!force && Date.now() - read < FRESH_MS)) return;
    read = Date.now();
    try { [runs, bundles, trouble] = [together(await replay.call("GET", "recordings")), await replay.call("GET", "bundles"), ""]; } catch (error) { trouble = `The recordings cannot be listed: ${error.message}`; }
    draw();
  }
  DOPE.actions["recordings-reload"] = () => load(true);
  DOPE.actions["recording-play"] = (b, event) => {
    const body = { tape: b.dataset.value, speed: 1 }, box = b.getBoundingClientRect();
    if (b.dataset.from && event.detail > 0 && box.width > 12) {
      const from = Number(b.dataset.from), share = (event.clientX - box.left) / box.width;
      body.from = Math.round(from + share * (Number(b.dataset.to) - from));
    }
    replay.create(body).then((shown) => shown && load(true));
  };
  DOPE.actions["bundle-play"] = (b) => replay.create({ bundle: b.dataset.value, speed: 1 });
  DOPE.actions["replay-sample"] = () => DOPE.ask("source", { to: "sim" }).then(() => DOPE.toast("Starting the simulated market; its recording will stand here"), () => {});
  DOPE.ready(() => {
    ["page", "second"].forEach((section) => DOPE.on(section, () => load(false)));
    DOPE.on("mode", () => { if (DOPE.page === "replay" && runs && !runs.length) draw(); });
  });
})();
