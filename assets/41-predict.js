/* Predict: the figures of the model, its verdict, and its training. Violet is the model's colour and nobody else's. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE;
  const KEEP = 900, KEEP_ALL = 30;   // forecasts kept per pair; with more pairs than this only those of the chosen one
  const NAMES = { persistence: "Persistence", mean: "Training mean", ar1: "AR(1)", ridge: "Ridge", gradient_boosting: "Gradient boosting" };
  const LEAST_LIVE = 30;
  const past = new Map();
  let asked = 0, refused = "";

  const idOf = (row) => `${row.a}|${row.b}`, base = (row) => row.symbol.split("-")[0], venue = (key) => key.split(":")[0];
  const shown = () => ((DOPE.state.pred || {}).rows || []).filter((row) => DOPE.inView(base(row), row.kind));
  const percent = (v, digits = 1) => (typeof v === "number" ? fmt.signed(v * 100, digits) + fmt.THIN + "%" : fmt.UNKNOWN);
  const share = (v) => (typeof v === "number" ? fmt.percent(v * 100) : fmt.UNKNOWN);
  const range = (band, digits = 2) => (band ? `${fmt.signed(band[0], digits)} … ${fmt.signed(band[1], digits)}` : fmt.UNKNOWN);
  const used = (card) => (card ? card.scores.find((s) => s.model === card.in_use) || null : null);
  const name = (model) => NAMES[model] || model;
  const route = (row) => `${DOPE.venueShort(venue(row.a))} − ${DOPE.venueShort(venue(row.b))}`;
  function chosen() {
    const rows = shown();
    return rows.find((row) => idOf(row) === DOPE.view.pair) || rows[0] || null;
  }
  /* How far ahead, in words. */
  const ahead = (pred) => { const s = (pred.horizon_steps || 1) * (pred.step_s || 1); return `next ${fmt.number(s, Number.isInteger(s) ? 0 : 1)}${fmt.THIN}s`; };
  DOPE.predict = { idOf, chosen, shown, percent, share, range, used, name, route, ahead, past };

  /* Every forecast that was shown, by the time it is meant for. */
  function remember(pred) {
    const rows = pred.rows || [], step = (pred.horizon_steps || 1) * (pred.step_s || 1) * 1000, wanted = chosen();
    for (const row of rows) {
      if (rows.length > KEEP_ALL && (!wanted || idOf(row) !== idOf(wanted))) continue;
      const list = past.get(idOf(row)) || [];
      if (!list.length || list[list.length - 1].t !== row.t) list.push({ t: row.t, due: row.t + step, current: row.current, predicted: row.predicted, band: row.band });
      if (list.length > KEEP) list.shift();
      past.set(idOf(row), list);
    }
  }

  function card(which, value, detail, unit) {
    DOPE.text(`predict-${which}-v`, value);
    if (unit !== undefined) DOPE.text(`predict-${which}-u`, unit);
    const node = $(`predict-${which}-d`), text = detail || (node && node.dataset.empty);
    DOPE.text(`predict-${which}-d`, text);
    if (node && node.title !== text) node.title = text;
  }
  function cards(pred) {
    const row = chosen(), model = pred.card, score = used(model), live = pred.live || {};
    DOPE.text("predict-forecast-l", row ? `Forecast ${row.symbol} · ${route(row)}` : "Forecast");
    const words = `mid spread, ${ahead(pred)}`;
    card("forecast", row ? fmt.bps(row.predicted) : fmt.UNKNOWN, !row ? (pred.rows || []).length ? "no pair passes the filter above" : "no two venues quote the same market" :
      row.predicted === null ? `${words} · ${row.note || "no forecast"}` : row.band ? `${words} · 90${fmt.THIN}% band ${range(row.band)}` : `${words} · band needs more errors`);
    const naive = model && model.scores.find((s) => s.model === "persistence");
    card("skill", score ? fmt.signed((score.skill_persistence || 0) * 100, 1) : fmt.UNKNOWN, score ? score.model === "persistence" ? `persistence itself is in use · n = ${fmt.number(score.n)}` :
      `RMSE ${fmt.number(score.rmse, 2)} against ${fmt.number(naive && naive.rmse, 2)} bps · n = ${fmt.number(score.n)}` : "");
    const names = score && score.model !== "persistence" ? score : null;   // “no change” names no direction
    card("sign", names && typeof names.sign_accuracy === "number" ? fmt.number(names.sign_accuracy * 100, 1) : fmt.UNKNOWN,
      names ? `base rate ${share(names.sign_base)} · n = ${fmt.number(names.n)}` : score ? "persistence names no direction" : "");
    card("samples", fmt.number(pred.samples), rowsWords(model), `of ${fmt.number(pred.needed)}`);
    card("live", live.skill === null || live.skill === undefined ? fmt.UNKNOWN : fmt.signed(live.skill * 100, 1), liveWords(live));
    second();
  }
  function rowsWords(model) {
    if (!model) return "and 20 × features rows until a learned model may speak";
    if (model.rows >= model.rows_needed) return `${fmt.number(model.rows)} rows trained on, so learned models may speak`;
    return `${fmt.number(model.rows)} of ${fmt.number(model.rows_needed)} rows until a learned model may speak`;
  }
  function liveWords(live) {
    if (!live.n) return "needs forecasts that have matured";
    if (live.n < LEAST_LIVE) return `needs ${LEAST_LIVE} matured forecasts, has ${fmt.number(live.n)}`;
    return `n = ${fmt.number(live.n)} · band held ${share(live.coverage)} of 90${fmt.THIN}%`;
  }
  /* What goes by the clock, not by the stream. */
  function second() {
    const pred = DOPE.state.pred, model = pred && pred.card;
    if (!pred) return;
    const now = DOPE.paused() ? DOPE.frozenAt() : DOPE.now();
    card("model", model ? fmt.age(Math.max(0, now - model.trained) / 1000) : fmt.UNKNOWN, model ? `${name(model.in_use)} · version of ${fmt.clock(model.trained)} ${fmt.zoneName()}` : pred.status === "training" ? "training now" : "");
    training(pred);
  }

  /* -- the verdict -------------------------------------------------------------------------------------------- */
  let shownVerdict = "";
  function verdict(pred) {
    const model = pred.card, score = used(model), live = pred.live || {}, sim = (DOPE.state.mode || {}).source === "sim";
    let css = "wait", glyph = "hourglass-split", head = "No model yet", text = `${fmt.number(pred.samples)} of ${fmt.number(pred.needed)} samples: until then only “no change” could be said, and nothing is.`;
    const notes = [];
    if (model) {
      const claims = !/^no evidence/i.test(model.verdict), cut = model.verdict.indexOf(": ");
      [css, glyph] = claims ? ["yes", "check-circle"] : ["no", "exclamation-circle"];
      head = claims ? "Evidence of skill" : "No evidence of skill";
      text = claims ? model.verdict : `${cut < 0 ? "" : model.verdict.slice(cut + 2)}. Do not act on this forecast.`;
      notes.push(["", `in use: ${name(model.in_use)}`]);
      if (score) notes.push(["", `${fmt.number(score.blocks)} independent blocks`]);
      if (live.skill !== null && live.skill !== undefined) notes.push(["", `live so far: ${percent(live.skill)} (n = ${fmt.number(live.n)})`]);
    } else if (pred.status === "training") [head, text] = ["First training is running", "its verdict will stand here"];
    else if (pred.status === "failed") [css, glyph, head, text] = ["bad", "x-circle", "No model", pred.error || "the training failed"];
    if (sim) notes.push(["sim", "simulated market: says nothing about a real one"]);
    const key = JSON.stringify([css, head, text, notes]);
    if (key === shownVerdict) return;
    shownVerdict = key;
    $("predict-verdict").className = "verdict " + css;
    DOPE.fill("predict-verdict-icon", DOPE.icon(glyph));
    DOPE.text("predict-verdict-head", head);
    DOPE.text("predict-verdict-text", text);
    DOPE.fill("predict-verdict-notes", ...notes.map(([tone, note]) => h("span", { class: tone }, note)));
  }

  /* -- training ------------------------------------------------------------------------------------------------ */
  /* Why it cannot be trained now; "" = it can. */
  function whyNot(pred) {
    if (!pred) return "waiting for the engine";
    if (DOPE.link.status === "lost") return "the server does not answer";
    if (DOPE.paused()) return "the screen is frozen: resume (Space) to start and see it run";
    if (DOPE.jobs.active("train")) return "a training is running";
    if (asked) return "asked: the worker process is starting";
    if (pred.samples < pred.needed) return `needs ${fmt.number(pred.needed)} samples, has ${fmt.number(pred.samples)}: about ${DOPE.minutes((pred.needed - pred.samples) * (pred.step_s || 1))} more`;
    return "";
  }
  function training(pred) {
    if (asked && DOPE.state.jobs.has(asked)) asked = 0;
    const why = whyNot(pred), button = $("retrain");
    button.disabled = Boolean(why);
    DOPE.text("retrain-why", refused || why || "ready: uses all samples of this run");
    $("retrain-why").classList.toggle("bad", Boolean(refused));
    if (!pred) return;
    const left = (pred.next_train - DOPE.now()) / 1000, short = pred.samples < pred.needed, every = (DOPE.state.mode || {}).retrain_s;
    const model = pred.card, pairs = (pred.rows || []).length;
    have(pred);
    DOPE.facts("train-facts", [
      ["Target", `mid spread, ${ahead(pred)}`], ["Trained on", `${fmt.number(pairs)} pairs together`],
      ["Candidates", "persistence, mean, AR(1), Ridge, gradient boosting"],
      ["Learned model speaks", model ? (model.rows >= model.rows_needed ? "yes: enough rows" : `at ${fmt.number(model.rows_needed)} rows`) : "at 20 × features rows"],
      ["Next automatic training", left > 0 ? `in ${DOPE.minutes(left)}${short ? ", if samples suffice" : ""}` : "due now", "", every ? `every ${DOPE.minutes(every)}` : null],
      ["Drift", "not measured", "mut"],
      ...(pred.error ? [["Problem", pred.error, "bad"]] : []),
    ]);
    DOPE.jobs.show("train-job", "train", "model");
  }
  function have(pred) {
    const holder = $("train-have"), enough = pred.samples >= pred.needed;
    if (!holder.firstChild) DOPE.fill(holder, h("div", { class: "line" }, h("b"), h("span")), h("div", { class: "bar", role: "progressbar", "aria-label": "Samples", "aria-valuemin": "0", "aria-valuemax": "100" }, h("i")));
    const [line, bar] = holder.children, part = Math.min(100, (pred.samples / Math.max(1, pred.needed)) * 100);
    line.firstChild.textContent = enough ? `${fmt.number(pred.samples)} samples` : `${fmt.number(pred.samples)} of ${fmt.number(pred.needed)} samples`;
    line.lastChild.textContent = enough ? "enough to train" : "collecting, one a second";
    bar.setAttribute("aria-valuenow", String(Math.round(part)));
    bar.firstChild.style.width = part + "%";
    DOPE.text("predict-train-note", pred.status);
  }
  DOPE.actions.retrain = async () => {
    if (whyNot(DOPE.state.pred)) return;
    asked = -1;
    refused = "";
    second();
    try { asked = (await DOPE.ask("train")).job; } catch (error) { [asked, refused] = [0, `refused: ${error.message}`]; }
    second();
  };
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "r" || event.ctrlKey || event.metaKey || event.altKey || event.repeat || !$("retrain")) return;
    if (event.target.closest("input, textarea, select, [contenteditable]") || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    if (DOPE.page === "predict") DOPE.actions.retrain();
    else $("rail-predict").click();   // from elsewhere it only shows the page: nothing heavy starts unseen
  });

  /* -- which pair ------------------------------------------------------------------------------------------------ */
  function chooser() {
    const row = chosen();
    DOPE.options("predict-pair", shown().map((r) => [idOf(r), `${r.symbol} · ${route(r)}`]), row ? idOf(row) : "");
    for (const button of $("predict-span").children) {
      const on = Number(button.dataset.value) === DOPE.view.span;
      button.classList.toggle("on", on);
      button.setAttribute("aria-pressed", String(on));
    }
  }
  DOPE.actions["predict-span"] = (button) => DOPE.see({ span: Number(button.dataset.value) });
  DOPE.actions["predict-pair"] = (node) => DOPE.see({ pair: node.dataset.value });

  function draw() {
    const pred = DOPE.state.pred;
    if (!pred || DOPE.page !== "predict" || !$("predict-verdict")) return;
    chooser();
    cards(pred);
    verdict(pred);
  }
  DOPE.ready(() => {
    DOPE.on("pred", (pred) => { remember(pred); draw(); DOPE.touch("predicted"); });
    ["view", "venues", "page"].forEach((section) => DOPE.on(section, () => { draw(); }));
    ["jobs", "held", "link"].forEach((section) => DOPE.on(section, second));
    DOPE.on("second", second);
    $("predict-pair").addEventListener("change", (event) => DOPE.see({ pair: event.target.value }));
  });
})();
