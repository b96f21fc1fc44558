// ---- navigation, keys, start
function hashed() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  } // somebody typed a lone %
}
function route() {
  const wanted = hashed(),
    pairs = wanted.startsWith("pair");
  $("overview").hidden = pairs;
  $("pairs").hidden = !pairs;
  for (const [tab, on] of [
    ["tab-overview", !pairs],
    ["tab-pairs", pairs],
  ])
    on ? $(tab).setAttribute("aria-current", "page") : $(tab).removeAttribute("aria-current");
  if (!pairs) return;
  const place = wanted.startsWith("pair=") ? state.shown.findIndex((n) => index[n].id === wanted.slice(5)) : state.at;
  go(Math.max(0, place));
}
const KEYS = {
  j: () => walk(1),
  ArrowRight: () => walk(1),
  k: () => walk(-1),
  ArrowLeft: () => walk(-1),
  n: () => nextDifference(1),
  p: () => nextDifference(-1),
  v: () => judge("v"),
  i: () => judge("i"),
  u: () => judge("u"),
  b: blind,
  d: () => pictured() && nextView(),
  f: () => pictured() && flip(),
  t: nextTheme,
  o: () => {
    location.hash = "#overview";
  },
  "/": () => {
    location.hash = "#pairs";
    setTimeout(() => $("search").focus());
  },
  "?": () => $("help").showModal(),
};
const PAIR_KEYS = new Set(["n", "p", "v", "i", "u", "b", "d", "f"]);
const pictured = () => state.pair && state.pair.a.picture !== undefined;
function walk(step) {
  if ($("pairs").hidden) location.hash = "#pairs";
  else go(state.at + step);
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const inList = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[event.key];
  const act = document.activeElement === $("list") && inList !== undefined ? () => walk(inList) : KEYS[event.key];
  if (!act || ($("pairs").hidden && PAIR_KEYS.has(event.key))) return;
  event.preventDefault();
  act();
});
async function start() {
  setTheme(kept("contextrl-theme", "system"));
  $("theme").addEventListener("click", nextTheme);
  $("keys").addEventListener("click", () => $("help").showModal());
  $("save").addEventListener("click", saveReview);
  $("load").addEventListener("click", () => $("load-file").click());
  $("load-file").addEventListener("change", async (event) => {
    await loadReview(event.target.files[0]);
    event.target.value = "";
    apply();
  });
  $("list").addEventListener("scroll", paint);
  window.addEventListener("resize", paint);
  window.addEventListener("hashchange", route);
  overview();
  recall();
  index = await readIndex();
  if (index.some((line) => line.answer && line.name.length > 34)) ITEM = 68;
  state.unsure = new Set(index.filter((line) => line.verdict === "UNCERTAIN").map((line) => line.pair_id)).size;
  $("tab-count").textContent = count(index.length);
  filters();
  apply();
  route();
  document.documentElement.dataset.ready = "yes";
}
start();
