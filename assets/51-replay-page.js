/* The Replay page: transport of the shown replay, seek bar with marks, loop, and the list of replays. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE, replay = DOPE.replay;
  const MARKS = 600;   // drawn at most
  const STATES = { created: "ready", running: "running", paused: "paused", ended: "at its end", failed: "failed" };
  let bar = null, dragging = false, drawn = "", a = null;

  const share = (s, ms) => Math.max(0, Math.min(1, (ms - s.from) / Math.max(1, s.to - s.from)));
  const at = (s, share) => Math.round(s.from + share * (s.to - s.from));
  const percent = (v) => (v * 100).toFixed(3) + "%";

  function transport(s) {
    const box = $("replay-shown");
    if (!box) return;
    const show = DOPE.replaying();
    box.hidden = !show;
    if (!show || !s) { if (show) { DOPE.text("replay-clock", "…"); DOPE.text("replay-state", "opening the recording"); } return; }
    const gone = s.alive === false, live = !gone && s.ready;
    DOPE.text("replay-transport-note", s.bundle ? `bundle ${s.bundle}` : (s.tapes || []).join(", "));
    DOPE.text("replay-clock", dragging ? replay.when(at(s, bar.value / 1000)) : replay.when(s.position));
    DOPE.text("replay-state", s.seeking ? `seeking ${fmt.percent(s.seeking.done * 100, 0)}` : s.ready || gone ? (STATES[s.state] || s.state) : "opening the recording");
    $("replay-state").dataset.state = s.seeking ? "seeking" : s.state;
    DOPE.text("replay-pace", s.reached && s.state === "running" ? `measured ×${fmt.number(s.reached, s.reached < 10 ? 1 : 0)}` : "");
    const play = $("replay-play"), running = s.state === "running";
    if (play.dataset.on !== String(running)) { play.dataset.on = String(running); DOPE.fill(play, DOPE.icon(running ? "pause-fill" : "play-fill"), h("span", {}, running ? "Pause" : "Play")); }
    for (const b of document.querySelectorAll("#replay-transport .rbuttons button")) b.disabled = !live;
    for (const b of $("replay-speeds").children) {
      const on = b.dataset.value === String(s.speed);
      b.classList.toggle("on", on);
      b.setAttribute("aria-pressed", String(on));
    }
    if (bar && !dragging) bar.value = String(Math.round(share(s, s.position || s.from) * 1000));
    if (bar) { bar.disabled = !live; bar.setAttribute("aria-valuetext", replay.when(s.position)); }
    DOPE.text("replay-from", replay.when(s.from));
    DOPE.text("replay-to", replay.when(s.to));
    DOPE.text("replay-loop", a !== null ? `loop from ${replay.when(a).slice(11, 19)} to …` : s.loop ? `loops ${replay.when(s.loop[0]).slice(11, 19)} – ${replay.when(s.loop[1]).slice(11, 19)}, A ends it` : "");
    DOPE.text("replay-said", gone ? s.reason : s.refused || "");
    DOPE.facts("replay-facts", [
      ["Recorded from", { live: "live venues", sim: "the simulated market", import: "an import" }[s.source] || s.source || fmt.UNKNOWN],
      ["Frames", `${fmt.number(s.frames)} of ${fmt.number(s.frames_total)}`],
      ["Books live", `${fmt.number(s.books_live)} of ${fmt.number(s.books_total)}`, s.books_live < s.books_total ? "mut" : ""],
      ["Missing", (s.holes || []).length ? `${fmt.number(s.holes.length)} holes, ${fmt.number(s.holes.reduce((n, x) => n + x.lost, 0))} frames` : (s.problems || []).length ? `${fmt.number(s.problems.length)} damaged places` : "nothing", "", (s.problems || [])[0]],
      ["Digest", s.digest ? s.digest.slice(0, 16) + "…" + ({ true: " as bundled", false: " NOT as bundled" }[s.as_bundled] || "") : s.whole ? fmt.UNKNOWN : "began later than the recording", s.as_bundled === false ? "bad" : "", s.digest || ""],
    ]);
  }
  function marks() {
    const s = replay.status(), holder = $("replay-marks"), list = DOPE.state.marks || [];
    if (!holder || !s) return;
    const key = JSON.stringify([list.length, list[0], list[list.length - 1], s.from, s.to, (s.holes || []).length, s.loop]);
    if (key === drawn) return;
    drawn = key;
    const step = Math.max(1, Math.ceil(list.length / MARKS)), span = (from, to, css, title) => h("i", { class: css, title, style: { left: percent(share(s, from)), width: percent(share(s, to) - share(s, from)) } });
    DOPE.fill(holder, ...(s.loop ? [span(s.loop[0], s.loop[1], "loop", "loop")] : []), ...(s.holes || []).map((x) => span(x.from, x.to, "hole", `frames lost: ${x.reason}`)),
      ...list.filter((_, i) => i % step === 0).map(([ms, kind, text]) => h("i", { class: "mark " + kind, title: text, style: { left: percent(share(s, ms)) } })));
  }
  function seekBar() {
    bar = h("input", { type: "range", min: "0", max: "1000", step: "1", value: "0", "aria-label": "Position", "data-test": "replay-seek" });
    bar.addEventListener("input", () => { dragging = true; transport(replay.status()); });
    bar.addEventListener("change", () => {
      const s = replay.status();
      dragging = false;
      if (s) replay.press("seek", { to: at(s, bar.value / 1000) });
      bar.blur();
    });
    DOPE.fill("replay-seek", bar);
  }
  DOPE.actions["replay-a"] = () => {
    const s = replay.status();
    if (!s) return;
    if (s.loop) { replay.press("loop", { loop: null }); a = null; } else a = s.position;
    transport(s);
  };
  DOPE.actions["replay-b"] = () => {
    const s = replay.status();
    if (!s || a === null) return DOPE.toast("First A: where the loop begins");
    if (s.position <= a) return DOPE.toast("B must lie behind A");
    replay.press("loop", { loop: { a, b: s.position } });
    a = null;
  };

  /* -- all replays ------------------------------------------------------------------------------------------------ */
  function sessions(rows) {
    const box = $("replays-box");
    if (!box) return;
    box.hidden = !rows.length;
    DOPE.rows("replays", rows.map((r) => ({
      key: r.id, css: String(r.id) === DOPE.link.stream ? "chosen" : "",
      cells: [[r.bundle || r.tapes.join(", ")], [(STATES[r.state] || r.state) + (r.reason ? `: ${r.reason}` : ""), r.state === "failed" ? "bad" : ""], [r.position_ms ? replay.when(r.position_ms) : fmt.UNKNOWN],
        [`${replay.speedWords(r.speed)}${r.reached ? ` · ×${fmt.number(r.reached, 1)}` : ""}`], actions(r)],
    })), "");
  }
  function actions(r) {
    const shown = String(r.id) === DOPE.link.stream;
    return h("span", { class: "racts" }, r.alive && !shown ? h("button", { type: "button", class: "chip", "data-act": "replay-watch", "data-value": String(r.id), "data-test": "replay-watch" }, "Watch") : shown ? "shown" : "",
      h("button", { type: "button", class: "chip", "data-act": "replay-remove", "data-value": String(r.id), "data-test": "replay-remove", "aria-label": "End and forget this replay" }, DOPE.icon("trash")));
  }
  async function list() {
    if (DOPE.page !== "replay") return;
    try { sessions(await replay.call("GET", "replays")); } catch (error) { sessions([]); }
  }
  DOPE.actions["replay-watch"] = (b) => replay.watch(b.dataset.value);
  DOPE.actions["replay-remove"] = async (b) => {
    if (b.dataset.value === DOPE.link.stream) replay.live();
    try { await replay.call("DELETE", "replays/" + b.dataset.value, {}); } catch (error) { DOPE.toast(error.message, "bad"); }
    list();
  };

  DOPE.ready(() => {
    seekBar();
    const draw = () => { transport(replay.status()); marks(); };
    ["replay", "page", "link"].forEach((section) => DOPE.on(section, draw));
    DOPE.on("marks", marks);
    let n = 0;
    DOPE.on("second", () => { if (n++ % 3 === 0) list(); });
    DOPE.on("page", list);
  });
})();
