// ---- can a blind reader pick the right context? The audit's guessers and findings, and what selection balances
const VERDICT_CHIPS = {
  chance: ["at chance", "good"],
  above: ["above chance", "bad"],
  below: ["below chance", "bad"],
  "not measured": ["not measured", ""],
};
function chanceChip(one) {
  const held = one.low <= 0.5 && 0.5 <= one.high;
  const [text, kind] = VERDICT_CHIPS[one.verdict] || (held ? ["at chance", "good"] : ["not at chance", "bad"]);
  return chip(text, kind);
}
function rangeBar(one, off) {
  const range = el("i"),
    dot = el("b");
  range.style.left = one.low * 100 + "%";
  range.style.width = (one.high - one.low) * 100 + "%";
  dot.style.left = one.accuracy * 100 + "%";
  return el("div", { class: "range" + (off ? " off" : ""), "aria-hidden": "true" }, range, dot);
}
const pValue = (p) => (p > 0.995 ? "1" : p < 0.001 ? "< 0.001" : p.toFixed(3));
// What a table tells beside the figures: the audit's guessers have an adjusted p-value and a description.
const MORE = {
  "#p (Holm)": (one) => el("td", { class: "n" }, typeof one.p_adjusted === "number" ? pValue(one.p_adjusted) : ""),
  Verdict: (one) => el("td", {}, chanceChip(one)),
  "What it does": (one) => el("td", { class: "why" }, [one.what, one.note].filter(Boolean).join("; ")),
};
function guessRow(one, more) {
  const measured = typeof one.accuracy === "number",
    off = one.verdict ? one.verdict === "above" || one.verdict === "below" : one.low > 0.5 || one.high < 0.5;
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, one.name),
    el("td", { class: "n" }, measured ? one.accuracy.toFixed(3) : ""),
    el("td", { class: "n" }, measured ? `${one.low.toFixed(3)} to ${one.high.toFixed(3)}` : ""),
    el("td", { class: "wide" }, measured && rangeBar(one, off)),
    el("td", { class: "n" }, count(one.n)),
    more.map((head) => MORE[head](one)),
  );
}
function guessTable(caption, guesses, ...more) {
  const heads = ["Guesser", "#Accuracy", "#95 % interval", "0 · chance · 1", "#Pairs"];
  return tableOf(
    caption,
    [...heads, ...more],
    guesses.map((one) => guessRow(one, more)),
  );
}
function bySplit(guesses, what, ...more) {
  return [...new Set(guesses.map((one) => one.split))].map((split) => [
    el("h3", {}, split),
    guessTable(`${what} in ${split}`, guesses.filter((one) => one.split === split), ...more),
  ]);
}
const folded = (summary, ...body) => el("details", {}, el("summary", {}, summary), body);
function baselineTables() {
  const whole = head.baselines.filter((one) => !one.split),
    parts = head.baselines.filter((one) => one.split);
  return [
    guessTable("Blind baselines", whole, "Verdict"),
    parts.length > 0 && folded("The same in each split", bySplit(parts, "Blind baselines", "Verdict")),
  ];
}
// The first thing to know of a dataset. A build that is not finished has none.
function auditVerdict() {
  if (!head.audit && !head.baselines.length) return null;
  const line = (name, kind, text) => el("p", { class: "audited" }, chip(name, kind), " ", text);
  if (!head.audit)
    return line("not audited", "unsure", "What can be guessed is not on record: contextrl-data audit DATASET --write-card");
  const { passed, reasons, summary, warnings } = head.audit,
    told = [summary, ...warnings].join("; ");
  return passed
    ? line("audit passed", warnings.length ? "unsure" : "good", told)
    : line("audit failed", "bad", `${reasons.join(", ")}; ${told}`);
}
function findings() {
  const kinds = { fail: "bad", warn: "unsure" };
  if (!head.audit.findings.length)
    return el("p", {}, "No duplicates, nothing of the given benchmark lists, no missing licences.");
  const lines = head.audit.findings.map((one) => el("li", {}, chip(one.level, kinds[one.level]), " ", one.text));
  return el("ul", { class: "findings" }, lines);
}
function blindReaders() {
  const title = "Can a blind reader pick the right context?";
  if (!head.audit)
    return section(
      title,
      "Guessers that do not read. An interval that contains 0.5 is chance; a tie counts one half.",
      baselineTables(),
    );
  return section(
    title,
    head.audit.lead,
    guessTable("Blind guessers", head.audit.guesses, ...Object.keys(MORE)),
    head.audit.splits.length > 0 && folded("The same in each split", bySplit(head.audit.splits, "Blind guessers")),
    head.baselines.length > 0 && folded("What selection balances", baselineTables()),
    el("h3", {}, "What else was looked for"),
    findings(),
    head.audit.notes.map((line) => el("p", { class: "quiet" }, line)),
  );
}
