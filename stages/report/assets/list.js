// ---- list, filters and search
let ITEM = 50; // pixels of one entry; questions about pictures take two lines
const FILTERS = [
  ["method", "method"],
  ["kind", "kind"],
  ["domain", "domain"],
  ["renderer", "renderer"],
  ["repo", "repository"],
  ["split", "split"],
  ["verdict", "verdict"],
  ["review", "review"],
];
const state = { shown: [], at: -1, blind: false, filters: {}, unsure: 0 };
let index = [];

function valueOf(line, name) {
  if (name !== "review") return line[name];
  const mine = verdictOf(line).verdict;
  return mine ? "reviewed" : line.verdict === "UNCERTAIN" ? "to review" : "";
}
// A filter stands only where there is something to choose.
function filters() {
  for (const [name, label] of FILTERS) {
    const counts = new Map();
    for (const line of index) counts.set(line[name], (counts.get(line[name]) || 0) + 1);
    if (name === "review") {
      counts.clear();
      if (index.some((line) => line.verdict === "UNCERTAIN")) counts.set("to review").set("reviewed");
    }
    if (counts.size < 2) continue;
    const options = [...counts]
      .sort()
      .map(([value, n]) => el("option", { value }, `${value || "none"}${n ? ` (${count(n)})` : ""}`));
    const select = el(
      "select",
      { "aria-label": "Filter by " + label, id: "filter-" + name },
      el("option", { value: "*" }, "Any " + label),
      options,
    );
    select.addEventListener("change", () => {
      state.filters[name] = select.value;
      select.classList.toggle("set", select.value !== "*");
      apply();
    });
    document.querySelector(".selects").append(select);
  }
  $("search").addEventListener("input", apply);
  $("clear").addEventListener("click", clearFilters);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
}
function clearFilters() {
  state.filters = {};
  $("search").value = "";
  for (const select of document.querySelectorAll(".selects select")) {
    select.value = "*";
    select.classList.remove("set");
  }
  apply();
}
function apply() {
  const asked = $("search").value.toLowerCase().split(/\s+/).filter(Boolean),
    current = state.shown[state.at],
    before = state.at;
  const set = Object.entries(state.filters).filter(([, value]) => value !== "*");
  state.shown = [];
  index.forEach((line, place) => {
    if (set.every(([name, value]) => valueOf(line, name) === value) && asked.every((word) => line.text.includes(word)))
      state.shown.push(place);
  });
  const of = head.total > index.length ? ` (of ${count(head.total)} in the dataset)` : "";
  $("found").textContent = `${count(state.shown.length)} of ${plural(index.length, "pair")}${of}`;
  $("clear").hidden = !set.length && !asked.length;
  $("spacer").style.height = state.shown.length * ITEM + "px";
  const place = state.shown.indexOf(current);
  return go(place >= 0 ? place : state.filters.review === "to review" ? before : 0); // the next one takes the place of what was reviewed
}
function itemOf(n) {
  const line = index[state.shown[n]],
    mine = verdictOf(line).verdict;
  const mark = mine
    ? mine === "VALID"
      ? ["✓", "good", "you: valid"]
      : ["✕", "bad", "you: invalid"]
    : line.verdict === "UNCERTAIN"
      ? ["?", "unsure", "uncertain"]
      : null;
  const what = [line.method || line.kind, line.direction, line.split || "not exported"].filter(Boolean).join(" · ");
  const item = el(
    "div",
    {
      class: "item" + (line.answer ? " prose" : ""),
      role: "option",
      id: "item-" + n,
      "aria-selected": String(n === state.at),
      "aria-posinset": n + 1,
      "aria-setsize": state.shown.length,
      onclick: () => go(n),
    },
    el("b", {}, line.name),
    el("span", {}, line.answer ? `${what} · ${line.answer}` : what),
    mark && el("i", { class: "mark " + mark[1], role: "img", "aria-label": mark[2] }, mark[0]),
  );
  item.style.top = n * ITEM + "px";
  item.style.height = ITEM + "px";
  return item;
}
function paint() {
  const list = $("list"),
    from = Math.max(0, Math.floor(list.scrollTop / ITEM) - 5);
  const to = Math.min(state.shown.length, from + Math.ceil(list.clientHeight / ITEM) + 10);
  const items = Array.from({ length: Math.max(0, to - from) }, (_, n) => itemOf(from + n));
  if (state.at >= 0 && (state.at < from || state.at >= to)) items.push(itemOf(state.at)); // the active one is always there
  $("spacer").replaceChildren(...items);
  if (state.at >= 0) list.setAttribute("aria-activedescendant", "item-" + state.at);
  else list.removeAttribute("aria-activedescendant");
  const done = [...verdicts.values()].filter((one) => one.verdict).length;
  $("reviews").hidden = !state.unsure && !verdicts.size;
  $("progress").textContent = done ? plural(done, "verdict") : `${count(state.unsure)} to review`;
  $("save").disabled = !verdicts.size;
}
