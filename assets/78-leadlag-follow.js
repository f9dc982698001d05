/* Lead-lag: would trading the follower pay? Expected moves after the leader's jumps against what the follower costs. */
(function () {
  "use strict";
  const DOPE = window.DOPE, { fmt } = DOPE;
  const NEEDED = 20, MOST = 16, RANK = { pays: 0, no: 1, few: 2 };
  const mean = (m) => (!m ? fmt.UNKNOWN : m.low === null ? fmt.signed(m.value, 2) : `${fmt.signed(m.value, 2)} [${fmt.signed(m.low, 2)} … ${fmt.signed(m.high, 2)}]`);

  function said(row) {
    if (row.verdict === "pays") return ["● pays", "left pos", "The whole interval of net is above 0: of this last hour, and never of the next one"];
    if (row.verdict === "few") return ["◌ too few", "left off", `n = ${fmt.number(row.n)}, needs ${fmt.number(NEEDED)}`];
    const short = row.net.value < 0 ? `it costs ${fmt.number(row.spread + row.fees, 1)} bps and moves ${fmt.signed(row.move.value, 1)}` : "its interval reaches below 0";
    return [`○ no: ${short}`, "left", "What is left after spread and fees is not surely above 0"];
  }
  function draw() {
    const told = DOPE.lead.shown;
    if (!told || DOPE.page !== "leadlag") return;
    const { rows, after_ms: after, hold_ms: hold } = told.following, only = DOPE.view.lead_only === "1";
    const shown = rows.filter((row) => row.n && (!only || row.verdict === "pays"));
    shown.sort((a, b) => RANK[a.verdict] - RANK[b.verdict] || b.net.value - a.net.value || b.n - a.n);
    DOPE.rows("follow", shown.slice(0, MOST).map((row) => {
      const grey = row.verdict === "few" ? "off" : "";
      return { key: `${row.leader} ${row.follower}`, cells: [[`${DOPE.lead.name(row.leader)} → ${DOPE.lead.name(row.follower)}`, "left", `${row.leader} ${row.follower}`], said(row), [fmt.number(row.n), grey],
        [mean(row.move), grey], [fmt.number(row.spread, 2), grey], [fmt.number(row.fees, 2), grey], [mean(row.net), row.verdict === "pays" ? "pos" : grey]] };
    }), only && rows.length ? "Nothing pays for sure. Switch “findings only” off to see by how much it does not." : "No jump of the last hour whose follower had prices: nothing can be said.");
    const paying = rows.filter((row) => row.verdict === "pays").length, judged = rows.filter((row) => row.verdict !== "few").length;
    const sum = !rows.length ? "" : !judged ? "no: too few jumps to say that anything does · " : paying ? `${fmt.number(paying)} of ${fmt.number(judged)} pairs did · ` : `no: none of ${fmt.number(judged)} pairs did · `;
    DOPE.text("follow-note", rows.length ? `${sum}taken ${fmt.number(after)} ms after the leader's jump at the touch, given up ${fmt.number(hold / 1000, 0)} s after it; of the last hour${shown.length > MOST ? `; the ${fmt.number(MOST)} best of ${fmt.number(shown.length)} pairs` : ""}` : "");
  }
  DOPE.ready(() => DOPE.on("lead", draw));
})();
