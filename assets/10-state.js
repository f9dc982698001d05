/* What this browser knows: applies snapshots and deltas, tells listeners once per animation frame, freezes on demand.
   DOPE.state: object sections as sent; venues, instruments, opps, jobs are Maps by key; events and findings newest last; series bounded. */
(function () {
  "use strict";
  const DOPE = (window.DOPE = window.DOPE || {});
  const KEYED = { venues: "id", instruments: "key", opps: "id", jobs: "id" };
  const PARTS = { mode: true };   // of these only what changed is sent
  const LOGS = { events: 500, findings: 1200 };   // how many rows of each are kept
  const KEEP = { points: 900, held: 6000, delays: 600 };
  const state = (DOPE.state = { events: [], findings: [], series: { t: [], mid: Object.create(null) }, venues: new Map(), instruments: new Map(), opps: new Map(), jobs: new Map() });
  const listeners = {};
  const dirty = new Set();
  let frame = 0, late = 0, pause = 0, flushed = 0, joining = false, held = [], frozenAt = 0, newest = 0;
  const delays = [];

  DOPE.link = { seq: 0, offset: 0, rtt: null, status: "connecting", bytes: 0, messages: 0 };
  /* A recorded market is shown, or about to be: what is on the screen is not now. */
  DOPE.replaying = () => Boolean(DOPE.link.stream || DOPE.link.opening) || (state.mode || {}).source === "replay";
  /* The server's clock, as far as this browser knows it; in a replay the recorded time that it has reached. */
  DOPE.now = () => (DOPE.replaying() && state.replay && state.replay.position ? state.replay.position : Date.now() + DOPE.link.offset);
  DOPE.paused = () => frozenAt > 0;
  DOPE.heldCount = () => held.length;
  DOPE.frozenAt = () => frozenAt;

  /* fn(section value, state) runs in the animation frame after `section` changed; at once if there already is one. */
  DOPE.on = function (section, fn) {
    (listeners[section] = listeners[section] || []).push(fn);
    if (state[section] !== undefined) touch(section);
  };
  DOPE.touch = touch;
  function touch(section) {
    dirty.add(section);
    if (!frame) frame = requestAnimationFrame(paint);
  }
  /* What came by the stream is drawn `pause` ms after the time before, all of it together; what somebody did, at once. */
  const waiting = new Set();
  function touchLater(section) {
    const wait = flushed + pause - performance.now();
    if (joining || wait <= 0) { [joining, flushed] = [true, joining ? flushed : performance.now()]; return touch(section); }
    waiting.add(section);
    if (!late) late = setTimeout(flush, Math.min(wait, 2147483647));
  }
  function flush() {
    clearTimeout(late);
    [late, joining, flushed] = [0, true, performance.now()];
    waiting.forEach(touch);
    waiting.clear();
  }
  DOPE.pace = (ms) => { pause = ms; if (waiting.size) flush(); };
  function paint() {
    frame = 0;
    joining = false;
    const now = [...dirty];
    dirty.clear();
    for (const section of now) for (const fn of listeners[section] || []) {
      try { fn(state[section], state); } catch (error) { console.error("DOPE", section, error); }
    }
    if (newest) measure(newest);
    newest = 0;
  }
  /* Event → screen: the newest event's receipt at the server to the end of this paint. */
  function measure(eventMs) {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      const delay = performance.timeOrigin + performance.now() + DOPE.link.offset - eventMs;
      if (DOPE.replaying() || document.hidden || delay < -50 || delay > 60000 || DOPE.link.rtt === null) return;
      delays.push(Math.max(0, delay));
      if (delays.length > KEEP.delays) delays.shift();
    };
    channel.port2.postMessage(0);
  }
  DOPE.delay = function (quantile) {
    if (delays.length < 5 || DOPE.replaying()) return null;
    const sorted = [...delays].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))];
  };

  DOPE.delayCount = () => (DOPE.replaying() ? 0 : delays.length);

  /* One message of the stream; false = there is a hole before it and it was not used. */
  DOPE.receive = function (message) {
    const link = DOPE.link;
    if (message.type === "delta" && message.seq !== link.seq + 1) return false;
    link.seq = message.seq;
    if (link.foreign) {   // the first word of another market: nothing of the one before may stay
      if (message.type !== "snapshot") return false;
      link.foreign = false;
      clear();
    }
    if (DOPE.paused()) {
      if (message.type === "snapshot") held = [];
      if (held.length < KEEP.held) held.push(message);
      else DOPE.overflowed = true;
      touch("held");
    } else apply(message);
    return true;
  };
  function clear() {
    for (const section of Object.keys(state)) {
      if (section in KEYED) state[section].clear();
      else if (!(section in LOGS) && section !== "series") delete state[section];
    }
    Object.assign(state, { events: [], findings: [], series: { t: [], mid: {} } });
    [held, delays.length] = [[], 0];
  }
  function apply(message) {
    const whole = message.type === "snapshot";
    for (const [section, value] of Object.entries(message.data)) {
      if (section in KEYED) keyed(section, value, whole);
      else if (section in LOGS) log(section, value, whole);
      else if (section === "series") series(value, whole);
      else state[section] = section in PARTS && !whole ? Object.assign({}, state[section], value) : value;
      touchLater(section);
    }
    state.t = message.t;
    if (message.event_ns && !whole) newest = Math.max(newest, message.event_ns / 1e6);
    touchLater("applied");
  }
  function keyed(section, value, whole) {
    const map = state[section], at = value.cols.indexOf(KEYED[section]);
    if (value.all || whole) map.clear();
    for (const gone of value.del || []) map.delete(gone);
    for (const row of value.set || []) {
      const old = map.get(row[at]) || {};
      value.cols.forEach((col, i) => { old[col] = row[i]; });
      map.set(row[at], old);
    }
  }
  function log(section, rows, whole) {
    if (whole && section === "events") state.told = (state.told || 0) + 1;   // which telling of the past this is
    const old = whole ? [] : state[section], last = old.length ? old[old.length - 1].id : -1;
    state[section] = old.concat(rows.filter((row) => whole || row.id > last)).slice(-LOGS[section]);
  }
  function series(value, whole) {
    const now = state.series, fresh = value.t || [], old = now.t.length;
    const cut = whole || value.all ? fresh[0] : null;   // keep what is older than the new block: it is the longer memory
    const keep = cut === null ? old : cut === undefined ? 0 : now.t.findIndex((t) => t >= cut);
    const n = keep < 0 ? old : keep;
    const added = Object.assign(Object.create(null), value.mid);   // keys are names: none may mean something to the language
    const joined = { t: now.t.slice(0, n).concat(fresh).slice(-KEEP.points), mid: Object.create(null) };
    for (const key of new Set([...Object.keys(now.mid), ...Object.keys(added)])) {
      const before = now.mid[key] ? now.mid[key].slice(0, n) : new Array(n).fill(null);
      joined.mid[key] = before.concat(added[key] || new Array(fresh.length).fill(null)).slice(-KEEP.points);
    }
    state.series = joined;
  }

  DOPE.freeze = function (on) {
    if (on === DOPE.paused()) return;
    if (on) frozenAt = DOPE.now();
    else {
      frozenAt = 0;
      const waiting = held;
      held = [];
      waiting.forEach(apply);
      if (DOPE.overflowed && DOPE.resync) DOPE.resync();
      DOPE.overflowed = false;
    }
    touch("held");
    touch("link");
  };

  /* A command to the engine. Resolves to {job}; a refusal is said in a toast and rejects. */
  DOPE.ask = async function (name, args) {
    let text = "the server does not answer";
    if (DOPE.replaying()) {
      text = "this acts on the live market: go back to live first";
      if (DOPE.toast) DOPE.toast(`${name}: ${text}`, "bad");
      throw new Error(text);
    }
    try {
      const answer = await fetch("/api/v1/commands", {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ name, args: args || {} }), credentials: "same-origin",
      });
      const body = await answer.json().catch(() => ({}));
      if (answer.ok) return body;
      text = body.error ? [body.error, body.hint].filter(Boolean).join("; ") : `the server refused (${answer.status})`;
    } catch (error) { /* text already says it */ }
    if (DOPE.toast) DOPE.toast(`${name}: ${text}`, "bad");
    throw new Error(text);
  };
})();
