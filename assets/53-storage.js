/* The Recording panel: how the recording is kept (room, last seal, last verify), and the gap ledger, newest first. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE, replay = DOPE.replay;
  const PAGE = 50, FRESH_MS = 10000, LOW = 0.05, SOURCES = { live: "live venues", sim: "the simulated market", import: "imports" };
  let kept = null, gaps = null, trouble = "", hours = 24, shown = PAGE, read = 0, asked = 0;

  const day = (ms) => (ms ? replay.when(ms) : fmt.UNKNOWN);
  const verdict = (s) => (s.verified_ms ? `${day(s.verified_ms)}: ${fmt.number(s.sound)} files sound, ${s.problems ? fmt.number(s.problems) + " problems" : "nothing wrong"}` : "never; python app.py verify does it");
  const room = (s) => (s.free_bytes === null ? fmt.UNKNOWN : `${fmt.fileSize(s.free_bytes)} of ${fmt.fileSize(s.disk_bytes)}`);
  function facts(s) {
    const low = s.free_bytes !== null && s.free_bytes < LOW * s.disk_bytes;
    DOPE.facts("storage-facts", [
      ["Now", s.on ? `● recording ${s.path || ""}` : `■ not recording${s.reason ? ": " + s.reason : ""}`, s.on && !s.reason ? "" : "warn", s.reason],
      ["On tapes", s.first_ms ? `${day(s.first_ms)} – ${day(s.last_ms)}` : "nothing yet", "", "From the oldest frame to the newest"],
      ["Tapes", `${fmt.number(s.tapes)}, ${fmt.fileSize(s.tape_bytes)}${s.tape_bytes_max ? ` of at most ${fmt.fileSize(s.tape_bytes_max)}` : ""}`],
      ["Room left", (low ? "■ " : "") + room(s), low ? "bad" : "", "On the disk of the data folder"],
      ["Sealed", `${fmt.number(s.sealed)} tapes, last ${day(s.sealed_last_ms)}${s.waiting ? `; ${fmt.number(s.waiting)} wait` : ""}`, s.seal_trouble ? "warn" : "", s.seal_trouble || "Their rows stand in the history, with checksums"],
      ["Verified", verdict(s), s.problems ? "bad" : s.verified_ms ? "" : "mut", (s.told || []).join("\n")],
      ...(s.seal_trouble ? [["Sealing", s.seal_trouble, "warn"]] : []),
      ...(s.records_trouble ? [["Records", s.records_trouble, "bad"]] : []),
    ]);
  }
  const where = (g) => [g.venue, g.symbol].filter(Boolean).join(" ") || "all";
  const before = (g) => g.what === "recording" && g.why === "nothing was recorded" && kept.first_ms && g.until_ms && g.until_ms <= kept.first_ms + 2000;
  const why = (g) => (before(g) ? "before the oldest recording" : g.why);
  const row = (g) => ({
    key: [g.ts, g.venue, g.symbol, g.what].join(" "),
    cells: [[day(g.ts_ms), "", g.ts], [g.until_ms === null ? "still missing" : day(g.until_ms), g.until_ms === null ? "warn" : "", g.until || ""], [fmt.age(g.seconds)], [g.what], [where(g)], [why(g), "", g.why],
      [g.lost === null ? fmt.UNKNOWN : fmt.number(g.lost), g.lost ? "warn" : "off"]],
  });
  function draw() {
    if (!$("storage-facts")) return;
    $("storage-wait").hidden = kept !== null || Boolean(trouble);
    $("storage-trouble").hidden = !trouble;
    DOPE.text("storage-trouble", trouble);
    for (const b of $("gaps-spans").children) { const on = Number(b.dataset.value) === hours; b.classList.toggle("on", on); b.setAttribute("aria-pressed", String(on)); }
    if (!kept || !gaps) return;
    DOPE.text("storage-note", `of ${SOURCES[kept.source] || kept.source}; times UTC`);
    facts(kept);
    $("gaps-box").hidden = false;
    const span = hours < 48 ? `${fmt.number(hours)} h` : `${fmt.number(hours / 24)} d`;
    DOPE.text("gaps-sum", gaps.matched ? `In the last ${span}: ${fmt.number(gaps.matched)} gaps; nothing was recorded for ${fmt.age(Math.max(0, gaps.unrecorded_s - gaps.rows.filter(before).reduce((s, g) => s + g.seconds, 0)))}; ${fmt.number(gaps.lost)} frames or rows known to be lost.` +
      (gaps.problems.length ? ` Not used: ${gaps.problems.slice(0, 3).join("; ")}` : "") : `In the last ${span} nothing is missing.`);
    DOPE.rows("gaps", gaps.rows.map(row), `Nothing is missing in the last ${span}.`);
    $("gaps-more").hidden = !gaps.more;
  }
  async function load(force) {
    if (DOPE.page !== "replay" || DOPE.paused() || (!force && Date.now() - read < FRESH_MS)) return;
    const turn = asked = asked + 1, start = Math.round(Date.now() + DOPE.link.offset - hours * 3600000);
    read = Date.now();
    try {
      const now = await replay.call("GET", "storage"), missing = await replay.call("GET", `gaps?source=${now.source}&start=${start}&limit=${shown}`);
      if (turn !== asked) return;   // a later question was asked meanwhile
      [kept, gaps, trouble] = [now, missing, ""];
    } catch (error) {
      if (turn !== asked) return;
      trouble = `The state of the recording cannot be read: ${error.message}`;
    }
    draw();
  }
  DOPE.actions["storage-reload"] = () => load(true);
  DOPE.actions["gaps-span"] = (b) => { hours = Number(b.dataset.value); shown = PAGE; draw(); load(true); };
  DOPE.actions["gaps-more"] = () => { shown += PAGE; load(true); };
  DOPE.ready(() => { ["page", "second"].forEach((section) => DOPE.on(section, () => load(false))); });
})();
