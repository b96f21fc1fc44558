// ---- one pair
function diff(text, label) {
  const kind = (line) => /^(diff |index |--- |\+\+\+ |new file|deleted file|similarity|rename )/.test(line) ? "file" : line.startsWith("@@") ? "hunk" : line[0] === "+" ? "add" : line[0] === "-" ? "del" : "";
  return el("pre", { class: "diff", tabindex: "0", role: "region", "aria-label": label }, text.replace(/\n$/, "").split("\n").map((line) => el("span", { class: kind(line) }, line)));
}
function measureTable(pair) {
  const guess = (value) => (value === 1 ? "picks C+" : value === 0 ? "picks C−" : "cannot tell");
  const line = (name, value) => el("tr", {}, el("td", {}, name), el("td", { class: "n" }, value));
  const measured = [...(pair.scores || []), ...(pair.measures || [])];
  const similar = pair.similarity === undefined ? [] : [line("similarity", figure(pair.similarity))];
  const rows = [...similar, ...measured.map((m) => line(m.name, figure(m.value))), ...(pair.blind_scores || []).map((m) => line(`blind baseline ${m.name}`, guess(m.value)))];
  return { rows, summary: `${plural(rows.length - (pair.blind_scores || []).length, "measurement")}, ${plural((pair.blind_scores || []).length, "blind baseline")}` };
}
function evidence(pair, images) {
  const verdict = (c) => (c.passed === null ? chip("not checked") : c.passed ? chip("passed", "good") : chip("failed", "bad"));
  const checks = (pair.checks || []).map((c) => el("li", {}, c.passed === null && c.detail ? chip(c.detail) : verdict(c), el("span", {}, c.name + (c.detail && c.passed !== null ? ` (${c.detail})` : ""))));
  const { rows, summary } = measureTable(pair), facts = images ? differingFacts(pair.facts_pos, pair.facts_neg) : [];
  return el("section", { class: "evidence", "aria-label": "Evidence" }, el("h3", {}, "Evidence"),
    checks.length ? el("ul", {}, checks) : el("p", { class: "quiet" }, "No check is on record."),
    facts.length > 0 && tableOf("Facts that differ", ["Fact", "C+", "C−"], facts.slice(0, 12).map(([name, a, b]) => el("tr", {}, el("td", {}, name), el("td", {}, String(a)), el("td", {}, String(b))))),
    rows.length > 0 && el("details", { open: images && rows.length < 9 }, el("summary", {}, summary), el("table", { "aria-label": "Measurements" }, el("tbody", {}, rows))),
    !images && el("details", {}, el("summary", {}, "Both issues"), ["a", "b"].map((side) => [el("h4", {}, el("b", {}, side.toUpperCase() + " "), pair[side].instance), el("pre", { class: "box" }, pair[side].statement || "not on record")])),
    !images && el("details", {}, el("summary", {}, "The other answer"), diff(pair.answer_neg || "not known", "The other answer")));
}
function sideHead(pair, side, detail) {
  const { right } = pair[side], shows = pair.question && pair[side].picture ? ` · ${right ? pair.answer : pair.answer_neg}` : "";
  const label = state.blind ? chip("hidden") : right ? chip("C+ supports the answer", "good") : chip("C− does not", "bad");
  return el("div", { class: "side " + (state.blind ? "" : right ? "right" : "wrong") }, el("h3", {}, el("span", { class: "letter" }, side.toUpperCase()), state.blind ? "" : shows.slice(3)), label, !state.blind && el("small", {}, detail)); // the run's name and outcome may tell
}
function details(option) {
  const outcome = option.resolved === null || option.resolved === undefined ? "" : option.resolved ? "resolved" : "unresolved";
  return [option.trajectory, option.model, outcome].filter(Boolean).join(" · ");
}
function reviewBar(pair) {
  const mine = verdictOf(pair), unsure = pair.verdict === "UNCERTAIN";
  const choose = (letter, name) => el("button", { type: "button", class: "verdict " + name.toLowerCase(), "aria-pressed": String(mine.verdict === VERDICTS[letter]), onclick: () => judge(letter) }, name, " ", key(letter));
  const note = el("input", { type: "text", "aria-label": "Note on this pair", placeholder: "Note (optional)", value: mine.note });
  note.addEventListener("change", () => decide(pair.pair_id, { note: note.value }));
  const asks = unsure ? `The judge was not sure${pair.doubt ? `: ${pair.doubt}` : ""}. What do you say?` : "Overrule the judge?";
  return el("section", { class: "review" + (unsure ? " unsure" : ""), "aria-label": "Your verdict" }, el("span", { class: "asks" }, asks), el("span", { class: "choice" }, choose("v", "Valid"), choose("i", "Invalid"), choose("u", "Undecided")), note);
}
function judge(letter) {
  const line = index[state.shown[state.at]];
  if (!line) return;
  decide(line.pair_id, { verdict: VERDICTS[letter] });
  tell(letter === "u" ? "Undecided." : `Marked ${VERDICTS[letter].toLowerCase()}.`);
  if (state.filters.review && state.filters.review !== "*") apply(); else { paint(); refreshReview(line); }
}
function refreshReview(line) {
  const bar = document.querySelector("#pair .review");
  if (bar && state.pair && state.pair.pair_id === line.pair_id) bar.replaceWith(reviewBar(state.pair));
}
function chipsOf(pair) {
  const facts = [pair.method || pair.kind, pair.domain, pair.renderer, pair.split || "not exported", pair.repo, pair.view && "view: " + pair.view,
    pair.tokens && `${count(pair.tokens)} tokens (${pair.tokenizer || "?"})`, pair.source].filter(Boolean).map((text) => chip(text));
  facts.splice(1, 0, chip(pair.verdict || "not judged", pair.verdict === "VALID" ? "good" : pair.verdict === "UNCERTAIN" ? "unsure" : ""));
  return el("div", { class: "chips" }, facts, chip("judge: " + (pair.judge || "none")), chip(pair.licence || "licence unknown", pair.licence ? "" : "bad"));
}
function walkTools() {
  const reveal = el("button", { type: "button", "aria-pressed": String(state.blind), onclick: blind }, state.blind ? "Show the answer" : "Hide the answer");
  return el("span", { class: "walk" }, el("button", { type: "button", "aria-label": "Previous pair", onclick: () => go(state.at - 1) }, "←"), el("span", { class: "place" }, `${count(state.at + 1)} of ${count(state.shown.length)}`),
    el("button", { type: "button", "aria-label": "Next pair", onclick: () => go(state.at + 1) }, "→"), reveal);
}
function titleOf(pair, images) {
  if (images) return pair.question;
  return pair.file ? `${pair.file} · ${pair.symbol || "module"}` : pair.id;
}
async function render(pair) {
  const images = Boolean(pair.a.picture !== undefined || pair.b.picture !== undefined);
  const top = [el("div", { class: "head" }, el("h2", { class: images ? "prose" : "" }, titleOf(pair, images)), walkTools()), chipsOf(pair), !state.blind && reviewBar(pair)];
  const beside = state.blind ? el("div") : evidence(pair, images);
  if (images) {
    const answers = (pair.choices || []).length ? el("p", { class: "quiet" }, "Choices: " + pair.choices.join(" · ")) : null;
    return [...top, el("div", { class: "ask" }, el("div", {}, el("h3", {}, "The answer"), el("p", { class: "answer" }, pair.answer), answers, ...(await pictures(pair, state.blind))), beside)];
  }
  const { nodes, rows, differing } = trajectories(pair);
  const summary = `${plural(differing, "place")} where the runs differ, ${plural(rows.length - differing, "stretch", "stretches")} the same.`;
  return [...top, el("div", { class: "ask" }, el("div", {}, el("p", { class: "question" }, pair.question), el("h3", {}, "The answer"), diff(pair.answer, "The answer")), beside),
    el("div", { class: "legend" }, el("span", {}, summary), el("span", {}, key("n"), " ", key("p"), " next, previous difference"), el("span", { class: "only" }, "line on this side only"), el("mark", {}, "masked")), strip(rows),
    el("div", { class: "two" }, sideHead(pair, "a", details(pair.a)), sideHead(pair, "b", details(pair.b)), nodes)];
}
async function go(n) {
  const changed = state.at !== n;
  state.at = state.shown.length ? Math.max(0, Math.min(state.shown.length - 1, n)) : -1;
  const list = $("list"), top = state.at * ITEM;
  if (top < list.scrollTop) list.scrollTop = top;
  if (top + ITEM > list.scrollTop + list.clientHeight) list.scrollTop = top + ITEM - list.clientHeight;
  paint();
  if (changed) looking.flipped = false;
  return show(true);
}
// Draw the current pair; a later call wins over one that is still unpacking.
async function show(fresh) {
  if (state.at < 0) return $("pair").replaceChildren(el("p", { class: "empty" }, index.length ? "No pair matches the filters." : "There are no pairs yet."));
  const place = state.shown[state.at], turn = (state.turn = (state.turn || 0) + 1);
  try {
    const pair = await pairOf(index[place]), nodes = await render(pair);
    if (turn !== state.turn) return undefined;
    state.pair = pair;
    if (location.hash.startsWith("#pair")) history.replaceState(null, "", "#pair=" + encodeURIComponent(pair.id));
    $("pair").replaceChildren(...nodes.filter(Boolean));
    if (fresh === true) $("pair").scrollTop = 0;
  } catch (error) {
    if (turn === state.turn) $("pair").replaceChildren(el("p", { class: "empty" }, `This pair cannot be shown: ${error.message}`));
  }
  return undefined;
}
function blind() { state.blind = !state.blind; show(); }

