// ---- overview
function segment(share, kind) {
  const part = el("i", { class: kind });
  part.style.width = Math.max(0, Math.min(1, share)) * 100 + "%";
  return part;
}
function funnelTable() {
  const sum = (counts) => Object.values(counts).reduce((total, n) => total + n, 0);
  const rows = head.funnel.map((line) => {
    const dropped = sum(line.dropped),
      failed = sum(line.failed),
      all = Math.max(1, line.kept + dropped + failed);
    const why = [
      line.message && el("div", { class: "said" }, line.message),
      line.steps.length > 0 &&
        el(
          "div",
          { class: "said" },
          line.steps.flatMap(([name, n], place) => [
            place ? " → " : "",
            el("span", { class: "whole" }, `${name} ${count(n)}`),
          ]),
        ),
      Object.entries(line.dropped).map(([reason, n]) => el("div", {}, el("b", {}, count(n)), ` dropped: ${reason}`)),
      Object.entries(line.failed).map(([where, n]) =>
        el("div", { class: "failed" }, el("b", {}, count(n)), ` failed at ${where}`),
      ),
    ];
    const bar = el(
      "div",
      { class: "flow", "aria-hidden": "true" },
      line.rows_in ? [segment(line.kept / all, "kept"), segment(failed / all, "lost")] : null,
    );
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, line.stage),
      el("td", { class: "n" }, count(line.rows_in)),
      el("td", { class: "n" }, count(line.kept)),
      el("td", { class: "wide" }, bar),
      el("td", { class: "n" }, count(line.rows_out)),
      el("td", { class: "why" }, why),
    );
  });
  return tableOf(
    "Funnel",
    ["Stage", "#Rows in", "#Kept", "Share kept", "#Rows out", "What happened to the others"],
    rows,
  );
}
// How many pairs of each kind were sound, and how many of them are in the dataset: a row a domain, a column a method.
function partsTable() {
  const names = (key) => [...new Set(head.parts.map((part) => part[key]))];
  const told = (parts) => {
    const sum = (key) => parts.reduce((total, part) => total + part[key], 0);
    return parts.length ? `${count(sum("selected"))} of ${count(sum("sound"))}` : "";
  };
  const line = (domain, parts) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, domain),
      names("method").map((method) => el("td", { class: "n" }, told(parts.filter((part) => part.method === method)))),
      el("td", { class: "n" }, told(parts)),
    );
  const rows = names("domain").map((domain) => line(domain, head.parts.filter((part) => part.domain === domain)));
  const heads = ["Domain", ...names("method").map((method) => `#${method}`), "#All"];
  return tableOf("Pairs by domain and method", heads, [...rows, line("all", head.parts)]);
}
function auditRow(one) {
  const range = el("i"),
    dot = el("b"),
    chance = one.low <= 0.5 && 0.5 <= one.high;
  range.style.left = one.low * 100 + "%";
  range.style.width = (one.high - one.low) * 100 + "%";
  dot.style.left = one.accuracy * 100 + "%";
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, one.name),
    el("td", { class: "n" }, one.accuracy.toFixed(3)),
    el("td", { class: "n" }, `${one.low.toFixed(3)} to ${one.high.toFixed(3)}`),
    el(
      "td",
      { class: "wide" },
      el("div", { class: "range" + (chance ? "" : " off"), "aria-hidden": "true" }, range, dot),
    ),
    el("td", { class: "n" }, count(one.n)),
    el("td", {}, chance ? chip("at chance", "good") : chip("not at chance", "bad")),
  );
}
function auditTable() {
  const splits = [...new Set(head.audit.map((one) => one.split || ""))];
  const table = (split) => {
    const rows = head.audit.filter((one) => (one.split || "") === split).map(auditRow);
    const scale = "0 · chance · 1";
    return tableOf(
      split ? `Blind baselines in ${split}` : "Blind baselines",
      ["Baseline", "#Accuracy", "#95 % interval", scale, "#Pairs", "Verdict"],
      rows,
    );
  };
  const more = splits.slice(1).map((split) => [el("h3", {}, split), table(split)]);
  return [table(splits[0]), more.length > 0 && el("details", {}, el("summary", {}, "The same in each split"), more)];
}
function section(title, lead, ...body) {
  return el("section", { "aria-label": title }, el("h2", {}, title), lead && el("p", { class: "lead" }, lead), body);
}
function overview() {
  const tiles = head.tiles.map(([name, value]) =>
    el("div", {}, el("dt", {}, name), el("dd", {}, typeof value === "number" ? count(value) : String(value))),
  );
  $("overview").append(
    el("h1", { id: "title" }, head.title),
    el("dl", { class: "tiles" }, tiles),
    ...[
      head.limits.length &&
        section(
          "Know before use",
          "",
          el(
            "ul",
            { class: "limits" },
            head.limits.map((line) => el("li", {}, line.replaceAll("`", ""))),
          ),
        ),
      head.funnel.length && section("Funnel", "Every stage: rows in = kept + dropped + failed.", funnelTable()),
      head.parts.length &&
        section(
          "By domain and method",
          "Pairs that are in the dataset, of those that the judge found sound; each pair gives two rows.",
          partsTable(),
        ),
      head.audit.length &&
        section(
          "Can a blind reader pick the right context?",
          "Guessers that do not read. An interval that contains 0.5 is chance; a tie counts one half.",
          auditTable(),
        ),
      head.config &&
        section(
          "Settings",
          "",
          el("details", {}, el("summary", {}, "Everything that was set"), el("pre", { class: "box" }, head.config)),
        ),
    ].filter(Boolean),
  );
}
