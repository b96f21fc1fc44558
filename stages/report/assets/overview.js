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
      auditVerdict(),
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
      (head.audit || head.baselines.length > 0) && blindReaders(),
      head.config &&
        section(
          "Settings",
          "",
          el("details", {}, el("summary", {}, "Everything that was set"), el("pre", { class: "box" }, head.config)),
        ),
    ].filter(Boolean),
  );
}
