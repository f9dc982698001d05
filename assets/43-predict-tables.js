/* Predict: scores of every model, forecasts of all pairs, versions. Changed in place, so that focus and selection stay. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, fmt } = DOPE, P = DOPE.predict;
  const LEARNED = ["ridge", "gradient_boosting"], CLAIM = 0.05, LEAST_BLOCKS = 30;
  const tone = (v) => (v > 0 ? "pos" : v < 0 ? "neg" : "");

  function scores(card) {
    const few = card && card.rows < card.rows_needed;
    const rows = !card ? [] : card.scores.map((s) => {
      const on = s.model === card.in_use, naive = s.model === "persistence", silent = few && (LEARNED.includes(s.model) || s.model === "mean");
      const dm = (v) => (typeof v === "number" ? fmt.signed(v, 2) : fmt.UNKNOWN);
      return { key: s.model, css: on ? "on" : "", cells: [
        [P.name(s.model), ""], fmt.number(s.n), [fmt.number(s.rmse, 2)], fmt.number(s.mae, 2),
        [naive ? "yardstick" : P.percent(s.skill_persistence), naive ? "off" : tone(s.skill_persistence)], [s.model === "mean" ? "yardstick" : P.percent(s.skill_mean), s.model === "mean" ? "off" : tone(s.skill_mean)],
        naive ? [fmt.UNKNOWN, "off", "no change names no direction"] : [P.share(s.sign_accuracy), "", `base rate ${P.share(s.sign_base)}`],
        typeof s.p_value === "number" ? [fmt.number(s.p_value, 3), s.p_value <= CLAIM ? "" : "off"] : [fmt.UNKNOWN, "off", "a yardstick cannot be tested against itself"],
        [`${dm(s.dm_persistence)} · ${dm(s.dm_mean)}`, "off"], [fmt.number(s.blocks), s.blocks < LEAST_BLOCKS ? "off" : "", `${LEAST_BLOCKS} are needed for a claim`],
        on ? h("span", { class: "tagm" }, "in use") : silent ? ["too few rows", "off", `speaks from ${fmt.number(card.rows_needed)} rows on`] : ["", "off"],
      ] };
    });
    DOPE.rows("scores", rows, "Scores appear with the first training: each model is tested on seconds that it was not trained on.");
  }
  function pairs() {
    const on = P.chosen();
    DOPE.rows("pairs", P.shown().map((row) => ({
      key: P.idOf(row), act: "predict-pair", value: P.idOf(row), css: on && P.idOf(on) === P.idOf(row) ? "on" : "",
      cells: [pairButton(row), [fmt.bps(row.current)], [fmt.bps(row.predicted), "mlc"], [fmt.bps(row.persistence), "off"], [P.range(row.band), "mlc"], [row.note || (row.band ? "" : "no band yet"), "off"]],
    })), "No pair passes the asset and kind chosen above.");
    DOPE.text("predict-pairs-note", `mid spreads, bps, ${P.ahead(DOPE.state.pred || {})}`);
  }
  const pairButton = (row) => h("button", { type: "button", "data-act": "predict-pair", "data-value": P.idOf(row), "data-test": "pair-" + P.idOf(row) },
    h("b", {}, row.symbol), h("span", {}, P.route(row)), h("small", {}, row.kind));
  function versions(pred) {
    const list = [...(pred.versions || [])].reverse(), now = pred.card && pred.card.version;
    if (pred.card && !list.some((card) => card.version === now)) list.unshift(pred.card);
    DOPE.rows("versions", list.map((card) => {
      const score = P.used(card), naive = card.in_use === "persistence";
      return { key: card.version, css: card.version === now ? "on" : "", cells: [
        DOPE.when(card.trained), fmt.number(card.rows), [P.name(card.in_use)], [naive ? "yardstick" : P.percent(score && score.skill_persistence), naive || !score ? "off" : tone(score.skill_persistence)],
        [card.verdict, "words"], card.version === now ? h("span", { class: "tagm" }, "in use") : ["kept", "off"],
      ] };
    }), "No model has been trained yet.");
    DOPE.text("predict-versions-note", list.length ? `newest first · ${fmt.number(list.length)} kept` : "");
  }
  function draw() {
    const pred = DOPE.state.pred;
    if (!pred || DOPE.page !== "predict") return;
    scores(pred.card);
    pairs();
    versions(pred);
  }
  DOPE.ready(() => ["predicted", "view", "page"].forEach((section) => DOPE.on(section, draw)));
})();
