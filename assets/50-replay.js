/* Replay: the whole page changes over to a recorded market and back. Until the first word of the other market is there,
   what stands on the screen is dimmed; while any replayed number may be seen, the page is violet and says so. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { $, fmt } = DOPE, link = DOPE.link;
  const STORE = "dope.replay";
  let stood = "", wanted = "";   // what was drawn last; why the page is violet although nothing has come yet

  const status = () => DOPE.state.replay || null;
  const remember = (id) => { try { if (id) sessionStorage.setItem(STORE, id); else sessionStorage.removeItem(STORE); } catch (error) { /* private mode */ } };
  const remembered = () => { try { return sessionStorage.getItem(STORE) || ""; } catch (error) { return ""; } };
  const when = (ms) => (typeof ms === "number" && ms > 0 ? new Date(ms).toISOString().replace("T", " ").slice(0, 19) + " UTC" : fmt.UNKNOWN);
  const speedWords = (speed) => (speed === "max" ? "max" : "×" + String(speed));

  /* One request to the API; a refusal is thrown with its words. */
  async function call(method, path, body) {
    let answer;
    try {
      answer = await fetch("/api/v1/" + path, { method, cache: "no-store", credentials: "same-origin", headers: body ? { "Content-Type": "application/json" } : {}, body: body ? JSON.stringify(body) : undefined });
    } catch (error) { throw new Error("the server does not answer"); }
    const found = answer.status === 204 ? null : await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error([found.error || `the server refused (${answer.status})`, found.hint].filter(Boolean).join("; "));
    return found;
  }
  const complain = (error) => { DOPE.toast(error.message, "bad"); return null; };
  /* A button of the shown replay. */
  const press = (verb, body) => (link.stream ? call("POST", `replays/${link.stream}/${verb}`, body || {}).catch(complain) : Promise.resolve(null));

  function watch(id) {
    if (DOPE.paused()) DOPE.freeze(false);
    if (DOPE.inspect) DOPE.inspect(null);
    [wanted, link.opening] = ["", false];
    remember(id);
    DOPE.watch(id);
    paint();
  }
  function live() {
    if (!DOPE.replaying()) return;
    if (link.stream && (status() || {}).state === "running") press("pause");
    [wanted, link.opening] = ["", false];
    remember("");
    DOPE.watch("");
    paint();
  }
  async function create(body) {
    [wanted, link.opening] = ["opening the recording", true];
    paint();
    try {
      watch(String((await call("POST", "replays", body)).id));
      return true;
    } catch (error) {
      DOPE.toast(`No replay: ${error.message}`, "bad");
      [wanted, link.opening] = ["", false];
      if (link.hold) DOPE.watch("");
      paint();
      return false;
    }
  }
  /* The server knows nothing of it any more. */
  DOPE.streamGone = function () {
    const last = status() || {};
    DOPE.state.replay = Object.assign({}, last, { state: "failed", alive: false, reason: "the server no longer knows this replay" });
    DOPE.state.mode = Object.assign({}, DOPE.state.mode, { source: "replay", stopped: true });
    remember("");
    link.foreign = false;
    ["replay", "mode", "link"].forEach(DOPE.touch);
  };
  DOPE.replay = { call, press, watch, live, create, status, when, speedWords };

  /* -- what the frame says ------------------------------------------------------------------------------------ */
  const over = (s) => s.state === "failed" || (s.alive === false && s.state === "ended");
  DOPE.replayWords = function () {
    const s = status();
    if (!s || link.foreign || !s.position) return "REPLAY";
    const time = new Date(s.position).toISOString().slice(11, 19);
    return `REPLAY ${s.state === "running" ? speedWords(s.speed) : s.state === "ended" ? "END" : "paused"} ${time}`;
  };
  DOPE.replayBanner = function () {
    const s = status(), back = [["Back to live", "back-live", "pri"]];
    if (wanted || !s || link.foreign || !s.position) {
      if (s && over(s)) return ["e", "exclamation-triangle", `REPLAY ${s.state.toUpperCase()}: ${s.reason}`, back, "banner-replay"];
      return ["v", "rewind-circle", `REPLAY · ${wanted || (link.stream ? "opening the recording" : "leaving: waiting for the live market")} · not live`, back, "banner-replay"];
    }
    if (over(s)) return [s.state === "failed" ? "e" : "v", "exclamation-triangle", `REPLAY ${s.state.toUpperCase()} at ${when(s.position)}: ${s.reason} · not live`, back, "banner-replay"];
    const how = s.seeking ? `SEEKING ${fmt.percent(s.seeking.done * 100, 0)}` : s.state === "running" ? speedWords(s.speed) : s.state === "ended" ? "END" : "PAUSED";
    return ["v", "rewind-circle", `REPLAY ${how} ${when(s.position)} · not live${s.source === "sim" ? " · of the simulated market" : ""}`, back, "banner-replay"];
  };
  function paint() {
    const on = DOPE.replaying(), s = status(), root = $("dope-app");
    if (!root) return;
    for (const node of [root, document.documentElement]) if (on) node.dataset.mode = "replay"; else delete node.dataset.mode;
    document.body.classList.toggle("is-seeking", on && Boolean(wanted || link.foreign || (s && s.seeking)));
    const title = (on ? "REPLAY · " : "") + document.title.replace(/^REPLAY · /, "");
    if (document.title !== title) document.title = title;
    const stands = [on, wanted, Boolean(link.foreign), link.stream, s && s.state].join();
    if (stands !== stood) { stood = stands; DOPE.touch("link"); }   // else every publication would be drawn twice
  }

  /* -- deep links: ?at=2026-11-20T14:03:00Z&x=5 (also ?replay=…), and the replay that this tab was showing ------- */
  function asked() {
    const query = new URLSearchParams(location.search), at = query.get("at") || query.get("replay");
    if (!at) return null;
    const x = query.get("x"), speed = x === "max" ? "max" : Number(x) > 0 ? Number(x) : 1;
    ["at", "replay", "x"].forEach((name) => query.delete(name));
    history.replaceState(history.state, "", location.pathname + (query.size ? "?" + query : ""));   // a reload shall not open another one
    return { from: at.slice(0, 40), speed };
  }
  const wish = asked();   // at once: later the page's own router would write the address back
  function begin() {
    const id = remembered();
    if (wish) {
      link.hold = true;
      create(wish);
    } else if (/^\d+$/.test(id)) {
      [link.hold, link.opening, wanted] = [true, true, "looking for the replay of this tab"];
      call("GET", "replays/" + id).then(() => watch(id), () => {
        remember("");
        [wanted, link.opening] = ["", false];
        DOPE.toast("The replay that was shown here has ended: this is live", "");
        DOPE.watch("");
        paint();
      });
    }
    paint();
  }
  const plainLink = DOPE.link_to_view;
  DOPE.link_to_view = function () {
    const text = plainLink(), s = status();
    if (!DOPE.replaying() || !s || !s.position) return text;
    const query = `replay=${new Date(s.position).toISOString().slice(0, 19)}Z&x=${s.speed}`;
    return text + (text.includes("?") ? "&" : "?") + query;
  };

  /* -- what acts on the live market does not act here ------------------------------------------------------------ */
  const freeze = DOPE.actions.pause, exported = DOPE.actions.export;
  const toggle = () => { const s = status(); if (s && link.stream) press(s.state === "running" ? "pause" : "resume"); };
  Object.assign(DOPE.actions, {
    "back-live": live,
    "replay-play": toggle,
    pause: () => (DOPE.replaying() ? toggle() : freeze()),
    export: () => (DOPE.replaying() ? DOPE.toast("Exports hold the live market: go back to live first", "bad") : exported()),
    "replay-step": () => press("step", { by: 1 }),
    "replay-back": () => press("step", { by: -1 }),
    "replay-start": () => { const s = status(); if (s) press("seek", { to: s.from }); },
    "replay-speed": (b) => press("speed", { speed: b.dataset.value === "max" ? "max" : Number(b.dataset.value) }),
    "replay-stop": () => press("stop"),
  });
  document.addEventListener("keydown", (event) => {
    if (!DOPE.replaying() || event.ctrlKey || event.metaKey || event.altKey || (event.key !== "," && event.key !== ".")) return;
    if (event.target.closest("input:not([type=range]), textarea, select, [contenteditable]") || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    DOPE.actions[event.key === "." ? "replay-step" : "replay-back"]();
  });

  DOPE.ready(() => {
    ["replay", "mode", "page", "second"].forEach((section) => DOPE.on(section, paint));
    let refused = "";
    DOPE.on("replay", (s) => { if (s && s.refused && s.refused !== refused) DOPE.toast(s.refused, "bad"); refused = s ? s.refused : ""; });
    begin();
  });
})();
