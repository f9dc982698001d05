/* Matrices as canvas small multiples, one per base, quote and kind; beside each a table for screen readers.
   DOPE.matrices({name, page, list, flow, past, picked, pick}) draws what `list` gives into the elements whose ids begin with `name`;
   `flow` = as high as they need, several a line; `past` = of another moment: no books of now in the tip. Answers with its draw function. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE;
  const stops = ({ pos, posDark, neg, negDark }) => [[-1, neg], [-0.5, negDark], [0, [21, 29, 40]], [0.5, posDark], [1, pos]];
  const TOP_BPS = 10, Z_TOP = 3, SIMULTANEOUS_MS = 500, FONT = "Inter, system-ui, sans-serif";

  function colour(t) {
    const STOPS = stops(DOPE.display.palette());
    for (let i = 1; i < STOPS.length; i += 1) if (t <= STOPS[i][0] || i === STOPS.length - 1) {
      const [a, from] = STOPS[i - 1], [b, to] = STOPS[i], k = Math.max(0, Math.min(1, (t - a) / (b - a)));
      return from.map((c, j) => Math.round(c + (to[j] - c) * k));
    }
    return STOPS[2][1];
  }
  const ink = ([r, g, b]) => (0.299 * r + 0.587 * g + 0.114 * b > 120 ? "#0A1018" : "#E8EEF5");
  /* −1…1: what costs at the fee wall, what pays at +10 bps; the same all day and in Net and Gross alike. */
  function place(m, i, j, mode) {
    if (mode === "z") return Math.max(-1, Math.min(1, m.z[i][j] / Z_TOP));
    const net = m.net[i][j];
    return net < 0 ? Math.max(-1, net / (m.wall[i][j] || TOP_BPS)) : Math.min(1, net / TOP_BPS);
  }
  const value = (m, i, j, mode) => (m[mode] && m[mode][i] ? m[mode][i][j] : null);

  /* Small matrices share the place as it is; as soon as one has many venues they stand below each other, readable, and the place scrolls. */
  const MANY = 4, CELL = 17, HEAD = 51, TABLE_MS = 500;
  const lowest = (places) => places.reduce((most, [, , y, , hgt]) => Math.max(most, y + hgt), 0);
  const height = (list, w) => (list.some((m) => m.venues.length > MANY) ? lowest(stacked(list, w)) : 0);
  function placed(list, w, hgt) {
    if (list.some((m) => m.venues.length > MANY)) return stacked(list, w);
    const cols = bestColumns(list.length, w, hgt), rows = Math.ceil(list.length / cols), cw = w / cols, ch = hgt / rows;
    return list.map((m, k) => [m, (k % cols) * cw, Math.floor(k / cols) * ch, cw, ch]);
  }
  /* Large ones take a line each, small ones two a line. */
  function stacked(list, w) {
    const out = [];
    let y = 0, open = null;
    for (const m of [...list].sort((a, b) => b.venues.length - a.venues.length)) {
      const tall = HEAD + CELL * m.venues.length, half = m.venues.length <= MANY + 1;
      if (half && open) { out.push([m, w / 2, open.y, w / 2, open.tall]); open = null; continue; }
      out.push([m, 0, y, half ? w / 2 : w, tall]);
      open = half ? { y, tall } : null;
      y += tall;
    }
    return out;
  }
  function bestColumns(n, w, hgt) {
    let best = 1, score = -1;
    for (let c = 1; c <= n; c += 1) {
      const s = Math.min(w / c / 1.5, hgt / Math.ceil(n / c)) - (c * Math.ceil(n / c) - n) * 2;
      if (s > score) { score = s; best = c; }
    }
    return best;
  }
  /* As many a line as fit, each as wide as its venues want, a line no wider than it is read well. */
  const WIDE = 46, SIDE = 78, LOW = 22, STRETCH = 1.4;
  function flowing(list, w) {
    const out = [];
    let line = [], used = 0, y = 0;
    const flush = () => {
      const scale = Math.min(STRETCH, w / used), tall = HEAD + LOW * Math.max(...line.map((m) => m.venues.length));
      let x = 0;
      for (const m of line) { const width = (SIDE + WIDE * m.venues.length) * scale; out.push([m, x, y, width, HEAD + LOW * m.venues.length]); x += width; }
      [line, used, y] = [[], 0, y + tall];
    };
    for (const m of [...list].sort((a, b) => b.venues.length - a.venues.length)) {
      const wants = SIDE + WIDE * m.venues.length;
      if (line.length && used + wants > w) flush();
      line.push(m);
      used += wants;
    }
    if (line.length) flush();
    return out;
  }
  function hatch(g, x, y, w, hgt) {
    g.save(); g.clip();
    g.fillStyle = "#0d131c"; g.fillRect(x, y, w, hgt);
    g.strokeStyle = "#182230"; g.lineWidth = 3; g.beginPath();
    for (let k = -hgt; k < w; k += 8) { g.moveTo(x + k, y + hgt); g.lineTo(x + k + hgt, y); }
    g.stroke(); g.restore();
  }
  function keyOf(m, venue) {
    return [...DOPE.state.instruments.values()].find((x) => x.venue === venue && x.base === m.base && x.quote === m.quote && x.kind === m.kind);
  }
  DOPE.matrices = function (own) {
    const part = (what) => $(`${own.name}-${what}`);
    let boxes = [], hover = null, tabled = "", tables = [], turn = 0, drawnTable = 0;

    function draw() {
      const canvas = part("canvas"), wrap = part("wrap"), all = own.list();
      if (!canvas || !all || DOPE.page !== own.page) return;
      const list = all.filter((m) => DOPE.inView(m.base, m.kind) && m.venues.length > 1), mode = DOPE.view.matrix;
      const w = wrap.clientWidth, places = own.flow ? flowing(list, w) : null;
      if (places) wrap.style.height = Math.max(60, lowest(places)) + "px";
      const hgt = Math.max(wrap.clientHeight, places ? 0 : height(list, w)), ratio = window.devicePixelRatio || 1;
      if (!w || !hgt) return;
      if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(hgt * ratio)) {
        Object.assign(canvas, { width: Math.round(w * ratio), height: Math.round(hgt * ratio) });
        Object.assign(canvas.style, { width: w + "px", height: hgt + "px" });
      }
      part("empty").hidden = true;
      const g = canvas.getContext("2d");
      g.setTransform(ratio, 0, 0, ratio, 0, 0);
      g.clearRect(0, 0, w, hgt);
      boxes = [];
      if (!list.length) { g.textAlign = "left"; g.fillStyle = "#8090A6"; g.font = `12.5px ${FONT}`; g.fillText("No pair of venues quotes this market.", 14, 24); return table(list, mode); }
      const best = Math.max(...list.flatMap((m) => m.net.flat().filter((v) => v !== null)));
      for (const [m, x, y, width, height] of places || placed(list, w, hgt)) one(g, m, x, y, width, height, mode, best);
      table(list, mode);
    }
    function one(g, m, x, y, w, hgt, mode, best) {
      const n = m.venues.length, pad = 10, title = 24, left = Math.min(58, w * 0.26), top = title + 17;
      const cellW = Math.max(10, (w - left - 2 * pad) / n), cellH = Math.max(10, Math.min(110, (hgt - top - pad) / n)), gap = 2;
      g.textBaseline = "middle";
      g.textAlign = "left";
      g.font = `650 12px ${FONT}`; g.fillStyle = "#E8EEF5";
      g.fillText(`${m.base}-${m.quote}`, x + pad, y + title / 2 + 2);
      const used = g.measureText(`${m.base}-${m.quote} `).width;
      g.font = `500 11px ${FONT}`; g.fillStyle = "#8090A6";
      g.fillText(m.kind, x + pad + used + 3, y + title / 2 + 2);
      for (let j = 0; j < n; j += 1) {
        g.textAlign = "center"; g.font = `550 10.5px ${FONT}`; g.fillStyle = "#8090A6";
        g.fillText(m.labels[j], x + pad + left + (j + 0.5) * cellW, y + title + 8, cellW - 2);
        g.textAlign = "right"; g.fillStyle = "#A9B6C6"; g.font = `550 11px ${FONT}`;
        g.fillText(m.labels[j], x + pad + left - 7, y + top + (j + 0.5) * cellH, left - 6);
      }
      for (let i = 0; i < n; i += 1) for (let j = 0; j < n; j += 1) {
        const bx = x + pad + left + j * cellW, by = y + top + i * cellH, bw = cellW - gap, bh = cellH - gap;
        boxes.push({ x: bx, y: by, w: bw, h: bh, m, i, j });
        cell(g, m, i, j, bx, by, bw, bh, mode, best);
      }
    }
    function cell(g, m, i, j, x, y, w, hgt, mode, best) {
      const what = m.state[i][j], v = value(m, i, j, mode);
      g.beginPath(); g.roundRect(x, y, w, hgt, 4);
      if (what === "self") { hatch(g, x, y, w, hgt); return; }
      const known = what === "ok" && v !== null, c = known ? colour(place(m, i, j, mode)) : [19, 26, 36];
      g.fillStyle = `rgb(${c})`; g.fill();
      g.textAlign = "center";
      g.font = `${known ? 620 : 450} ${w < 40 ? 10 : 12}px ${FONT}`;
      g.fillStyle = known ? ink(c) : "#8090A6";
      g.fillText(known ? fmt.signed(v, 1) : what === "stale" ? "stale" : fmt.UNKNOWN, x + w / 2, y + hgt / 2 + 0.5, w - 4);
      if (own.picked && own.picked(m, i, j)) { g.lineWidth = 2.5; g.strokeStyle = "#2DD4BF"; g.stroke(); }
      if (known && m.net[i][j] === best) { g.lineWidth = 2; g.strokeStyle = "#FFFFFF"; g.stroke(); }
      if (hover && hover.m.id === m.id && hover.i === i && hover.j === j) { g.lineWidth = 1.5; g.strokeStyle = "#2DD4BF"; g.stroke(); }
    }
    /* The same for screen readers: one table after the other, in place, so that who reads it keeps the place; all anew when others are shown. */
    function table(list, mode) {
      const now = Date.now(), then = Boolean(own.past && own.past()), shape = JSON.stringify([mode, then, list.map((m) => [m.id, m.labels])]);
      if (shape !== tabled) {
        tables = list.map(blank);
        DOPE.fill(`${own.name}-table`, ...tables.map((t) => t.node));
      } else if (now - drawnTable < TABLE_MS) return;
      const all = shape !== tabled || then;
      [tabled, drawnTable, turn] = [shape, now, turn + 1];
      list.forEach((m, k) => { if (all || k === turn % list.length) say(tables[k], m, mode, then); });
      DOPE.text(`${own.name}-size`, then ? "at the best prices of then" : `at ${fmt.size((DOPE.state.mode || {}).order_size)} $`);
    }
    function blank(m) {
      const caption = h("caption", {}), cells = m.venues.map(() => m.venues.map(() => h("td", {})));
      const rows = cells.map((line, i) => h("tr", {}, h("th", { scope: "row" }, m.labels[i]), ...line));
      return { caption, cells, node: h("table", {}, caption, h("tr", {}, h("th", {}, ""), ...m.labels.map((l) => h("th", { scope: "col" }, l))), ...rows) };
    }
    function say({ caption, cells }, m, mode, then) {
      const put = (node, text) => { if (node.said !== text) node.textContent = node.said = text; };
      put(caption, `${m.base}-${m.quote} ${m.kind}, ${mode}, row buys, column sells${then ? "" : `, as of ${fmt.clock(DOPE.now()).slice(0, 8)}`}`);
      cells.forEach((line, i) => line.forEach((node, j) => {
        const what = m.state[i][j];
        put(node, what === "self" ? "same venue" : what === "stale" ? "stale" : fmt.signed(value(m, i, j, mode), 1));
      }));
    }

    function at(event) {
      const box = part("canvas").getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
      return boxes.find((b) => x >= b.x && x <= b.x + b.w && y >= b.y && y <= b.y + b.h && b.m.state[b.i][b.j] !== "self") || null;
    }
    function tip(event) {
      hover = at(event);
      part("canvas").style.cursor = hover ? "pointer" : "";
      tell();
    }
    function tell() {
      const node = part("tip"), then = own.past && own.past();
      node.hidden = !hover;
      draw();
      if (!hover) return;
      const { m, i, j } = hover, buy = keyOf(m, m.venues[i]), sell = keyOf(m, m.venues[j]);
      const leg = (word, x, side) => h("dd", {}, x ? `${word} ${DOPE.venueName(x.venue)} ${fmt.price(x[side], x.tick)} · ${fmt.ageMs(x.age_ms)} old · ${x.state}` : fmt.UNKNOWN);
      const apart = !then && buy && sell && typeof buy.age_ms === "number" && typeof sell.age_ms === "number" ? Math.abs(buy.age_ms - sell.age_ms) : 0;
      const names = h("dd", {}, `buy ${DOPE.venueName(m.venues[i])}, sell ${DOPE.venueName(m.venues[j])}`);
      DOPE.fill(node, h("b", {}, `${m.base}-${m.quote} ${m.kind}`), h("dl", { class: "one" }, ...(then ? [names] : [leg("buy", buy, "ask"), leg("sell", sell, "bid")]),
        h("dd", {}, `gross ${fmt.bps(value(m, i, j, "gross"))} − wall ${fmt.number(m.wall[i][j], 2)} → net ${fmt.bps(value(m, i, j, "net"))} bps, z ${fmt.signed(value(m, i, j, "z"), 1)}`),
        apart > SIMULTANEOUS_MS ? h("dd", { class: "warn" }, `not comparable: the ages of the two quotes differ by ${fmt.ageMs(apart)}`) : null));
      const wrap = part("wrap").parentNode.getBoundingClientRect();
      Object.assign(node.style, { left: Math.max(6, Math.min(hover.x, wrap.width - node.offsetWidth - 10)) + "px", top: hover.y - part("wrap").scrollTop + hover.h + 4 + "px" });
    }
    /* Arrow keys go from cell to cell, Enter picks. */
    function key(event) {
      const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (event.key === "Enter" && hover) { event.preventDefault(); event.stopPropagation(); return own.pick(hover); }
      if (!step || !boxes.length) return;
      event.preventDefault();
      const at = hover ? boxes.findIndex((b) => b.m.id === hover.m.id && b.i === hover.i && b.j === hover.j) : -1;
      hover = at < 0 ? boxes.find((b) => b.i !== b.j) : next(boxes[at], step) || boxes[at];
      tell();
    }
    function next(from, [down, right]) {
      const n = from.m.venues.length, ids = [...new Set(boxes.map((b) => b.m.id))], look = (m, i, j) => boxes.find((b) => b.m.id === m && b.i === i && b.j === j);
      for (let i = from.i + down, j = from.j + right; i >= 0 && j >= 0 && i < n && j < n; i += down, j += right) if (i !== j) return look(from.m.id, i, j);
      const other = ids[ids.indexOf(from.m.id) + (down + right > 0 ? 1 : -1)];
      return other && (look(other, 0, 1) || null);
    }
    const leave = () => { hover = null; part("tip").hidden = true; draw(); };
    DOPE.ready(() => {
      const canvas = part("canvas");
      canvas.addEventListener("mousemove", tip);
      canvas.addEventListener("mouseleave", leave);
      canvas.addEventListener("blur", leave);
      canvas.addEventListener("keydown", key);
      canvas.addEventListener("click", (event) => { const box = at(event); if (box) own.pick(box); });
      ["matrix", "view", "page", "second"].forEach((section) => DOPE.on(section, draw));
      new ResizeObserver(draw).observe(part("wrap"));
      if (document.fonts) document.fonts.ready.then(draw);
    });
    return draw;
  };

  function pick(box) {
    const buy = keyOf(box.m, box.m.venues[box.i]), sell = keyOf(box.m, box.m.venues[box.j]);
    if (!buy || !sell) return;
    const route = `${buy.key}>${sell.key}`;
    if (DOPE.view.route === route) return DOPE.see({ route: "", asset: "", kind: "" });
    DOPE.see({ route, asset: box.m.base, kind: box.m.kind });
    DOPE.toast(`Only ${DOPE.venueName(buy.venue)} → ${DOPE.venueName(sell.venue)}; click the cell again for all`);
  }
  DOPE.matrices({ name: "matrix", page: "live", list: () => DOPE.state.matrix, pick });
})();
