/* Commands and past jobs: the newest of each, read while somebody looks at this page. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { $, fmt } = DOPE, replay = DOPE.replay;
  const ROWS = 20, FRESH_MS = 10000, WIDE = 120;
  let read = 0;

  const words = (given) => { const text = Object.entries(given).map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`).join(", "); return text.length > WIDE ? text.slice(0, WIDE) + "…" : text; };
  const command = (row) => ({ key: row.id, cells: [[replay.when(row.at_ms), "", row.at], [row.who], [row.what], [words(row.detail), "", JSON.stringify(row.detail)]] });
  const job = (row) => ({
    key: `${row.run_ms}-${row.id}`,
    cells: [[replay.when(row.asked_ms), "", row.asked], [row.kind], [row.state + (row.error ? `: ${row.error}` : ""), row.state === "failed" ? "bad" : "", row.error || ""],
      [row.started_ms && row.ended_ms ? fmt.age((row.ended_ms - row.started_ms) / 1000) : fmt.UNKNOWN], [words(row.args), "", JSON.stringify(row.args)]],
  });
  async function part(name, path, draw, none) {
    try { DOPE.rows(name, (await replay.call("GET", `${path}?limit=${ROWS}`)).rows.map(draw), none); return ""; }
    catch (error) { DOPE.rows(name, [], "Not shown."); return error.message; }
  }
  async function load() {
    if (DOPE.page !== "replay" || DOPE.paused() || Date.now() - read < FRESH_MS) return;
    read = Date.now();
    const troubles = [await part("commands", "audit", command, "Nobody has asked for anything yet."), await part("past", "jobs/past", job, "No training or backtest has been asked for yet.")].filter(Boolean);
    if (!$("log-trouble")) return;
    $("log-trouble").hidden = !troubles.length;
    DOPE.text("log-trouble", troubles.length ? `Not all can be shown: ${[...new Set(troubles)].join("; ")}` : "");
  }
  DOPE.ready(() => { ["page", "second"].forEach((section) => DOPE.on(section, load)); });
})();
