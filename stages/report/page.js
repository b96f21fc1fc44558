"use strict";
// Everything from the data is put on the page as text (textContent), never as markup.
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const head = read("data-head"), index = read("data-index");
const $ = (id) => document.getElementById(id);
const state = { shown: [], at: -1, blind: false, filters: {} };
const ITEM = 46;

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat()) if (child !== null && child !== undefined) node.append(child);
  return node;
}
const chip = (text, kind) => el("span", { class: "chip " + (kind || "") }, String(text));

// ---- data: compressed chunks, unpacked when a pair of theirs is first shown
const chunks = new Map();
async function unpack(number) {
  if (!chunks.has(number)) {
    const packed = Uint8Array.from(atob($("chunk-" + number).textContent.trim()), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    chunks.set(number, JSON.parse(await new Response(stream).text()));
    if (chunks.size > 8) chunks.delete(chunks.keys().next().value);
  }
  return chunks.get(number);
}

// ---- overview
function tableOf(caption, heads, rows) {
  const th = heads.map((h) => el("th", { class: h.startsWith("#") ? "n" : "", scope: "col" }, h.replace("#", "")));
  return el("table", { "aria-label": caption }, el("thead", {}, el("tr", {}, th)), el("tbody", {}, rows));
}
function bar(share) {
  const inner = el("i"); inner.style.width = Math.max(0, Math.min(1, share)) * 100 + "%";
  return el("div", { class: "flow", "aria-hidden": "true" }, inner);
}
function funnelTable() {
  const rows = head.funnel.map((line) => {
    const why = [
      ...Object.entries(line.dropped).map(([reason, n]) => el("div", {}, `${n} dropped: ${reason}`)),
      ...Object.entries(line.failed).map(([where, n]) => el("div", {}, `${n} failed at ${where}`)),
    ];
    if (line.steps.length) why.unshift(el("div", {}, line.steps.map(([name, n]) => `${name} ${n}`).join(" → ")));
    if (line.message) why.unshift(el("div", {}, line.message));
    return el("tr", {}, el("td", {}, line.stage), el("td", { class: "n" }, String(line.rows_in)),
      el("td", { class: "n" }, String(line.kept)), el("td", {}, bar(line.rows_in ? line.kept / line.rows_in : 0)),
      el("td", { class: "n" }, String(line.rows_out)), el("td", { class: "why" }, why));
  });
  return tableOf("Funnel", ["Stage", "#Rows in", "#Kept", "", "#Rows out", "What happened to the others"], rows);
}
function auditTable() {
  const rows = head.audit.map((one) => {
    const range = el("i"), dot = el("b"), chance = one.low <= 0.5 && 0.5 <= one.high;
    range.style.left = one.low * 100 + "%"; range.style.width = (one.high - one.low) * 100 + "%"; dot.style.left = one.accuracy * 100 + "%";
    return el("tr", {}, el("td", {}, one.name), el("td", { class: "n" }, one.accuracy.toFixed(3)),
      el("td", { class: "n" }, `${one.low.toFixed(3)} to ${one.high.toFixed(3)}`),
      el("td", {}, el("div", { class: "range", "aria-hidden": "true" }, range, dot)),
      el("td", { class: "n" }, String(one.n)), el("td", {}, chance ? chip("at chance", "good") : chip("not at chance", "bad")));
  });
  return tableOf("Blind baselines", ["Baseline", "#Accuracy", "#95 % interval", "0 to 1, line at 0.5", "#Pairs", ""], rows);
}
function overview() {
  const parts = [el("div", { class: "tiles" }, head.tiles.map(([name, value]) => el("div", { class: "tile" }, el("b", {}, String(value)), el("span", {}, name))))];
  if (head.limits.length) parts.push(el("h2", {}, "Know before use"), el("ul", {}, head.limits.map((line) => el("li", {}, line.replaceAll("`", "")))));
  if (head.funnel.length) parts.push(el("h2", {}, "Funnel"), el("p", {}, "Every stage: rows in = kept + dropped + failed."), funnelTable());
  if (head.audit.length) parts.push(el("h2", {}, "Can a blind reader pick the right context?"),
    el("p", {}, "Guessers that do not read. An interval that contains 0.5 is chance; a tie counts one half."), auditTable());
  if (head.config) parts.push(el("h2", {}, "Settings"), el("details", {}, el("summary", {}, "Everything that was set"), el("pre", { class: "box" }, head.config)));
  $("overview").append(...parts);
}

// ---- list and filters
const FILTERS = [["kind", "kind"], ["split", "split"], ["repo", "repo"], ["verdict", "verdict"]];
function filters() {
  for (const [key, label] of FILTERS) {
    const values = [...new Set(index.map((row) => row[key]))].sort();
    const options = values.map((value) => el("option", { value }, value || "none"));
    const select = el("select", { "aria-label": "Filter by " + label, id: "filter-" + key }, el("option", { value: "*" }, "any " + label), options);
    select.addEventListener("change", () => { state.filters[key] = select.value; apply(); });
    document.querySelector(".selects").append(select);
  }
  $("search").addEventListener("input", apply);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
}
function apply() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean), current = state.shown[state.at];
  state.shown = [];
  index.forEach((row, place) => {
    const keep = FILTERS.every(([key]) => (state.filters[key] || "*") === "*" || row[key] === state.filters[key]);
    if (keep && words.every((word) => row.text.includes(word))) state.shown.push(place);
  });
  const of = head.total > index.length ? ` (of ${head.total} in the dataset)` : "";
  $("found").textContent = `${state.shown.length} of ${index.length} pairs${of}`;
  $("spacer").style.height = state.shown.length * ITEM + "px";
  go(Math.max(0, state.shown.indexOf(current)));
}
function paint() {
  const list = $("list"), from = Math.max(0, Math.floor(list.scrollTop / ITEM) - 5);
  const to = Math.min(state.shown.length, from + Math.ceil(list.clientHeight / ITEM) + 10), items = [];
  for (let n = from; n < to; n++) {
    const row = index[state.shown[n]];
    const item = el("div", { class: "item", role: "option", id: "item-" + n, "aria-selected": String(n === state.at), "aria-posinset": n + 1, "aria-setsize": state.shown.length, onclick: () => go(n) },
      el("b", {}, row.name), el("span", {}, `${row.kind} · ${row.direction} · ${row.split || "no split"}${row.verdict && row.verdict !== "VALID" ? " · " + row.verdict : ""}`));
    item.style.top = n * ITEM + "px";
    items.push(item);
  }
  $("spacer").replaceChildren(...items);
  if (state.at >= 0) list.setAttribute("aria-activedescendant", "item-" + state.at);
}
async function go(n) {
  state.at = state.shown.length ? Math.max(0, Math.min(state.shown.length - 1, n)) : -1;
  const list = $("list"), top = state.at * ITEM;
  if (top < list.scrollTop) list.scrollTop = top;
  if (top + ITEM > list.scrollTop + list.clientHeight) list.scrollTop = top + ITEM - list.clientHeight;
  paint();
  if (state.at < 0) return $("pair").replaceChildren(el("p", {}, "No pair matches the filters."));
  const place = state.shown[state.at], row = index[place], chunk = await unpack(row.chunk);
  if (state.shown[state.at] !== place) return undefined;
  const pair = chunk.pairs[row.place];
  if (location.hash.startsWith("#pair")) history.replaceState(null, "", "#pair=" + encodeURIComponent(pair.id));
  $("pair").replaceChildren(...render(pair, chunk.texts));
  $("pair").scrollTop = 0;
  return undefined;
}

