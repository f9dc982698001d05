/* The cards: what pays best now, what has been seen, what is live. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { $, fmt } = DOPE;
  const SPOKEN_EVERY_MS = 5000, SVG = "http://www.w3.org/2000/svg";
  const screen = [];
  let spokenAt = 0, spoken = "";

  function detail(name, text) {
    const node = $(`card-${name}-d`);
    if (!node) return;
    const shown = text || node.dataset.empty;
    if (node.textContent !== shown) { node.textContent = shown; node.title = shown; }
  }
  function spark(name, values, colour) {
    const node = $(`card-${name}-s`), known = (values || []).filter((v) => v !== null);
    if (!node) return;
    if (known.length < 3) return node.replaceChildren();
    const low = Math.min(...known), high = Math.max(...known), span = high - low || 1, n = values.length - 1;
    let path = "", pen = false;
    values.forEach((v, i) => {
      if (v === null) { pen = false; return; }   // a gap stays a gap
      path += `${pen ? "L" : "M"}${((i * 92) / n).toFixed(1)} ${(27 - ((v - low) / span) * 24).toFixed(1)}`;
      pen = true;
    });
    let line = node.querySelector("path");
    if (!line) {
      const svg = document.createElementNS(SVG, "svg");
      svg.setAttribute("viewBox", "0 0 92 30");
      svg.setAttribute("preserveAspectRatio", "none");
      svg.setAttribute("aria-hidden", "true");
      line = document.createElementNS(SVG, "path");
      svg.append(line);
      node.replaceChildren(svg);
    }
    line.setAttribute("d", path);
    line.setAttribute("stroke", colour);
  }
  function cards(c) {
    if (!c) return;
    const best = c.best, alert = c.alert, box = $("card-best");
    DOPE.text("card-best-v", best ? fmt.bps(best.net_bps) : fmt.UNKNOWN);
    detail("best", best ? `${alert ? "ALERT · " : ""}${DOPE.venueShort(best.buy_venue)} → ${DOPE.venueShort(best.sell_venue)} ${best.symbol} · ${fmt.money(best.net)} at ${fmt.size(best.size)} ${best.quote}` : DOPE.state.venues.size ? "nothing pays after fees now" : "");
    if (box) { box.classList.toggle("is-alert", Boolean(alert)); box.classList.toggle("pays", Boolean(best)); }
    DOPE.text("card-total-v", fmt.number(c.total));
    detail("total", c.total ? `${fmt.number(c.closed_n)} closed` : "");
    DOPE.text("card-avg-v", fmt.signed(c.avg_pct, 3));
    detail("avg", typeof c.avg_pct === "number" ? `${fmt.bps(c.avg_pct * 100, 1)} bps after fees` : "");
    DOPE.text("card-max-v", fmt.signed(c.max_pct, 3));
    detail("max", typeof c.max_pct === "number" ? `${fmt.bps(c.max_pct * 100, 1)} bps after fees` : "");
    DOPE.text("card-recent-v", fmt.number(c.recent_5m));
    detail("recent", c.recent_5m ? "opened" : "");
    DOPE.text("card-open-v", fmt.number(c.open));
    detail("open", c.closed_n >= 10 ? `lived ${fmt.age(c.median_life_s)}, p90 ${fmt.age(c.p90_life_s)}` : `life needs 10 closed (${fmt.number(c.closed_n)})`);
    spark("best", c.history && c.history.best, DOPE.display.hex(DOPE.display.palette().pos));
    spark("open", c.history && c.history.open, "#2DD4BF");
    speak(best);
  }
  function speak(best) {
    const text = best ? `Best net ${fmt.bps(best.net_bps)} basis points, ${best.symbol}, buy ${DOPE.venueName(best.buy_venue)}, sell ${DOPE.venueName(best.sell_venue)}` : "Nothing pays now";
    const now = Date.now();
    if (text === spoken || now - spokenAt < SPOKEN_EVERY_MS) return;
    [spoken, spokenAt] = [text, now];
    DOPE.text("spoken", text);
  }
  function fleet(map) {
    if (!map.size) return;
    const all = [...map.values()], live = all.filter((v) => v.state === "live").length, worst = all.find((v) => v.state === "down") || all.find((v) => v.state !== "live");
    DOPE.text("card-fleet-v", `${live} / ${all.length}`);
    const retry = worst && worst.next_retry ? ` · retry in ${fmt.age(Math.max(0, worst.next_retry - DOPE.now()) / 1000)}` : "";
    const books = `${fmt.number(all.reduce((n, v) => n + v.books_live, 0))} of ${fmt.number(all.reduce((n, v) => n + v.books_total, 0))} books`;
    detail("fleet", worst ? `${DOPE.venueShape(worst)[1]} ${worst.short} ${DOPE.venueWord(worst)} ${fmt.age(Math.max(0, DOPE.now() - worst.since) / 1000)}${retry}` : books);
    $("card-fleet-d").classList.toggle("bad", Boolean(worst && worst.state === "down"));
  }
  function second() {
    const p50 = DOPE.delay(0.5);
    DOPE.text("card-screen-v", fmt.number(p50));
    detail("screen", p50 === null ? (DOPE.replaying() ? "not measured in a replay" : "") : `p99 ${fmt.number(DOPE.delay(0.99))} ms · ${fmt.number(DOPE.link.resyncs || 0)} resyncs`);
    screen.push(p50);
    if (screen.length > 120) screen.shift();
    spark("screen", screen, "#2DD4BF");
    if (!DOPE.paused()) fleet(DOPE.state.venues);
    const lost = DOPE.link.status === "lost";
    if (lost) DOPE.text("opps-note", `last update ${fmt.age((Date.now() - DOPE.link.lastMessage) / 1000)} ago`);
  }
  DOPE.ready(() => {
    DOPE.on("cards", cards);
    DOPE.on("venues", fleet);
    DOPE.on("second", second);
    $("card-best").setAttribute("tabindex", "0");
    $("card-best").addEventListener("keydown", (event) => { if (event.key === "Enter") DOPE.actions["card-best"](); });
  });
  DOPE.actions["card-best"] = () => { const best = (DOPE.state.cards || {}).best; if (best) DOPE.inspect(best.id); };
  DOPE.actions["card-fleet"] = () => { const worst = [...DOPE.state.venues.values()].find((v) => v.state !== "live"); const pill = worst && document.querySelector(`[data-test="venue-${CSS.escape(worst.id)}"]`); if (pill) DOPE.actions.venue(pill); };
})();
