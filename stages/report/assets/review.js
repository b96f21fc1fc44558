// ---- a person's verdicts: kept by the browser, saved as the file that `review.verdicts` reads
const REVIEW_KEY = "contextrl-review:" + head.key;
const verdicts = new Map(); // pair_id -> { verdict: "VALID" | "INVALID" | "", note }
const VERDICTS = { v: "VALID", i: "INVALID", u: "" };

function recall() {
  try {
    for (const [id, one] of JSON.parse(kept(REVIEW_KEY, "[]")))
      if (typeof id === "string") verdicts.set(id, clean(one));
  } catch {
    /* what was kept is no list of ours: begin anew */
  }
}
function clean(one) {
  const verdict = String((one && one.verdict) || "")
    .trim()
    .toUpperCase();
  return {
    verdict: verdict === "VALID" || verdict === "INVALID" ? verdict : "",
    note: String((one && one.note) || ""),
  };
}
const verdictOf = (line) => verdicts.get(line.pair_id) || { verdict: "", note: "" };
function decide(id, change) {
  const one = { ...(verdicts.get(id) || { verdict: "", note: "" }), ...change };
  if (one.verdict || one.note) verdicts.set(id, one);
  else verdicts.delete(id);
  remember();
}
function remember() {
  if (!keep(REVIEW_KEY, JSON.stringify([...verdicts])))
    tell("This browser keeps nothing for files: save review.jsonl before you close the page.");
}
// One line for each pair of runs; those that are not decided yet keep their note and an empty verdict.
function reviewLines() {
  return (
    [...verdicts]
      .map(([id, one]) => JSON.stringify({ id, verdict: one.verdict, note: one.note }))
      .sort()
      .join("\n") + "\n"
  );
}
function saveReview() {
  const link = el("a", {
    href: URL.createObjectURL(new Blob([reviewLines()], { type: "application/x-ndjson" })),
    download: "review.jsonl",
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  tell("Saved review.jsonl. Build again with --set review.verdicts='[review.jsonl]'.");
}
async function loadReview(file) {
  let read = 0;
  try {
    for (const line of (await file.text()).split("\n")) {
      if (!line.trim()) continue;
      const one = JSON.parse(line),
        { verdict, note } = clean(one);
      if (typeof one.id !== "string") throw new Error("a line has no id");
      if (verdict || note) {
        verdicts.set(one.id, { verdict, note });
        read++;
      }
    }
  } catch (error) {
    return tell(`${file.name} is no review file: ${error.message}`);
  }
  remember();
  return tell(`${plural(read, "verdict")} read from ${file.name}.`);
}
function tell(text) {
  $("told").textContent = text;
}
function reviewBar(pair) {
  const mine = verdictOf(pair),
    unsure = pair.verdict === "UNCERTAIN";
  const choose = (letter, name) =>
    el(
      "button",
      {
        type: "button",
        class: "verdict " + name.toLowerCase(),
        "aria-pressed": String(mine.verdict === VERDICTS[letter]),
        onclick: () => judge(letter),
      },
      name,
      " ",
      key(letter),
    );
  const note = el("input", {
    type: "text",
    "aria-label": "Note on this pair",
    placeholder: "Note (optional)",
    value: mine.note,
  });
  note.addEventListener("change", () => decide(pair.pair_id, { note: note.value }));
  const asks = unsure
    ? `The judge was not sure${pair.doubt ? `: ${pair.doubt}` : ""}. What do you say?`
    : "Overrule the judge?";
  return el(
    "section",
    { class: "review" + (unsure ? " unsure" : ""), "aria-label": "Your verdict" },
    el("span", { class: "asks" }, asks),
    el("span", { class: "choice" }, choose("v", "Valid"), choose("i", "Invalid"), choose("u", "Undecided")),
    note,
  );
}
function judge(letter) {
  const line = index[state.shown[state.at]];
  if (!line) return;
  decide(line.pair_id, { verdict: VERDICTS[letter] });
  tell(letter === "u" ? "Undecided." : `Marked ${VERDICTS[letter].toLowerCase()}.`);
  if (state.filters.review && state.filters.review !== "*") apply();
  else {
    paint();
    refreshReview(line);
  }
}
function refreshReview(line) {
  const bar = document.querySelector("#pair .review");
  if (bar && state.pair && state.pair.pair_id === line.pair_id) bar.replaceWith(reviewBar(state.pair));
}
