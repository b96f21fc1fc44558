// ---- what speaks for a pair: checks, measurements, facts, the other answer
const FILE_LINE = /^(diff |index |--- |\+\+\+ |new file|deleted file|similarity|rename )/;
const LINE_KINDS = { "@": "hunk", "+": "add", "-": "del" };
function diff(text, label) {
  const lines = text.replace(/\n$/, "").split("\n");
  const line = (words) => el("span", { class: FILE_LINE.test(words) ? "file" : LINE_KINDS[words[0]] || "" }, words);
  return el("pre", { class: "diff", tabindex: "0", role: "region", "aria-label": label }, lines.map(line));
}
function measureTable(pair) {
  const guess = (value) => (value === 1 ? "picks C+" : value === 0 ? "picks C−" : "cannot tell");
  const line = (name, value) => el("tr", {}, el("td", {}, name), el("td", { class: "n" }, value));
  const measured = [...(pair.scores || []), ...(pair.measures || [])];
  const similar = pair.similarity === undefined ? [] : [line("similarity", figure(pair.similarity))];
  const rows = [
    ...similar,
    ...measured.map((m) => line(m.name, figure(m.value))),
    ...(pair.blind_scores || []).map((m) => line(`blind baseline ${m.name}`, guess(m.value))),
  ];
  return {
    rows,
    summary: `${plural(rows.length - (pair.blind_scores || []).length, "measurement")}, ${plural((pair.blind_scores || []).length, "blind baseline")}`,
  };
}
function evidence(pair, images) {
  const verdict = (c) =>
    c.passed === null ? chip("not checked") : c.passed ? chip("passed", "good") : chip("failed", "bad");
  const checks = (pair.checks || []).map((c) =>
    el(
      "li",
      {},
      c.passed === null && c.detail ? chip(c.detail) : verdict(c),
      el("span", {}, c.name + (c.detail && c.passed !== null ? ` (${c.detail})` : "")),
    ),
  );
  const { rows, summary } = measureTable(pair),
    facts = images ? differingFacts(pair.facts_pos, pair.facts_neg) : [];
  return el(
    "section",
    { class: "evidence", "aria-label": "Evidence" },
    el("h3", {}, "Evidence"),
    checks.length ? el("ul", {}, checks) : el("p", { class: "quiet" }, "No check is on record."),
    facts.length > 0 &&
      tableOf(
        "Facts that differ",
        ["Fact", "C+", "C−"],
        facts
          .slice(0, 12)
          .map(([name, a, b]) => el("tr", {}, el("td", {}, name), el("td", {}, String(a)), el("td", {}, String(b)))),
      ),
    rows.length > 0 &&
      el(
        "details",
        { open: images && rows.length < 9 },
        el("summary", {}, summary),
        el("table", { "aria-label": "Measurements" }, el("tbody", {}, rows)),
      ),
    !images &&
      el(
        "details",
        {},
        el("summary", {}, "Both issues"),
        ["a", "b"].map((side) => [
          el("h4", {}, el("b", {}, side.toUpperCase() + " "), pair[side].instance),
          el("pre", { class: "box" }, pair[side].statement || "not on record"),
        ]),
      ),
    !images &&
      el(
        "details",
        {},
        el("summary", {}, "The other answer"),
        diff(pair.answer_neg || "not known", "The other answer"),
      ),
  );
}
