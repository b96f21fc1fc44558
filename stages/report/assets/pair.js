// ---- one pair
// The head of one side. While the answer is hidden it says nothing: the run's name and outcome may tell as well.
function sideHead(pair, side, detail) {
  const { right, picture } = pair[side];
  const letter = el("span", { class: "letter" }, side.toUpperCase());
  if (state.blind) return el("div", { class: "side" }, el("h3", {}, letter), chip("hidden"));
  const shows = picture ? (right ? pair.answer : pair.answer_neg) : "";
  const label = right ? chip("C+ supports the answer", "good") : chip("C− does not", "bad");
  return el(
    "div",
    { class: "side " + (right ? "right" : "wrong") },
    el("h3", {}, letter, shows),
    label,
    el("small", {}, detail),
  );
}
function details(option) {
  const outcome =
    option.resolved === null || option.resolved === undefined ? "" : option.resolved ? "resolved" : "unresolved";
  return [option.trajectory, option.model, outcome].filter(Boolean).join(" · ");
}
function chipsOf(pair) {
  const kinds = { VALID: "good", UNCERTAIN: "unsure" };
  const facts = [
    pair.domain,
    pair.renderer,
    pair.split || "not exported",
    pair.repo,
    pair.view && "view: " + pair.view,
    pair.tokens && `${count(pair.tokens)} tokens (${pair.tokenizer || "?"})`,
    pair.source,
    "judge: " + (pair.judge || "none"),
  ];
  return el(
    "div",
    { class: "chips" },
    chip(pair.method || pair.kind),
    chip(pair.verdict || "not judged", kinds[pair.verdict]),
    facts.filter(Boolean).map((text) => chip(text)),
    chip(pair.licence || "licence unknown", pair.licence ? "" : "bad"),
  );
}
function walkTools() {
  const reveal = el(
    "button",
    { type: "button", "aria-pressed": String(state.blind), onclick: blind },
    state.blind ? "Show the answer" : "Hide the answer",
  );
  return el(
    "span",
    { class: "walk" },
    el("button", { type: "button", "aria-label": "Previous pair", onclick: () => go(state.at - 1) }, "←"),
    el("span", { class: "place" }, `${count(state.at + 1)} of ${count(state.shown.length)}`),
    el("button", { type: "button", "aria-label": "Next pair", onclick: () => go(state.at + 1) }, "→"),
    reveal,
  );
}
function titleOf(pair, images) {
  if (images) return pair.question;
  return pair.file ? `${pair.file} · ${pair.symbol || "module"}` : pair.id;
}
async function render(pair) {
  const images = pair.a.picture !== undefined || pair.b.picture !== undefined;
  const title = el("h2", { class: images ? "prose" : "" }, titleOf(pair, images));
  const body = images ? await pictureBody(pair) : runBody(pair);
  return [el("div", { class: "head" }, title, walkTools()), chipsOf(pair), !state.blind && reviewBar(pair), ...body];
}
function ask(pair, images, ...parts) {
  return el("div", { class: "ask" }, el("div", {}, parts), !state.blind && evidence(pair, images));
}
async function pictureBody(pair) {
  const choices = (pair.choices || []).length > 0 && "Choices: " + pair.choices.join(" · ");
  const answer = [el("h3", {}, "The answer"), el("p", { class: "answer" }, pair.answer)];
  return [ask(pair, true, answer, choices && el("p", { class: "quiet" }, choices), await pictures(pair, state.blind))];
}
function runBody(pair) {
  const { nodes, rows, differing } = trajectories(pair);
  const same = plural(rows.length - differing, "stretch", "stretches");
  const question = el("p", { class: "question" }, pair.question);
  const legend = [
    el("span", {}, `${plural(differing, "place")} where the runs differ, ${same} the same.`),
    el("span", {}, key("n"), " ", key("p"), " next, previous difference"),
    el("span", { class: "only" }, "line on this side only"),
    el("mark", {}, "masked"),
  ];
  return [
    ask(pair, false, question, el("h3", {}, "The answer"), diff(pair.answer, "The answer")),
    el("div", { class: "legend" }, legend),
    strip(rows),
    el("div", { class: "two" }, sideHead(pair, "a", details(pair.a)), sideHead(pair, "b", details(pair.b)), nodes),
  ];
}
