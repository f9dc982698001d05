/* How numbers, times and units look on the screen: the same rules as dope/format.py. */
(function () {
  "use strict";
  const UNKNOWN = "–", MINUS = "\u2212", THIN = "\u2009";
  const known = (v) => typeof v === "number" && Number.isFinite(v);

  const style = { group: THIN };   // what stands between thousands
  /* 91234.5, 1 → "91 234.5"; no sign on what rounds to nothing. */
  function number(v, digits = 0) {
    if (!known(v)) return UNKNOWN;
    let text = Math.abs(v).toFixed(digits);
    const dot = text.indexOf("."), whole = dot < 0 ? text : text.slice(0, dot);
    text = whole.replace(/\B(?=(\d{3})+$)/g, style.group) + (dot < 0 ? "" : text.slice(dot));
    return v < 0 && /[1-9]/.test(text) ? MINUS + text : text;
  }
  function signed(v, digits = 1) {
    const text = number(v, digits);
    return v > 0 && /[1-9]/.test(text) ? "+" + text : text;
  }
  /* 1, "jump" → "1 jump"; 2 → "2 jumps". */
  const counted = (v, word) => `${number(v)} ${word}${v === 1 ? "" : "s"}`;
  const unit = (text, of) => (text === UNKNOWN || !of ? text : text + THIN + of);
  const bps = (v, digits = 2) => signed(v, digits);
  const percent = (v, digits = 1) => unit(number(v, digits), "%");
  const money = (v, currency) => unit(number(v, 2), currency);

  function short(v, wholeBelow, units) {
    if (!known(v) || Math.abs(v) < wholeBelow) return number(v);
    for (const [scale, name] of units) {
      const s = v / scale, m = Math.abs(s);
      if (m < 999.5 || name === units[units.length - 1][1]) return number(s, m < 9.995 ? 2 : m < 99.95 ? 1 : 0) + name;
    }
    return UNKNOWN;
  }
  const size = (v) => short(v, 999999.5, [[1e6, "M"], [1e9, "B"]]);
  const count = (v) => short(v, 9999.5, [[1e3, "k"], [1e6, "M"], [1e9, "B"]]);

  function quantity(v) {
    if (!known(v) || v === 0) return number(v);
    const text = number(v, Math.min(12, Math.max(0, 4 - Math.floor(Math.log10(Math.abs(v))))));
    return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  }
  function fileSize(v) {
    if (!known(v) || Math.abs(v) < 999.5) return unit(number(v), "B");
    for (const [scale, name] of [[1e3, "kB"], [1e6, "MB"], [1e9, "GB"]]) {
      if (Math.abs(v) / scale < 999.95) return unit(number(v / scale, 1), name);
    }
    return unit(number(v / 1e12, 1), "TB");
  }
  function decimals(tick) {
    const text = String(tick), e = text.indexOf("e-");
    if (e >= 0) return Math.min(12, Number(text.slice(e + 2)) + (text.slice(0, e).split(".")[1] || "").length);
    return Math.min(12, (text.split(".")[1] || "").length);
  }
  function price(v, tick) {
    if (!known(v)) return UNKNOWN;
    if (tick > 0) return number(v, decimals(tick));
    return number(v, Math.min(12, Math.max(2, v ? 5 - Math.floor(Math.log10(Math.abs(v))) : 2)));
  }
  /* Seconds as "3.4 s", then m, h, d. */
  function age(s) {
    if (!known(s)) return UNKNOWN;
    for (const [scale, name] of [[1, "s"], [60, "m"], [3600, "h"]]) {
      if (Math.abs(s) / scale < 99.95) return unit(number(s / scale, 1), name);
    }
    return unit(number(s / 86400, 1), "d");
  }
  /* Milliseconds as "180 ms" below one second, then as an age. */
  const ageMs = (ms) => (known(ms) && Math.abs(ms) < 999.5 ? unit(number(ms), "ms") : age(known(ms) ? ms / 1000 : null));

  const zone = { local: false };
  const zoneName = () => (zone.local ? "local" : "UTC");
  /* What a chart's time axis takes: "2026-11-21 14:03:07.123" in the time zone chosen. */
  const stamp = (ms) => (known(ms) ? new Date(zone.local ? ms - new Date(ms).getTimezoneOffset() * 60000 : ms).toISOString().slice(0, 23).replace("T", " ") : null);
  const separators = () => "." + style.group;   // of charts
  const pad = (n, w = 2) => String(n).padStart(w, "0");
  function clock(ms) {
    if (!known(ms) || ms <= 0) return UNKNOWN;
    const d = new Date(ms), L = zone.local;
    return pad(L ? d.getHours() : d.getUTCHours()) + ":" + pad(L ? d.getMinutes() : d.getUTCMinutes()) + ":" +
      pad(L ? d.getSeconds() : d.getUTCSeconds()) + "." + Math.floor(d.getUTCMilliseconds() / 100);
  }
  const DOPE = (window.DOPE = window.DOPE || {});
  DOPE.fmt = { UNKNOWN, MINUS, THIN, number, counted, signed, bps, percent, money, size, count, quantity, fileSize, decimals, price, age, ageMs, clock, zone, zoneName, stamp, separators, style };
})();