// ---- one pair
function diff(text) {
  const kind = (line) => /^(diff |index |--- |\+\+\+ |new file|deleted file|similarity|rename )/.test(line) ? "file" : line.startsWith("@@") ? "hunk" : line[0] === "+" ? "add" : line[0] === "-" ? "del" : "";
  return el("pre", { class: "diff", tabindex: "0" }, text.replace(/\n$/, "").split("\n").map((line) => el("span", { class: kind(line) }, line)));
}
function evidence(pair) {
  const checks = pair.checks.map((c) => el("li", {}, chip(c.passed === null ? "not checked" : c.passed ? "passed" : "failed", c.passed === null ? "" : c.passed ? "good" : "bad"), " " + c.name + (c.detail ? ` (${c.detail})` : "")));
  const number = (value) => value === null ? "unknown" : Number.isInteger(value) ? String(value) : value.toFixed(3);
  const guess = (value) => value === 1 ? "picks C+" : value === 0 ? "picks C-" : "cannot tell";
  return el("div", { class: "evidence" }, el("h3", {}, "Evidence"), el("ul", {}, checks),
    el("details", {}, el("summary", {}, `${pair.measures.length} measurements, ${pair.scores.length} blind baselines`),
      el("table", { "aria-label": "Measurements" }, el("tbody", {}, pair.measures.map((m) => el("tr", {}, el("td", {}, m.name), el("td", { class: "n" }, number(m.value)))),
        pair.scores.map((m) => el("tr", {}, el("td", {}, "baseline " + m.name), el("td", { class: "n" }, guess(m.value))))))),
    el("details", {}, el("summary", {}, "Both issues"), ["a", "b"].map((side) => [el("p", {}, el("b", {}, side.toUpperCase() + " "), pair[side].instance), el("pre", { class: "box" }, pair[side].statement || "not on record")])),
    el("details", {}, el("summary", {}, "The other answer"), diff(pair.answer_neg || "not known")));
}
function sideHead(pair, side) {
  const right = pair.correct === side.toUpperCase(), option = pair[side];
  const label = state.blind ? chip("hidden") : right ? chip("C+ · supports the answer", "good") : chip("C− · does not", "bad");
  return el("div", { class: "side " + (state.blind ? "" : right ? "right" : "wrong") }, el("b", {}, side.toUpperCase()), label,
    el("small", {}, [option.trajectory, option.model, option.resolved === null ? "" : option.resolved ? "resolved" : "unresolved"].filter(Boolean).join(" · ")));
}
function steps(messages, texts) {
  const found = [];
  for (const [role, text] of messages) {
    if (role === "assistant" || !found.length) found.push([]);
    found[found.length - 1].push({ role, text: texts[text] });
  }
  return found.map((parts) => ({ parts, key: parts.map((p) => p.role + p.text).join("\n"), words: new Set(parts[0].text.match(/[\w./-]+/g) || []) }));
}
function likeness(a, b) {
  if (a.key === b.key) return 2;
  let both = 0;
  for (const word of a.words) if (b.words.has(word)) both++;
  return (2 * both) / (a.words.size + b.words.size - both || 1) - 0.5;
}
// Needleman-Wunsch over the steps: [step of A or null, step of B or null], in order.
function align(a, b) {
  if (a.length * b.length > 40000) return Array.from({ length: Math.max(a.length, b.length) }, (_, n) => [a[n] || null, b[n] || null]);
  const GAP = -0.25, best = [], from = [];
  for (let i = 0; i <= a.length; i++) {
    best.push([]); from.push([]);
    for (let j = 0; j <= b.length; j++) {
      const choices = [i && j ? best[i - 1][j - 1] + likeness(a[i - 1], b[j - 1]) : -Infinity, i ? best[i - 1][j] + GAP : -Infinity, j ? best[i][j - 1] + GAP : -Infinity];
      const top = i || j ? Math.max(...choices) : 0;
      best[i].push(top); from[i].push(choices.indexOf(top));
    }
  }
  const rows = [];
  for (let i = a.length, j = b.length; i || j; ) {
    const how = from[i][j];
    rows.push([how === 2 ? null : a[--i], how === 1 ? null : b[--j]]);
  }
  return rows.reverse();
}
function linesOf(text, other) {
  return text.split("\n").map((line) => {
    const span = el("span", { class: other && line.trim() && !other.has(line.trim()) ? "only" : "" });
    line.split(/(<[A-Z]+_MASKED>)/).forEach((part, n) => span.append(n % 2 ? el("mark", {}, part.slice(1, -1).replace("_", " ").toLowerCase()) : part));
    return span;
  });
}
function block(text, kind, other) {
  const lines = linesOf(text, other), node = el("div", { class: "block " + kind }, el("pre", {}, lines));
  if (lines.length > 22) {
    node.classList.add("clip");
    const button = el("button", { type: "button", "aria-expanded": "false" }, `Show all ${lines.length} lines`);
    button.addEventListener("click", () => { node.classList.remove("clip"); button.remove(); });
    node.append(button);
  }
  return node;
}
function blocks(step, counterpart) {
  const other = counterpart && new Set(counterpart.parts.flatMap((p) => p.text.split("\n").map((line) => line.trim())));
  return step.parts.flatMap(({ role, text }) => {
    if (role !== "assistant") return [block(text.replace(/\n+$/, ""), role === "system" ? "say" : "out", other)];
    return text.split(/```[a-z]*\n([\s\S]*?)```/).map((part, n) => part.trim() ? block(part.trim(), n % 2 ? "code" : "say", other) : null).filter(Boolean);
  });
}
function stepsSideBySide(pair, texts) {
  const a = steps(pair.a.messages, texts), b = steps(pair.b.messages, texts);
  for (const list of [a, b]) list.forEach((step, n) => { step.title = step.parts[0].role === "assistant" ? "Step " + (list[0].parts[0].role === "assistant" ? n + 1 : n) : "Task"; });
  const cell = (step, other) => step ? el("section", { class: "step" }, el("h4", {}, step.title), blocks(step, other)) : el("div", { class: "step none" }, "no such step here");
  return align(a, b).flatMap(([left, right]) => {
    if (left && right && left.key === right.key) {
      const title = left.title === right.title ? left.title : `${left.title} of A, ${right.title.toLowerCase()} of B`;
      return [el("details", { class: "same" }, el("summary", {}, title + ": the same in both"), blocks(left, null))];
    }
    return [cell(left, right), cell(right, left)];
  });
}
function render(pair, texts) {
  const chips = [chip(pair.kind), chip(pair.split || "no split"), chip(pair.repo), chip(pair.verdict || "not judged", pair.verdict === "VALID" ? "good" : ""),
    chip("judge: " + (pair.judge || "none")), chip("view: " + pair.view), chip(`${pair.tokens ?? "?"} tokens (${pair.tokenizer || "?"})`), chip(pair.source), chip(pair.licence || "licence unknown", pair.licence ? "" : "bad")];
  const reveal = el("button", { type: "button", "aria-pressed": String(state.blind), onclick: blind }, state.blind ? "Show the answer" : "Hide the answer");
  const walk = el("span", { class: "walk" }, el("button", { type: "button", "aria-label": "Previous pair", onclick: () => go(state.at - 1) }, "‹"), ` ${state.at + 1} of ${state.shown.length} `,
    el("button", { type: "button", "aria-label": "Next pair", onclick: () => go(state.at + 1) }, "›"), " ", reveal);
  return [el("div", { class: "head" }, el("h2", {}, pair.file ? `${pair.file} · ${pair.symbol || "module"}` : pair.id), walk), el("div", { class: "chips" }, chips),
    el("div", { class: "ask" }, el("div", {}, el("p", { class: "question" }, pair.question), el("h3", {}, "The answer"), diff(pair.answer)), state.blind ? el("div") : evidence(pair)),
    el("p", { class: "legend" }, el("span", { class: "only" }, "line found on this side only"), "  ", el("mark", {}, "masked")),
    el("div", { class: "two" }, sideHead(pair, "a"), sideHead(pair, "b"), stepsSideBySide(pair, texts))];
}
function blind() { state.blind = !state.blind; go(state.at); }

