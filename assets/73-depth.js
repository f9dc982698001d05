/* Depth, what is known: asks /api/v1/depth once a second while somebody looks, and keeps half an hour of it. */
(function () {
  "use strict";
  const DOPE = window.DOPE, STORE = "dope.depth", EVERY_MS = 950, STALE_MS = 4000, FULL = 600, NAME = /^[A-Z0-9-]{1,32}$/;
  const DEFAULTS = { symbol: "", venue: "", window: 300, factor: 1, low: 0, high: 99, unit: "%", map: "default", order: null, table: false };
  const want = Object.assign({}, DEFAULTS), data = { points: [], dots: new Map(), answer: null, at: 0, trouble: "", key: "" };
  let asked = 0, busy = false;

  try {
    const kept = JSON.parse(localStorage.getItem(STORE) || "{}");
    for (const name of Object.keys(DEFAULTS)) if (Object.hasOwn(kept, name) && typeof kept[name] === typeof (DEFAULTS[name] ?? 0)) want[name] = kept[name];
  } catch (error) { /* private mode: the defaults do */ }
  if (![60, 300, 1800].includes(want.window)) want.window = DEFAULTS.window;
  if (![1, 2, 5, 10].includes(want.factor)) want.factor = 1;

  const depth = (DOPE.depth = { want, data, STALE_MS });
  depth.choose = function (changes) {
    Object.assign(want, changes);
    try { localStorage.setItem(STORE, JSON.stringify(want)); } catch (error) { /* as above */ }
    if (["symbol", "venue", "window", "factor", "order"].some((name) => name in changes)) { asked = 0; depth.load(); }
    DOPE.touch("depth");
  };
  /* Symbols with order books, those of the asset and kind chosen above first. */
  depth.symbols = function () {
    const found = new Map();
    for (const i of DOPE.state.instruments.values()) {
      if (i.kind === "reference" || !NAME.test(i.symbol)) continue;
      const s = found.get(i.symbol) || { symbol: i.symbol, base: i.base, kind: i.kind, live: 0, tick: i.tick };
      s.live += i.state === "LIVE" ? 1 : 0;
      if (i.tick && (!s.tick || i.tick < s.tick)) s.tick = i.tick;
      found.set(i.symbol, s);
    }
    const all = [...found.values()], seen = all.filter((s) => DOPE.inView(s.base, s.kind));
    return (seen.length ? seen : all).sort((a, b) => (a.symbol < b.symbol ? -1 : 1));
  };
  depth.symbol = function () {
    const all = depth.symbols();
    if (all.some((s) => s.symbol === want.symbol)) return want.symbol;
    const best = [...all].sort((a, b) => b.live - a.live || (b.base === "BTC") - (a.base === "BTC"))[0];
    return best ? best.symbol : "";
  };
  depth.venues = (symbol) => [...DOPE.state.instruments.values()].filter((i) => i.symbol === symbol && i.kind !== "reference").map((i) => i.venue);
  depth.tick = () => { const s = depth.symbols().find((each) => each.symbol === depth.symbol()); return (s && s.tick) || 0; };

  function take(answer, whole) {
    const heat = answer.heatmap, first = whole ? [] : data.points;
    const fresh = heat.points.map((p) => ({ t: p.t, mid: p.mid, first: p.first, sizes: Float32Array.from(p.intensity, (v) => v * (heat.peak || 0)) }));
    const last = first.length ? first[first.length - 1].t : 0;
    data.points = first.concat(fresh.filter((p) => p.t > last)).filter((p) => p.t >= answer.t - want.window * 1000);
    if (whole) data.dots.clear();
    for (const dot of answer.trades.dots) data.dots.set(dot[0] + ":" + dot[3], dot);
    for (const [key, dot] of data.dots) if (dot[0] < answer.t - want.window * 1000) data.dots.delete(key);
    Object.assign(data, { answer, at: Date.now(), trouble: "" });
  }
  depth.load = async function () {
    if (DOPE.page !== "depth" || DOPE.paused() || DOPE.replaying() || busy || Date.now() - asked < EVERY_MS) return;
    const symbol = depth.symbol();
    if (!symbol) return;
    const venue = depth.venues(symbol).includes(want.venue) ? want.venue : "";
    const key = [symbol, venue, want.window, want.factor].join("|"), whole = key !== data.key || !data.points.length;
    const query = new URLSearchParams({ symbol, window_s: want.window, factor: want.factor, points: FULL });
    if (venue) query.set("venue", venue);
    if (want.order) query.set("order", want.order);
    if (!whole) query.set("after", data.points[data.points.length - 1].t);
    [asked, busy] = [Date.now(), true];
    try {
      const answer = await DOPE.replay.call("GET", "depth?" + query);
      if (key !== data.key) { data.points = []; data.key = key; data.fresh = true; }
      take(answer, whole);
    } catch (error) {
      data.trouble = error.message;
    } finally { busy = false; }
    DOPE.touch("depth");
    if (key !== [depth.symbol(), depth.venues(symbol).includes(want.venue) ? want.venue : "", want.window, want.factor].join("|")) { asked = 0; depth.load(); }
  };
})();
