// ---- alignment, of steps and of lines; no page in here
function likeness(a, b) {
  if (a.key === b.key) return 2;
  let both = 0;
  for (const word of a.words) if (b.words.has(word)) both++;
  return (2 * both) / (a.words.size + b.words.size - both || 1) - 0.5;
}
// Needleman-Wunsch over the steps: [step of A or null, step of B or null], in order.
const MOST_CELLS = 60000,
  GAP = -0.25;
function align(a, b) {
  let start = 0,
    end = 0;
  while (start < a.length && start < b.length && a[start].key === b[start].key) start++;
  while (end < Math.min(a.length, b.length) - start && a[a.length - 1 - end].key === b[b.length - 1 - end].key) end++;
  const middle = (list) => list.slice(start, list.length - end),
    zip = (x, y) => Array.from({ length: Math.max(x.length, y.length) }, (_, n) => [x[n] || null, y[n] || null]);
  const between = a.length * b.length > MOST_CELLS ? zip(middle(a), middle(b)) : needleman(middle(a), middle(b));
  return [
    ...zip(a.slice(0, start), b.slice(0, start)),
    ...between,
    ...zip(a.slice(a.length - end), b.slice(b.length - end)),
  ];
}
function needleman(a, b) {
  const best = [],
    from = [];
  for (let i = 0; i <= a.length; i++) {
    best.push([]);
    from.push([]);
    for (let j = 0; j <= b.length; j++) {
      const choices = [
        i && j ? best[i - 1][j - 1] + likeness(a[i - 1], b[j - 1]) : -Infinity,
        i ? best[i - 1][j] + GAP : -Infinity,
        j ? best[i][j - 1] + GAP : -Infinity,
      ];
      const top = i || j ? Math.max(...choices) : 0;
      best[i].push(top);
      from[i].push(choices.indexOf(top));
    }
  }
  const rows = [];
  for (let i = a.length, j = b.length; i || j;) {
    const how = from[i][j];
    rows.push([how === 2 ? null : a[--i], how === 1 ? null : b[--j]]);
  }
  return rows.reverse();
}

// Longest common subsequence of lines. Returns, for each side, one mark per line: null where the other side has the
// line too, else [from, to], the characters that differ.
function diffLines(a, b) {
  const marks = { a: a.map((line) => [0, line.length]), b: b.map((line) => [0, line.length]) };
  let start = 0,
    end = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) {
    marks.a[start] = marks.b[start] = null;
    start++;
  }
  while (end < Math.min(a.length, b.length) - start && a[a.length - 1 - end] === b[b.length - 1 - end]) {
    end++;
    marks.a[a.length - end] = marks.b[b.length - end] = null;
  }
  const rows = a.length - end - start,
    columns = b.length - end - start;
  if (rows * columns > 1500000) return bySet(a, b, marks);
  const table = Array.from({ length: rows + 1 }, () => new Uint32Array(columns + 1));
  for (let i = rows - 1; i >= 0; i--)
    for (let j = columns - 1; j >= 0; j--)
      table[i][j] =
        a[start + i] === b[start + j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
  let i = 0,
    j = 0,
    left = [],
    right = [];
  const close = () => {
    pairChanged(a, b, left, right, marks);
    left = [];
    right = [];
  };
  while (i < rows || j < columns) {
    if (i < rows && j < columns && a[start + i] === b[start + j]) {
      close();
      marks.a[start + i++] = null;
      marks.b[start + j++] = null;
    } else if (j >= columns || (i < rows && table[i + 1][j] >= table[i][j + 1])) left.push(start + i++);
    else right.push(start + j++);
  }
  close();
  return marks;
}
function bySet(a, b, marks) {
  const inA = new Set(a),
    inB = new Set(b);
  a.forEach((line, n) => {
    if (inB.has(line)) marks.a[n] = null;
  });
  b.forEach((line, n) => {
    if (inA.has(line)) marks.b[n] = null;
  });
  return marks;
}
// Runs of equally many changed lines are the same lines, changed: mark only the part that differs, in whole words.
function pairChanged(a, b, left, right, marks) {
  if (left.length !== right.length) return;
  left.forEach((at, n) => {
    const x = a[at],
      y = b[right[n]],
      wordy = /\w/;
    let from = 0,
      to = 0;
    while (from < x.length && from < y.length && x[from] === y[from]) from++;
    while (from > 0 && wordy.test(x[from - 1])) from--;
    while (to < Math.min(x.length, y.length) - from && x[x.length - 1 - to] === y[y.length - 1 - to]) to++;
    while (to > 0 && wordy.test(x[x.length - to])) to--;
    if (from + to < 0.3 * Math.max(x.length, y.length)) return; // too little in common: two different lines
    marks.a[at] = [from, x.length - to];
    marks.b[right[n]] = [from, y.length - to];
  });
}
