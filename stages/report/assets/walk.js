// ---- from pair to pair
async function go(n) {
  const changed = state.at !== n;
  state.at = state.shown.length ? Math.max(0, Math.min(state.shown.length - 1, n)) : -1;
  const list = $("list"),
    top = state.at * ITEM;
  if (top < list.scrollTop) list.scrollTop = top;
  if (top + ITEM > list.scrollTop + list.clientHeight) list.scrollTop = top + ITEM - list.clientHeight;
  paint();
  if (changed) looking.flipped = false;
  return show(true);
}
// Draw the current pair; a later call wins over one that is still unpacking.
async function show(fresh) {
  if (state.at < 0)
    return $("pair").replaceChildren(
      el("p", { class: "empty" }, index.length ? "No pair matches the filters." : "There are no pairs yet."),
    );
  const place = state.shown[state.at],
    turn = (state.turn = (state.turn || 0) + 1);
  try {
    const pair = await pairOf(index[place]),
      nodes = await render(pair);
    if (turn !== state.turn) return undefined;
    state.pair = pair;
    if (location.hash.startsWith("#pair")) history.replaceState(null, "", "#pair=" + encodeURIComponent(pair.id));
    $("pair").replaceChildren(...nodes.filter(Boolean));
    if (fresh === true) $("pair").scrollTop = 0;
  } catch (error) {
    if (turn === state.turn)
      $("pair").replaceChildren(el("p", { class: "empty" }, `This pair cannot be shown: ${error.message}`));
  }
  return undefined;
}
function blind() {
  state.blind = !state.blind;
  show();
}
