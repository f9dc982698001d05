/* What the pages with jobs share: the newest job of a kind, its progress and end, and tables whose rows stay in place. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { h, $, fmt } = DOPE;
  const ETA_FROM = 0.05;   // below this the guess says nothing
  const RUNS = ["queued", "running"];

  DOPE.jobs = {
    of: (kind) => [...DOPE.state.jobs.values()].filter((job) => job.kind === kind).sort((a, b) => a.id - b.id),
    active: (kind) => DOPE.jobs.of(kind).find((job) => RUNS.includes(job.state)) || null,
    last: (kind) => DOPE.jobs.of(kind).pop() || null,
  };
  DOPE.when = (ms) => (typeof ms === "number" && ms > 0 ? new Date(ms).toISOString().slice(0, 19).replace("T", " ") : fmt.UNKNOWN);
  /* 200 → "3:20": for what counts down or may take minutes. */
  DOPE.minutes = (s) => (s < 60 ? `${fmt.number(Math.max(0, Math.round(s)))}${fmt.THIN}s` : `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`);

  /* `steps`: [start of the step's name as the worker says it, what the screen says]. */
  const steps = {
    train: [["Starting", "Start a worker process"], ["Load rows", "Load the labelled rows"], ["Walk-forward", "Walk-forward test"], ["Fit", "Fit on all rows"], ["Compare", "Compare with the naive forecasts"]],
    backtest: [["Starting", "Start a worker process"], ["Open the tape", "Open the recording"], ["Replay", "Replay and trade"], ["Done", "Sum up"]],
  };
  function stepRows(job) {
    const list = steps[job.kind], at = Math.max(0, list.findIndex(([start]) => (job.step || "Starting").startsWith(start)));
    return list.map(([start, text], i) => {
      const state = i < at ? "done" : i === at ? "now" : "", tail = i === at ? (job.step || "").slice(start.length).trim().replace(/^\((.*)\)$/, "$1") : "";
      return h("li", { class: state, "aria-current": i === at ? "step" : null }, h("span", { class: "g" }, i < at ? DOPE.icon("check-lg") : ""), h("span", {}, text), h("span", { class: "s" }, tail.replace(/\d{4,}/g, (n) => fmt.number(Number(n)))));
    });
  }
  const TITLES = { train: "Training", backtest: "Backtest" };
  function running(job, css) {
    const ask = (button) => { button.disabled = true; DOPE.ask("cancel", { job: job.id }).catch(() => { button.disabled = false; }); };
    return h("div", { class: "job " + css, "data-job": String(job.id) },
      h("div", { class: "jh" }, h("b"), h("span")),
      h("div", { class: "bar", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100", "aria-label": TITLES[job.kind], "data-test": job.kind + "-progress" }, h("i")),
      h("ol"),
      h("div", { class: "act" }, h("button", { type: "button", class: "btn2", "data-test": job.kind + "-cancel", onclick: (event) => ask(event.currentTarget) }, DOPE.icon("x-circle"), "Cancel")));
  }
  function ended(job, css) {
    const took = job.started && job.ended ? ` after ${DOPE.minutes((job.ended - job.started) / 1000)}` : "";
    const box = h("div", { class: "job " + css, "data-job": String(job.id), "data-state": job.state });
    if (job.state === "failed") box.append(h("div", { class: "jh" }, h("b", { class: "bad" }, `${TITLES[job.kind]} failed${took}`)), h("div", { class: "oops", role: "alert" }, job.error || "no reason was given"));
    else if (job.state === "cancelled") box.append(h("div", { class: "note" }, `${TITLES[job.kind]} cancelled at ${fmt.number(job.progress * 100)}${fmt.THIN}%${took}: nothing was changed.`));
    else box.append(h("div", { class: "note" }, `${TITLES[job.kind]} done ${fmt.clock(job.ended)}${took}.`));
    return box;
  }
  /* Shows the newest job of a kind; the nodes stay while it runs, so that a click on Cancel lands. */
  DOPE.jobs.show = function (holderId, kind, css) {
    const holder = $(holderId), job = DOPE.jobs.active(kind) || DOPE.jobs.last(kind);
    if (!holder || !job) return;
    let box = holder.firstElementChild;
    if (!RUNS.includes(job.state)) {
      if (!box || box.dataset.state !== job.state || box.dataset.job !== String(job.id)) DOPE.fill(holder, ended(job, css));
      return;
    }
    if (!box || box.dataset.job !== String(job.id) || box.dataset.state) { box = running(job, css); DOPE.fill(holder, box); }
    const percent = Math.round(job.progress * 100), spent = (DOPE.now() - job.started) / 1000;
    const eta = job.eta_s !== null && job.progress >= ETA_FROM ? `about ${DOPE.minutes(job.eta_s)} left` : job.started ? `running for ${DOPE.minutes(spent)}` : "";
    const [title, tail] = box.firstElementChild.children, bar = box.children[1];
    title.textContent = job.state === "queued" ? `${TITLES[kind]} waits for the one before it` : `${TITLES[kind]} in a worker process`;
    tail.textContent = [`${percent}${fmt.THIN}%`, eta].filter(Boolean).join(" · ");
    bar.setAttribute("aria-valuenow", String(percent));
    bar.setAttribute("aria-valuetext", job.step || "Starting");
    bar.firstElementChild.style.width = Math.max(1, job.progress * 100) + "%";
    if (box.dataset.step !== job.step) { box.dataset.step = job.step; DOPE.fill(box.querySelector("ol"), ...stepRows(job)); }
  };

  /* Rows by key, changed in place: [{key, css, act, value, cells: [text | [text, css, title] | node]}]. */
  DOPE.rows = function (name, rows, why) {
    const body = $(name + "-rows"), hint = $(name + "-empty");
    if (!body) return;
    hint.hidden = rows.length > 0;
    if (why) hint.textContent = why;
    const old = new Map([...body.children].map((tr) => [tr.dataset.key, tr])), now = [];
    for (const row of rows) {
      const tr = old.get(String(row.key)) || h("tr", { "data-key": String(row.key) }, ...row.cells.map(() => h("td")));
      if (row.act) Object.assign(tr.dataset, { act: row.act, value: row.value });
      if (tr.className !== (row.css || "")) tr.className = row.css || "";
      row.cells.forEach((cell, i) => put(tr.children[i], cell));
      now.push(tr);
    }
    if (now.length !== body.childElementCount || now.some((tr, i) => body.children[i] !== tr)) body.replaceChildren(...now);
  };
  function put(td, cell) {
    if (cell instanceof Node) { if (!td.firstElementChild || !td.firstElementChild.isEqualNode(cell)) td.replaceChildren(cell); return; }
    const [text, css, title] = Array.isArray(cell) ? cell : [cell];
    if (td.textContent !== text) td.textContent = text;
    if (td.className !== (css || "")) td.className = css || "";
    if (title) td.title = title;
  }
  DOPE.facts = (id, facts) => {
    const key = JSON.stringify(facts), node = $(id);
    if (!node || node.dataset.key === key) return;
    node.dataset.key = key;
    DOPE.fill(node, ...facts.flatMap(([name, text, css, title]) => [h("dt", { title }, name), h("dd", { class: css }, text)]));
  };
  /* Options of a select, kept while they are the same, so that an open list stays open. */
  DOPE.options = function (id, options, value) {
    const node = $(id), key = JSON.stringify(options);
    if (!node) return;
    if (node.dataset.key !== key) { node.dataset.key = key; DOPE.fill(node, ...options.map(([v, text]) => h("option", { value: v }, text))); }
    if (node.value !== value) node.value = value;
  };
  /* A quiet dark layout that both charts start from. */
  DOPE.plotLayout = function (more) {
    const axis = { color: "#8090A6", gridcolor: "#18212d", zerolinecolor: "#2D3A4B", tickfont: { size: 11 } };
    return Object.assign({
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: "Inter, sans-serif", color: "#A9B6C6", size: 11 }, separators: fmt.separators(), showlegend: false, autosize: true,
      margin: { l: 52, r: 16, t: 14, b: 28 }, hovermode: "x", dragmode: "zoom", hoverlabel: { bgcolor: "#151D28", bordercolor: "#2D3A4B", font: { family: "Inter, sans-serif", size: 11.5, color: "#E8EEF5" } },
    }, more, {
      xaxis: Object.assign({ type: "date", hoverformat: "%H:%M:%S.%L", tickformat: "%H:%M:%S", nticks: innerWidth < 560 ? 4 : 8 }, axis, more.xaxis),
      yaxis: Object.assign({ zeroline: true, nticks: 7 }, axis, more.yaxis),
    });
  };
  DOPE.plot = (id) => { const holder = $(id); return (holder && window.Plotly && holder.querySelector(".js-plotly-plot")) || null; };
  DOPE.stamp = (ms) => (ms === null ? null : new Date(ms).toISOString().slice(0, 23).replace("T", " "));
})();
