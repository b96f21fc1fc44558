// ---- two pictures: side by side, one over the other, or what differs between them
const VIEWS = [
  ["side", "Side by side"],
  ["flip", "Flip"],
  ["difference", "Difference"],
];
const looking = { view: "side", outline: true, flipped: false };

// The outline of a box in pixels of the original, over a picture of any shown size.
function outline(box, picture) {
  if (!looking.outline || !box || box.length !== 4) return null;
  const mark = el("span", { class: "region", "aria-hidden": "true" }),
    percent = (value, whole) => (100 * value) / whole + "%";
  mark.style.left = percent(box[0], picture.width);
  mark.style.top = percent(box[1], picture.height);
  mark.style.width = percent(box[2] - box[0], picture.width);
  mark.style.height = percent(box[3] - box[1], picture.height);
  return mark;
}
function frame(image, pair, side, hidden) {
  const picture = pair[side].picture;
  image.alt =
    `Picture ${side.toUpperCase()}` +
    (hidden ? "" : pair[side].right ? `, shows the answer ${pair.answer}` : `, shows ${pair.answer_neg}`);
  image.style.aspectRatio = `${picture.width} / ${picture.height}`;
  image.width = picture.width;
  return el("div", { class: "frame" }, image, outline(pair.box, picture));
}
function sizeOf(picture) {
  return `${picture.width} × ${picture.height} px, ${count(Math.round(picture.nbytes / 1024))} KiB${picture.exact ? "" : ", shown as a thumbnail"}`;
}
function unreadable(side) {
  return el("p", { class: "quiet" }, `Picture ${side.toUpperCase()} cannot be read.`);
}
function percentOf(share) {
  const percent = 100 * share;
  return percent > 0 && percent < 0.1 ? percent.toPrecision(1) : percent.toFixed(1);
}
// What differs, drawn in one colour over a faint picture A; both are drawn at the size of A.
function difference(a, b) {
  const width = a.naturalWidth,
    height = a.naturalHeight;
  const pixels = [a, b].map((image) => {
    const context = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d", {
      willReadFrequently: true,
    });
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
    context.drawImage(image, 0, 0, width, height);
    return context.getImageData(0, 0, width, height);
  });
  const [one, two] = pixels.map((p) => p.data),
    out = new ImageData(width, height);
  let changed = 0;
  for (let n = 0; n < one.length; n += 4) {
    const far = Math.max(
      Math.abs(one[n] - two[n]),
      Math.abs(one[n + 1] - two[n + 1]),
      Math.abs(one[n + 2] - two[n + 2]),
    );
    const grey = 235 - (255 - (one[n] * 0.3 + one[n + 1] * 0.59 + one[n + 2] * 0.11)) * 0.22,
      share = far < 24 ? 0 : Math.min(1, 0.35 + far / 160);
    if (share) changed++;
    out.data[n] = grey + (214 - grey) * share;
    out.data[n + 1] = grey + (30 - grey) * share;
    out.data[n + 2] = grey + (94 - grey) * share;
    out.data[n + 3] = 255;
  }
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  canvas.getContext("2d").putImageData(out, 0, 0);
  return { canvas, share: changed / (width * height) };
}
// The deciding region alone, enlarged, with a little of what surrounds it.
// Of a thumbnail the page holds the region apart, as sharp as the original.
async function closeUp(image, pair, side) {
  if (pair[side].picture.part) {
    const part = await pictureOf(pair[side].picture.part);
    part.alt = `Deciding region of picture ${side.toUpperCase()}`;
    part.height = Math.min(220, 2 * part.naturalHeight);
    return part;
  }
  const { width, height } = pair[side].picture,
    [x0, y0, x1, y1] = pair.box,
    pad = 0.15 * Math.max(x1 - x0, y1 - y0) + 4;
  const left = Math.max(0, x0 - pad),
    top = Math.max(0, y0 - pad),
    wide = Math.min(width, x1 + pad) - left,
    high = Math.min(height, y1 + pad) - top;
  if (!(wide > 0 && high > 0)) return null;
  const scale = Math.min(480 / wide, 220 / high, 4),
    canvas = document.createElement("canvas"),
    shrunk = image.naturalWidth / width;
  canvas.width = Math.max(1, Math.round(wide * scale));
  canvas.height = Math.max(1, Math.round(high * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(
    image,
    left * shrunk,
    top * shrunk,
    wide * shrunk,
    high * shrunk,
    0,
    0,
    canvas.width,
    canvas.height,
  );
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Deciding region of picture ${side.toUpperCase()}`);
  return canvas;
}
function pictureTools(pair) {
  const views = VIEWS.map(([view, name]) =>
    el(
      "button",
      { type: "button", "aria-pressed": String(looking.view === view), onclick: () => look({ view }) },
      name,
    ),
  );
  const box = el(
    "button",
    { type: "button", "aria-pressed": String(looking.outline), onclick: () => look({ outline: !looking.outline }) },
    "Outline",
  );
  return el(
    "div",
    { class: "tools", role: "group", "aria-label": "How to look at the pictures" },
    el("span", { class: "choice" }, views),
    pair.box && box,
    looking.view === "flip" && el("span", { class: "quiet" }, "click the picture, or press ", key("f")),
  );
}
function look(change) {
  Object.assign(looking, change);
  show();
}
const nextView = () =>
  look({ view: VIEWS[(VIEWS.findIndex(([view]) => view === looking.view) + 1) % VIEWS.length][0] });
const flip = () => look({ view: "flip", flipped: !looking.flipped });

async function pictures(pair, hidden) {
  const images = {};
  for (const side of ["a", "b"])
    images[side] = pair[side].picture ? await pictureOf(pair[side].picture).catch(() => null) : null;
  const label = (side) => sideHead(pair, side, pair[side].picture ? sizeOf(pair[side].picture) : "");
  const both = images.a && images.b,
    cell = (side) =>
      el("div", { class: "picture" }, images[side] ? frame(images[side], pair, side, hidden) : unreadable(side));
  const parts = [pictureTools(pair)];
  if (looking.view === "difference" && both) {
    const { canvas, share } = difference(images.a, images.b);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", "Where picture B differs from picture A");
    parts.push(
      el(
        "figure",
        { class: "one" },
        el("div", { class: "frame" }, canvas, outline(pair.box, pair.a.picture)),
        el("figcaption", {}, `What differs, over a faint A: ${percentOf(share)} % of the pixels shown here.`),
      ),
    );
  } else if (looking.view === "flip" && both) {
    const side = looking.flipped ? "b" : "a",
      shown = frame(images[side], pair, side, hidden);
    shown.addEventListener("click", flip);
    parts.push(el("figure", { class: "one flip" }, label(side), shown));
  } else parts.push(el("div", { class: "two" }, label("a"), label("b"), cell("a"), cell("b")));
  if (both && pair.box && pair.box.length === 4) {
    const crop = async (side) =>
      el("figure", {}, await closeUp(images[side], pair, side), el("figcaption", {}, side.toUpperCase()));
    const crops = [await crop("a"), await crop("b")];
    parts.push(el("h3", {}, "The deciding region"), el("div", { class: "crops" }, crops));
  }
  return parts;
}
// Leaves of two fact sheets that are not equal: [path, in C+, in C-]
function differingFacts(pos, neg) {
  const leaves = (value, path, into) => {
    if (value !== null && typeof value === "object")
      for (const [name, inner] of Object.entries(value)) leaves(inner, path ? `${path}.${name}` : name, into);
    else into.set(path, value);
    return into;
  };
  let a, b;
  try {
    a = leaves(JSON.parse(pos), "", new Map());
    b = leaves(JSON.parse(neg), "", new Map());
  } catch {
    return [];
  }
  return [...new Set([...a.keys(), ...b.keys()])]
    .filter((name) => a.get(name) !== b.get(name))
    .map((name) => [name, a.get(name), b.get(name)]);
}
