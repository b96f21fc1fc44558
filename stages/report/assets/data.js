// ---- data: deflated chunks, unpacked when a pair of theirs is first shown
const head = JSON.parse($("data-head").textContent);
const chunks = new Map(),
  CHUNKS_HELD = 12;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// The script runs while the rest of a large file is still being read: wait for an element that is to come.
async function arrived(id) {
  while (!$(id)) {
    if (document.readyState !== "loading") throw new Error(`${id} is missing: the file is cut short`);
    await pause(15);
  }
  // An element may be there before all of its text is: it is whole when something follows it.
  while (!$(id).nextElementSibling && document.readyState === "loading") await pause(15);
  return $(id);
}
async function inflate(id) {
  const text = (await arrived(id)).textContent;
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).json();
}
function unpack(number) {
  const held = chunks.get(number) || inflate("chunk-" + number);
  chunks.delete(number);
  chunks.set(number, held); // the latest used stands last
  if (chunks.size > CHUNKS_HELD) chunks.delete(chunks.keys().next().value);
  return held;
}
// A context: [{ role, text }, ...]
async function contextOf([number, place]) {
  const chunk = await unpack(number);
  return chunk.contexts[place].map(([role, text]) => ({ role, text: chunk.texts[text] }));
}
async function pairOf(line) {
  const pair = (await unpack(line.chunk)).pairs[line.place],
    sides = {};
  for (const side of ["a", "b"]) {
    sides[side] = { ...pair[side], right: pair[side].side === "pos" };
    if (pair[side].context) sides[side].messages = await contextOf(pair[side].context);
    const of = (name) => pair.row[`${name}_${pair[side].side}`];
    Object.assign(sides[side], {
      instance: of("instance"),
      trajectory: of("trajectory"),
      model: of("model"),
      resolved: of("resolved"),
      statement: of("problem_statement"),
    });
  }
  return { ...pair.row, ...sides };
}
async function pictureOf(picture) {
  const image = new Image();
  image.src = `data:${picture.mime};base64,${(await arrived("picture-" + picture.number)).textContent}`;
  image.style.imageOrientation = "none"; // the boxes are measured in the pixels as they are stored
  await image.decode();
  return image;
}
async function readIndex() {
  const columns = await inflate("data-index"),
    names = Object.keys(columns);
  return (columns.id || []).map((_, n) => Object.fromEntries(names.map((name) => [name, columns[name][n]])));
}
