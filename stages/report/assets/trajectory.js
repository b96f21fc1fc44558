// ---- two trajectories, their steps side by side
const CLIPPED = 18; // lines of a long block that are shown at first

// A step: what the agent said and did, and what came back. { parts, key, words }
function stepsOf(messages) {
  const found = [];
  for (const message of messages) {
    if (message.role === "assistant" || !found.length) found.push([]);
    found[found.length - 1].push(message);
  }
  const steps = found.map((parts) => ({
    parts: parts.flatMap(partsOf),
    task: parts[0].role !== "assistant",
    key: parts.map((p) => p.role + "\0" + p.text).join("\0"),
    words: new Set(parts[0].text.match(/[\w./-]+/g) || []),
  }));
  let number = 0;
  for (const step of steps) step.title = step.task ? "Task" : `Step ${++number}`;
  return steps;
}
// One message as the parts a reader sees: { kind: say | code | out, label, lines }
function partsOf({ role, text }) {
  const part = (kind, words, label) => ({ kind, label, lines: words.replace(/^\n+|\s+$/g, "").split("\n") });
  if (role === "assistant") {
    const cut = text.split(/```[a-z_]*\n([\s\S]*?)```/);
    return cut.map((words, n) => (words.trim() ? part(n % 2 ? "code" : "say", words) : null)).filter(Boolean);
  }
  const result = /^\s*<returncode>(-?\d+)<\/returncode>\n<output>\n?([\s\S]*?)\n?<\/output>\s*$/.exec(text);
  if (result) return [part("out", result[2], `exit ${result[1]}`)];
  return [part(role === "system" ? "say" : "out", text, role === "user" || role === "tool" ? "" : role)];
}
// Parts of two aligned steps are compared kind by kind, in order.
function marksOf(left, right) {
  const marks = new Map();
  for (const kind of ["say", "code", "out"]) {
    const [a, b] = [left, right].map((step) => step.parts.filter((p) => p.kind === kind));
    a.forEach((part, n) => {
      if (!b[n]) return;
      const found = diffLines(part.lines, b[n].lines);
      marks.set(part, found.a).set(b[n], found.b);
    });
  }
  for (const part of [...left.parts, ...right.parts])
    if (!marks.has(part))
      marks.set(
        part,
        part.lines.map((line) => [0, line.length]),
      );
  return marks;
}
// How much of two aligned steps differs: the share of their lines that the other side does not have, 0 to 1.
function shareOf(marks) {
  const all = [...marks.values()].flat();
  return all.filter(Boolean).length / Math.max(1, all.length);
}
const MASKED = /(<[A-Z_]+_MASKED>)/;
function words(text) {
  return text
    .split(MASKED)
    .map((part, n) => (n % 2 ? el("mark", {}, part.slice(1, -1).replaceAll("_", " ").toLowerCase()) : part));
}
function lineOf(line, mark) {
  if (!mark || !line.trim()) return el("span", {}, words(line));
  const [from, to] = mark;
  if (from === 0 && to === line.length) return el("span", { class: "only" }, words(line));
  return el(
    "span",
    { class: "only" },
    words(line.slice(0, from)),
    el("em", {}, words(line.slice(from, to))),
    words(line.slice(to)),
  );
}
function block(part, marks) {
  // Where nearly every line differs, a rule at the edge says so; a coloured page would say no more.
  const telling = marks ? part.lines.filter((line) => line.trim()).length : 0,
    whole = telling && marks.filter((mark, n) => mark && part.lines[n].trim()).length >= 0.85 * telling;
  const body = el("pre"),
    node = el(
      "div",
      { class: `block ${part.kind}${whole ? " all" : ""}` },
      part.label && el("small", { class: "exit" }, part.label),
      body,
    );
  const show = (from, to) =>
    body.append(...part.lines.slice(from, to).map((line, n) => lineOf(line, marks && marks[from + n])));
  if (!part.lines.join("").trim()) body.append(el("span", { class: "quiet" }, "no output"));
  else if (part.lines.length <= CLIPPED + 4) show(0, part.lines.length);
  else {
    show(0, CLIPPED);
    const hidden = part.lines.length - CLIPPED,
      differ = marks ? marks.slice(CLIPPED).filter(Boolean).length : 0;
    const button = el(
      "button",
      { type: "button", class: "more" },
      `Show ${plural(hidden, "more line")}${differ ? `, ${count(differ)} of them only here` : ""}`,
    );
    button.addEventListener("click", () => {
      show(CLIPPED, part.lines.length);
      button.remove();
    });
    node.append(button);
  }
  return node;
}
function stepCell(step, marks, side) {
  if (!step) return el("div", { class: "step none" }, "no such step on this side");
  const blocks = step.parts.map((part) => block(part, marks && marks.get(part)));
  return el("section", { class: "step", "aria-label": `${step.title} of ${side}` }, el("h4", {}, step.title), blocks);
}
// Rows of the alignment: runs of equal steps fold into one line that opens on demand.
function rowsOf(a, b) {
  const rows = [];
  for (const [left, right] of align(stepsOf(a), stepsOf(b))) {
    const same = Boolean(left && right && left.key === right.key),
      last = rows[rows.length - 1];
    if (same && last && last.same && last.steps[0][0].task === left.task) last.steps.push([left, right]);
    else rows.push({ same, steps: [[left, right]] });
  }
  return rows;
}
function sameTitle(steps) {
  const name = (n) =>
    (steps.length === 1
      ? steps[0][n].title
      : `${steps[0][n].title}–${steps[steps.length - 1][n].title.replace(/\D+/, "")}`
    ).replace(/^Step(?= \d+–)/, "Steps");
  return name(0) === name(1)
    ? `${name(0)}: the same in both`
    : `${name(0)} of A, ${name(1).toLowerCase()} of B: the same`;
}
function trajectories(pair) {
  const rows = rowsOf(pair.a.messages, pair.b.messages),
    differing = rows.filter((row) => !row.same).length;
  const nodes = rows.flatMap((row, n) => {
    if (row.same) {
      const body = el("details", { class: "same", "data-row": n }, el("summary", {}, sameTitle(row.steps)));
      body.addEventListener("toggle", () => {
        if (body.children.length === 1)
          body.append(...row.steps.flatMap(([step]) => step.parts.map((part) => block(part, null))));
      });
      return [body];
    }
    const [left, right] = row.steps[0],
      marks = left && right ? marksOf(left, right) : null;
    row.share = marks ? shareOf(marks) : 1;
    const cells = [stepCell(left, marks, "A"), stepCell(right, marks, "B")];
    cells[0].dataset.row = n;
    return cells;
  });
  return { nodes, rows, differing };
}
// A strip of ticks, one for each row of the alignment: what differs, seen at once; a click goes there.
function strip(rows) {
  const ticks = rows.map((row, n) => {
    const [left, right] = row.steps[0],
      kind = row.same ? "even" : !left ? "right" : !right ? "left" : "both";
    const tick = el("button", {
      type: "button",
      tabindex: "-1",
      class: "tick " + kind,
      title: row.same
        ? sameTitle(row.steps)
        : `${(left || right).title}: ${left && right ? "differs" : left ? "only in A" : "only in B"}`,
      onclick: () => toRow(n),
    });
    tick.style.flexGrow = row.steps.length;
    tick.style.opacity = 0.3 + 0.7 * row.share;
    return tick;
  });
  return el("div", { class: "strip", "aria-hidden": "true" }, ticks);
}
function toRow(n) {
  const node = document.querySelector(`#pair [data-row="${n}"]`);
  if (!node) return;
  $("pair").scrollTop += node.getBoundingClientRect().top - $("pair").getBoundingClientRect().top - stickyHeight() - 8;
}
function stickyHeight() {
  const side = document.querySelector("#pair .side");
  return side ? side.getBoundingClientRect().height : 0;
}
// The next row that differs, below or above what is at the top of the pane.
function nextDifference(step) {
  const top = $("pair").getBoundingClientRect().top + stickyHeight() + 10;
  const rows = [...document.querySelectorAll("#pair .step[data-row], #pair .step.none[data-row]")];
  const below = rows.filter((row) => row.getBoundingClientRect().top > top + 1),
    above = rows.filter((row) => row.getBoundingClientRect().top < top - 12);
  const wanted = step > 0 ? below[0] : above[above.length - 1];
  if (wanted) toRow(Number(wanted.dataset.row));
}
