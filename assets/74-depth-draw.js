/* Depth, how it looks: the heat map with its trades and mid, and the book beside it on the same price axis. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { $, fmt, depth } = DOPE, { want, data } = depth;
  const FONT = "Inter, system-ui, sans-serif", LEFT = 66, BOTTOM = 24, TOP = 6, SEEN = 104, GAMMA = 0.6, LEVELS = 256;
  const MAPS = {
    default: [[0, [9, 14, 21]], [0.06, [13, 27, 46]], [0.3, [20, 58, 106]], [0.55, [38, 140, 146]], [0.78, [240, 194, 75]], [1, [255, 246, 214]]],
    grey: [[0, [9, 12, 16]], [1, [245, 245, 245]]],
  };
  const view = (depth.view = { follow: true, t1: 0, middle: 0, seen: 1, cursor: null });
  const sheet = document.createElement("canvas"), luts = {};
  let drawn = "";

  function lut(name) {
    if (luts[name]) return luts[name];
    const out = new Uint32Array(LEVELS), stops = MAPS[name];
    for (let i = 0; i < LEVELS; i += 1) {
      const v = i / (LEVELS - 1), k = Math.max(1, stops.findIndex(([at]) => at >= v)), [a, from] = stops[k - 1], [b, to] = stops[k];
      const [r, g, bl] = from.map((c, j) => Math.round(c + (to[j] - c) * ((v - a) / (b - a))));
      out[i] = (255 << 24) | (bl << 16) | (g << 8) | r;
    }
    return (luts[name] = out);
  }
  depth.gradient = (name) => `linear-gradient(90deg, ${MAPS[name].map(([at, c]) => `rgb(${c}) ${at ** (1 / GAMMA) * 100}%`).join(", ")})`;

  /* Sizes at the two cut-offs: shares of the buckets shown that hold something, or base units. */
  depth.cutoffs = function () {
    if (want.unit !== "%") return [want.low, Math.max(want.high, want.low + 1e-12)];
    const all = [];
    for (const p of data.points) for (const v of p.sizes) if (v > 0) all.push(v);
    if (!all.length) return [0, 1];
    const sorted = Float32Array.from(all).sort(), at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share / 100 * sorted.length))];
    return [want.low > 0 ? at(want.low) : 0, at(want.high) || 1];
  };
  const step = () => (data.answer ? data.answer.heatmap.step : null);
  const every = () => (data.answer ? data.answer.heatmap.every_s * 1000 : 1000);

  /* One pixel per bucket and moment; made anew only when something of it has changed. */
  function paintSheet() {
    const points = data.points, first = points[0], last = points[points.length - 1], [low, high] = depth.cutoffs();
    const key = [data.key, points.length, first.t, last.t, want.map, low, high].join();
    if (key === drawn) return;
    drawn = key;
    let bottom = Infinity, top = -Infinity;
    for (const p of points) { bottom = Math.min(bottom, p.first); top = Math.max(top, p.first + p.sizes.length); }
    top = Math.max(top, bottom + 1);
    const w = Math.round((last.t - first.t) / every()) + 1, hgt = top - bottom, colours = lut(want.map);
    Object.assign(sheet, { width: w, height: hgt });
    const g = sheet.getContext("2d"), image = g.createImageData(w, hgt), cells = new Uint32Array(image.data.buffer);
    for (const p of points) {
      const x = Math.round((p.t - first.t) / every());
      for (let y = 0; y < hgt; y += 1) cells[y * w + x] = colours[0];
      for (let i = 0; i < p.sizes.length; i += 1) {
        const share = Math.min(1, Math.max(0, (p.sizes[i] - low) / (high - low)));
        cells[(top - 1 - (p.first + i - 0)) * w + x] = colours[Math.round(share ** GAMMA * (LEVELS - 1))];
      }
    }
    g.putImageData(image, 0, 0);
    Object.assign(sheet, { t0: first.t, top, bottom });
  }

  function fit(canvas) {
    const box = canvas.parentNode.getBoundingClientRect(), ratio = window.devicePixelRatio || 1, w = Math.round(box.width), hgt = Math.round(box.height);
    if (!w || !hgt) return null;
    if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(hgt * ratio)) Object.assign(canvas, { width: Math.round(w * ratio), height: Math.round(hgt * ratio) });
    const g = canvas.getContext("2d");
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, w, hgt);
    g.textBaseline = "middle";
    return { g, w, hgt, plot: hgt - BOTTOM - TOP };
  }
  /* The window in time and price; while following, at now and at the mid, which it leaves alone until it nears an edge. */
  depth.frame = function (plot) {
    const s = step(), answer = data.answer, span = want.window * 1000, buckets = SEEN * view.seen / want.factor;
    if (view.follow) {
      view.t1 = answer.t;
      const mid = answer.mid ?? (data.points.length ? data.points[data.points.length - 1].mid : 0), at = mid / s;
      if (data.fresh || Math.abs(at - view.middle) > buckets * 0.22) view.middle = at;
      data.fresh = false;
    }
    const bucket = plot / buckets;
    return { s, span, t0: view.t1 - span, bucket, top: view.middle + buckets / 2, bottom: view.middle - buckets / 2, y: (at) => TOP + (view.middle + buckets / 2 - at) * bucket };
  };
  const NICE = [1, 2, 5];
  function ticks(from, to, about) {
    const raw = (to - from) / about, power = 10 ** Math.floor(Math.log10(raw)), gap = ([...NICE, 10].find((n) => n * power >= raw) || 10) * power;
    const out = [];
    for (let v = Math.ceil(from / gap) * gap; v <= to; v += gap) out.push(v);
    return [out, gap];
  }
  const TIMES = [5, 10, 15, 30, 60, 120, 300, 600].map((s) => s * 1000);

  function axes({ g, w, hgt }, f, left) {
    g.font = `11px ${FONT}`; g.fillStyle = "#8090A6"; g.strokeStyle = "#212C3A"; g.lineWidth = 1; g.textAlign = "right";
    const [prices, gap] = ticks(f.bottom * f.s, f.top * f.s, Math.max(3, Math.min(9, hgt / 55))), digits = Math.max(0, -Math.floor(Math.log10(gap) + 1e-9));
    for (const p of prices) {
      const y = f.y(p / f.s);
      if (y < TOP + 4 || y > hgt - BOTTOM - 2) continue;
      g.fillText(fmt.number(p, digits), left - 8, y);
      g.beginPath(); g.moveTo(left - 4, y); g.lineTo(left, y); g.stroke();
    }
    return digits;
  }
  function map(place, f) {
    const { g, w, hgt } = place, x = (t) => LEFT + (t - f.t0) / f.span * (w - LEFT);
    g.fillStyle = "#090E15"; g.fillRect(LEFT, TOP, w - LEFT, hgt - BOTTOM - TOP);
    g.save();
    g.beginPath(); g.rect(LEFT, TOP, w - LEFT, hgt - BOTTOM - TOP); g.clip();
    if (data.points.length) {
      paintSheet();
      g.imageSmoothingEnabled = false;
      const half = every();
      g.drawImage(sheet, x(sheet.t0), f.y(sheet.top), sheet.width * half / f.span * (w - LEFT), (sheet.top - sheet.bottom) * f.bucket);
      dots(g, f, x);
      mids(g, f, x);
    }
    cursor(g, f, x, w, hgt);
    g.restore();
    axes(place, f, LEFT);
    g.textAlign = "center"; g.fillStyle = "#8090A6"; g.font = `11px ${FONT}`;
    const gap = TIMES.find((each) => f.span / each <= Math.max(3, (w - LEFT) / 105)) || TIMES[TIMES.length - 1];
    for (let t = Math.ceil(f.t0 / gap) * gap; t <= view.t1; t += gap) if (x(t) > LEFT + 24 && x(t) < w - 26) g.fillText(fmt.clock(t).slice(0, 8), x(t), hgt - BOTTOM / 2 + 1);
  }
  function mids(g, f, x) {
    for (const [width, colour] of [[3.5, "#000000a0"], [1.4, "#FFFFFF"]]) {
      g.lineWidth = width; g.strokeStyle = colour; g.lineJoin = "round"; g.beginPath();
      let before = null;
      for (const p of data.points) {
        const at = x(p.t + every() / 2), y = f.y(p.mid / f.s);
        if (before !== null && p.t - before <= 2.5 * every()) g.lineTo(at, y); else g.moveTo(at, y);
        before = p.t;
      }
      g.stroke();
    }
  }
  function dots(g, f, x) {
    const { pos, neg } = DOPE.display.palette(), all = [...data.dots.values()], most = Math.max(...all.map((d) => d[2]), 1e-300);
    for (const [t, price, size, sign] of all.sort((a, b) => b[2] - a[2])) {
      const r = 0.8 + 8.4 * Math.sqrt(size / most), at = x(t), y = f.y(price / f.s);
      if (at < LEFT - r || y < -r) continue;
      g.beginPath(); g.arc(at, y, r, 0, 7);
      g.fillStyle = `rgba(${sign > 0 ? pos : neg},.86)`; g.fill();
      if (r > 3.2) { g.lineWidth = 1; g.strokeStyle = "#0a0f16b0"; g.stroke(); }
    }
  }
  function cursor(g, f, x, w, hgt) {
    if (!view.cursor) return;
    g.strokeStyle = "#2DD4BF90"; g.lineWidth = 1; g.setLineDash([3, 3]); g.beginPath();
    g.moveTo(LEFT, view.cursor.y); g.lineTo(w, view.cursor.y); g.moveTo(view.cursor.x, TOP); g.lineTo(view.cursor.x, hgt - BOTTOM); g.stroke(); g.setLineDash([]);
  }
  function bars(place, f) {
    const { g, w, hgt } = place, answer = data.answer, left = LEFT, right = w - 12, { pos, neg } = DOPE.display.palette();
    const shown = (rows) => rows.filter(([price]) => price / f.s >= f.bottom - 1 && price / f.s <= f.top);
    const bids = shown(answer.buckets.bids), asks = shown(answer.buckets.asks), most = Math.max(...bids.map((r) => r[1]), ...asks.map((r) => r[1]), 1e-300);
    const digits = axes(place, f, left), [sizes, gap] = ticks(0, most, 3), places = Math.max(0, -Math.floor(Math.log10(gap) + 1e-9));
    g.font = `11px ${FONT}`; g.textAlign = "center";
    for (const v of sizes) {
      const at = left + v / most * (right - left);
      g.fillStyle = "#8090A6"; g.fillText(places > 4 ? v.toExponential(0) : v >= 1e4 ? fmt.count(v) : fmt.number(v, places), at, hgt - BOTTOM / 2 + 1);
      g.strokeStyle = "#1b2533"; g.beginPath(); g.moveTo(at, TOP); g.lineTo(at, hgt - BOTTOM); g.stroke();
    }
    g.save(); g.beginPath(); g.rect(left, TOP, w - left, hgt - BOTTOM - TOP); g.clip();
    const thick = Math.max(1.5, f.bucket - (f.bucket > 4 ? 1.2 : 0.3));
    for (const [rows, colour] of [[asks, neg], [bids, pos]]) for (const [price, size] of rows) {
      g.fillStyle = `rgba(${colour},.88)`;
      g.fillRect(left, f.y(price / f.s + 1) + (f.bucket - thick) / 2, Math.max(1, size / most * (right - left)), thick);
    }
    if (answer.mid !== null) {
      g.strokeStyle = "#E8EEF5"; g.lineWidth = 1; g.setLineDash([4, 3]); g.beginPath(); g.moveTo(left, f.y(answer.mid / f.s)); g.lineTo(w, f.y(answer.mid / f.s)); g.stroke(); g.setLineDash([]);
    }
    g.restore();
    return digits;
  }
  depth.draw = function () {
    const canvas = $("depth-canvas");
    if (!canvas || DOPE.page !== "depth" || !data.answer || !step()) return;
    const place = fit(canvas), beside = want.table ? null : fit($("depth-bars"));
    if (!place) return;
    const f = depth.frame(place.plot);
    map(place, f);
    if (beside) bars(beside, depth.frame(beside.plot));
  };
  /* What lies under a point of the map. */
  depth.under = function (px, py) {
    const canvas = $("depth-canvas"), w = canvas.clientWidth, hgt = canvas.clientHeight;
    if (!data.answer || !step() || px < LEFT || py > hgt - BOTTOM) return null;
    const f = depth.frame(hgt - BOTTOM - TOP), t = f.t0 + (px - LEFT) / (w - LEFT) * f.span, at = Math.floor(f.top - (py - TOP) / f.bucket);
    const point = data.points.find((p) => t >= p.t && t < p.t + every());
    return { t, price: at * f.s, step: f.s, point, size: point ? point.sizes[at - point.first] || 0 : null };
  };
  depth.move = function (seconds, buckets) {
    if (!data.answer || !step()) return;
    view.follow = false;
    view.t1 = Math.min(data.answer.t, view.t1 + seconds * 1000);
    view.middle += buckets;
  };
  depth.pixels = () => { const c = $("depth-canvas"), f = depth.frame(c.clientHeight - BOTTOM - TOP); return { s: f.span / 1000 / (c.clientWidth - LEFT), b: 1 / f.bucket }; };
})();