// ---- navigation
function route() {
  const wanted = decodeURIComponent(location.hash.slice(1)), pairs = wanted.startsWith("pair");
  $("overview").hidden = pairs; $("pairs").hidden = !pairs;
  for (const [tab, on] of [["tab-overview", !pairs], ["tab-pairs", pairs]]) on ? $(tab).setAttribute("aria-current", "page") : $(tab).removeAttribute("aria-current");
  if (!pairs) return;
  const place = wanted.startsWith("pair=") ? state.shown.findIndex((n) => index[n].id === wanted.slice(5)) : state.at;
  go(Math.max(0, place));
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) { if (event.key === "Escape") event.target.blur(); return; }
  const keys = { j: 1, ArrowRight: 1, k: -1, ArrowLeft: -1 }, list = document.activeElement === $("list");
  const move = keys[event.key] ?? (list ? { ArrowDown: 1, ArrowUp: -1 }[event.key] : undefined);
  if (move !== undefined) { event.preventDefault(); if ($("pairs").hidden) location.hash = "#pairs"; else go(state.at + move); }
  else if (event.key === "b") blind();
  else if (event.key === "o") location.hash = "#overview";
  else if (event.key === "/") { event.preventDefault(); location.hash = "#pairs"; setTimeout(() => $("search").focus()); }
});
$("title").textContent = head.title;
$("tab-count").textContent = `(${index.length})`;
$("list").addEventListener("scroll", paint);
window.addEventListener("resize", paint);
window.addEventListener("hashchange", route);
overview(); filters(); apply(); route();
document.documentElement.dataset.ready = "yes";
