/* The line to the server: WebSocket with resync and back-off; polling where WebSockets are blocked. */
(function () {
  "use strict";
  const DOPE = window.DOPE, link = DOPE.link;
  const FIRST_MS = 500, LAST_MS = 10000, SILENT_MS = 2500, MUTE_MS = 5000, PING_MS = 1000, SAY_MS = 15000, SETTLED_MS = 5000, POLL_AFTER = 2;
  let socket = null, timer = 0, attempts = 0, everOpen = false, lastHeard = 0, lastSaid = 0, resyncing = false, bestRtt = Infinity;
  const GONE = 4404;   // close code: there is no such replay
  Object.assign(link, { stream: "", foreign: false, hold: false, lostAt: 0, nextTry: 0, attempts: 0, polling: false, lastMessage: 0 });

  function status(name) {
    if (link.status !== name) { link.status = name; DOPE.touch("link"); }
  }
  function lost() {
    if (!link.lostAt) link.lostAt = Date.now();
    if (!link.polling) status(everOpen ? "lost" : "connecting");
  }
  function connect() {
    clearTimeout(timer);
    link.nextTry = 0;
    const scheme = location.protocol === "https:" ? "wss://" : "ws://";
    let opened = false;
    const mine = (socket = new WebSocket(scheme + location.host + (link.stream ? "/ws/v1/replay/" + link.stream : "/ws/v1/live")));
    lastHeard = lastSaid = Date.now();
    [tested, told] = [undefined, Date.now() - SAY_MS + SETTLED_MS];
    mine.onopen = () => { opened = true; lastHeard = Date.now(); bestRtt = Infinity; ping(); };
    mine.onmessage = (event) => { if (socket === mine) hear(event.data); };
    mine.onclose = (event) => {
      if (socket !== mine) return;
      socket = null;
      if (event.code === GONE && DOPE.streamGone) return DOPE.streamGone();
      lost();
      if (!opened && !everOpen && attempts >= POLL_AFTER - 1) poll(true);
      again();
    };
  }
  function again() {
    const wait = Math.min(LAST_MS, FIRST_MS * 2 ** attempts) * (0.75 + Math.random() * 0.25);
    attempts += 1;
    link.attempts = attempts;
    link.nextTry = Date.now() + wait;
    timer = setTimeout(connect, wait);
    DOPE.touch("link");
  }
  function hear(text) {
    lastHeard = Date.now();
    const message = JSON.parse(text);
    if (message.type === "pong") return pong(message);
    lastSaid = lastHeard;
    link.age = message.age_ms || 0;
    link.bytes += text.length;
    link.messages += 1;
    arrived(message);
    if (message.type === "snapshot") {
      everOpen = true;
      resyncing = false;
      attempts = 0;
      poll(false);
      Object.assign(link, { lostAt: 0, attempts: 0, lastMessage: lastHeard });
      DOPE.receive(message);
      status("live");
    } else if (message.type === "delta" && !resyncing) {
      link.lastMessage = lastHeard;
      if (!DOPE.receive(message)) DOPE.resync();
    }
  }
  DOPE.resync = function () {
    link.resyncs = (link.resyncs || 0) + 1;
    if (socket && socket.readyState === 1) { resyncing = true; socket.send('{"type":"resync"}'); }
  };
  /* The self-test: a page says that its row has come, and whether anybody looks at the page: a hidden one is not waited for. */
  let tested, told = 0;   // number of the newest one that came on this connection, undefined = nothing came yet
  function arrived(message) {
    const row = (message.data || {}).sentinel;
    if (row === undefined && message.type !== "snapshot") return;
    const number = row ? row.opened : 0, first = tested === undefined;
    if (!first && number && number !== tested) seen(number);
    tested = number;
  }
  function seen(n) {
    if (!socket || socket.readyState !== 1 || link.stream) return;
    const t = link.rtt === null ? 0 : performance.timeOrigin + performance.now() + link.offset, count = DOPE.delayCount();
    const screen = count >= 5 ? [DOPE.delay(0.5), DOPE.delay(0.99), count] : null;
    socket.send(JSON.stringify({ type: "seen", n, t, shown: !document.hidden, screen }));
    told = Date.now();
  }
  document.addEventListener("visibilitychange", () => seen(0));
  function ping() {
    if (socket && socket.readyState === 1) socket.send(JSON.stringify({ type: "ping", c: performance.timeOrigin + performance.now() }));
  }
  function pong(message) {
    const now = performance.timeOrigin + performance.now(), rtt = now - message.c;
    link.rtt = rtt;
    bestRtt = Math.min(bestRtt * 1.02, rtt);
    if (rtt <= bestRtt * 1.5) link.offset = message.t - (message.c + rtt / 2);
  }
  function watch() {
    ping();
    if (Date.now() - told > SAY_MS) seen(0);
    const silent = Date.now() - lastHeard > SILENT_MS || Date.now() - lastSaid > MUTE_MS;   // pongs alone prove no stream
    if (socket && silent && !document.hidden) {
      const dead = socket;
      socket = null;
      dead.onclose = null;
      dead.close();
      lost();
      again();
    }
    if (link.status !== "live") DOPE.touch("link");
  }
  /* Change to another market: a replay by its id, "" = live. What is shown stays, as not current, until its first snapshot. */
  DOPE.watch = function (stream) {
    const old = socket;
    socket = null;
    if (old) { old.onclose = null; old.close(); }
    Object.assign(link, { stream, foreign: true, hold: false, lostAt: 0, attempts: 0, seq: -1 });
    attempts = 0;
    status("connecting");
    connect();
  };
  /* Polling: dcc.Interval calls poll_now while it is on. */
  function poll(on) {
    if (link.polling === on) return;
    link.polling = on;
    if (window.dash_clientside && dash_clientside.set_props) dash_clientside.set_props("poll", { disabled: !on });
    DOPE.touch("link");
  }
  async function pollNow() {
    if (!link.polling) return;
    try {
      const answer = await fetch(link.stream ? `/api/v1/replays/${link.stream}/live` : "/api/v1/live", { cache: "no-store" });
      if (!answer.ok) throw new Error(String(answer.status));
      const text = await answer.text(), message = JSON.parse(text);
      link.bytes += text.length;
      link.messages += 1;
      link.age = message.age_ms || 0;
      DOPE.receive(Object.assign(message, { type: "snapshot" }));
      Object.assign(link, { lostAt: 0, lastMessage: Date.now() });
      status("polling");
    } catch (error) {
      if (!link.lostAt) link.lostAt = Date.now();
      status("lost");
    }
  }
  DOPE.retry = function () { attempts = 0; if (!socket) connect(); };
  DOPE.start = function () { if (!link.hold) connect(); setInterval(watch, PING_MS); };

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.dope = Object.assign(window.dash_clientside.dope || {}, {
    poll: () => { pollNow(); return window.dash_clientside.no_update; },
    route: (path) => { if (DOPE.route) DOPE.route(path); return window.dash_clientside.no_update; },
  });
})();
