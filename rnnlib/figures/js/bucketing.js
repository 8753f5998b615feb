// Ragged sequences in buckets: their lengths, the staircase that they are padded to, and what that wastes, for every number of buckets.

const KINDS = { real: [COLOUR.blue, "steps of sequences"], padding: ["url(#behind)", "padding behind them"], empty: ["url(#empty)", "empty rows"] };

function draw(data, root) {
  const { choices, rows } = data, state = { count: 0, row: rows.indexOf(32) };
  const controls = html(root, "div", { class: "controls" });
  slider(controls, { label: "buckets", min: 1, max: Math.max(2, choices.length), value: 1, change: (n) => { state.count = Math.min(n, choices.length) - 1; update(); } });
  slider(controls, { label: "rows of a batch, B", min: 0, max: rows.length - 1, value: state.row, show: (i) => rows[i], change: (i) => { state.row = i; update(); } });
  const figure = svg(root, "svg", { viewBox: "0 0 830 400", role: "img", "aria-label": "lengths, the staircase they are padded to, and the share wasted" });
  hatches(figure);
  const lengths = svg(figure, "g"), stairs = svg(figure, "g"), shares = svg(figure, "g");
  const say = html(root, "p", { class: "say", "aria-live": "polite", style: "min-height: 3em" });
  const longest = data.counts.length - 1, y = (length) => 352 - (length / longest) * 290;

  function update() {
    const { edges, held, waste } = choices[state.count], { real, padded, share, shapes } = waste[state.row], full = waste[0].padded;
    drawLengths(lengths, data.counts, edges, y);
    drawStairs(stairs, data.counts, edges, held, rows[state.row], y);
    drawShares(shares, data, state);
    say.textContent = `${edges.length} bucket${edges.length > 1 ? "s" : ""}, batches of ${rows[state.row]}: ${shapes} shape${shapes > 1 ? "s" : ""} to compile, `
      + `${padded} steps computed for ${real}, ${percent(share)} of them for nothing: ${percent((full - real) / padded)} behind sequences, `
      + `${percent((padded - full) / padded)} in empty rows.`;
  }
  update();
}

const percent = (share) => `${number(100 * share, share < 0.095 ? 1 : 0)}\u00a0%`;

// Two ways of shading, so that not colour alone tells them apart, and the legend.
function hatches(figure) {
  const defs = svg(figure, "defs");
  for (const [id, colour, path] of [["behind", COLOUR.orange, "M 0 8 L 8 0"], ["empty", COLOUR.grey, "M 0 0 L 8 8 M 0 8 L 8 0"]]) {
    const pattern = svg(defs, "pattern", { id, width: 8, height: 8, patternUnits: "userSpaceOnUse" });
    svg(pattern, "rect", { width: 8, height: 8, fill: colour, opacity: 0.25 });
    svg(pattern, "path", { d: path, stroke: colour, "stroke-width": 1.6 });
  }
  Object.values(KINDS).forEach(([fill, name], n) => {
    const x = [196, 356, 530][n];
    svg(figure, "rect", { x, y: 6, width: 16, height: 14, fill });
    svg(figure, "text", { x: x + 21, y: 18 }, name);
  });
}

// How many sequences have each length, length upwards; the edges of the buckets across.
function drawLengths(parent, counts, edges, y) {
  parent.replaceChildren();
  const left = 62, width = 104, most = Math.max(...counts), thick = Math.max(1, y(0) - y(1) - 0.5);
  counts.forEach((count, length) => count && svg(parent, "rect", { x: left, y: y(length) - thick / 2, width: (count / most) * width, height: thick, fill: COLOUR.blue }));
  svg(parent, "text", { x: 8, y: 44, "font-weight": 600 }, "length (steps)");
  svg(parent, "text", { x: left + width / 2, y: 390, "text-anchor": "middle" }, "sequences");
  for (const [x, text] of [[left, 0], [left + width, most]]) svg(parent, "text", { x, y: 370, "text-anchor": "middle" }, text);
  let last = Infinity;
  for (const edge of edges.slice().reverse()) { // from the longest down, so that its label is never the one left out
    svg(parent, "line", { x1: left, x2: 566, y1: y(edge), y2: y(edge), stroke: COLOUR.ink, "stroke-width": 1, "stroke-dasharray": "2 3" });
    if (last === Infinity || y(edge) - y(last) >= 14) {
      svg(parent, "text", { x: left - 8, y: y(edge) + 5, "text-anchor": "end" }, edge);
      last = edge;
    }
  }
}

// All rows that are computed, sorted by length: areas are steps.
function drawStairs(parent, counts, edges, held, B, y) {
  parent.replaceChildren();
  const left = 196, width = 370, bottom = y(0), computed = held.map((n) => Math.ceil(n / B) * B);
  const total = computed.reduce((sum, n) => sum + n, 0), wide = (n) => (n / total) * width;
  const block = (x, n, height, kind) => n && svg(parent, "rect", { x, y: y(height), width: wide(n), height: bottom - y(height), fill: KINDS[kind][0] });
  let x = left;
  edges.forEach((edge, k) => {
    block(x, held[k], edge, "padding");
    let at = x, outline = `M ${x} ${bottom}`;
    for (let length = k ? edges[k - 1] + 1 : 1; length <= edge; length++) {
      outline += ` V ${y(length)} h ${wide(counts[length])}`;
      at += wide(counts[length]);
    }
    svg(parent, "path", { d: `${outline} V ${bottom} Z`, fill: KINDS.real[0] });
    block(at, computed[k] - held[k], edge, "empty");
    x += wide(computed[k]);
    svg(parent, "path", { d: `M ${x - wide(computed[k])} ${bottom} V ${y(edge)} H ${x} V ${bottom}`, fill: "none", stroke: COLOUR.ink });
  });
  svg(parent, "text", { x: left, y: 44, "font-weight": 600 }, "rows computed, sorted: area is work");
  for (const [at, text] of [[left, 0], [left + width, total]]) svg(parent, "text", { x: at, y: 370, "text-anchor": "middle" }, text);
  svg(parent, "text", { x: left + width / 2, y: 390, "text-anchor": "middle" }, "rows");
}

// The share wasted against the number of buckets, for these rows and, in grey, for the fewest and the most.
function drawShares(parent, { choices, rows }, { count, row }) {
  parent.replaceChildren();
  const left = 650, right = 818, top = 62, bottom = 352, n = choices.length;
  const high = Math.max(0.2, Math.ceil(5 * Math.max(...choices.flatMap(({ waste }) => waste.map((w) => w.share)))) / 5);
  const x = (k) => left + (n > 1 ? k / (n - 1) : 0.5) * (right - left), y = (share) => bottom - (share / high) * (bottom - top);
  svg(parent, "text", { x: 606, y: 44, "font-weight": 600 }, "share wasted");
  for (let tick = 0; tick <= high + 1e-9; tick += 0.2) {
    svg(parent, "line", { x1: left, x2: right, y1: y(tick), y2: y(tick), stroke: "#e6e6e6" });
    svg(parent, "text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, `${number(100 * tick, 0)}\u00a0%`);
  }
  for (const k of [1, 4, 8, 12, 16].filter((k) => k <= n)) svg(parent, "text", { x: x(k - 1), y: 370, "text-anchor": "middle" }, k);
  svg(parent, "text", { x: (left + right) / 2, y: 390, "text-anchor": "middle" }, "buckets");
  const ends = [0, rows.length - 1].filter((i) => i !== row);
  for (const i of [...ends, row]) {
    const points = choices.map(({ waste }, k) => `${x(k)},${y(waste[i].share)}`).join(" "), chosen = i === row;
    svg(parent, "polyline", { points, fill: "none", stroke: chosen ? COLOUR.blue : COLOUR.grey, "stroke-width": chosen ? 3 : 1.6, "stroke-dasharray": chosen ? "" : "4 4" });
  }
  for (const i of [...ends, row]) {
    const style = `stroke: #fff; stroke-width: 4; paint-order: stroke${i === row ? `; fill: ${COLOUR.blue}; font-weight: 600` : ""}`;
    if (i === row || Math.abs(y(choices[n - 1].waste[i].share) - y(choices[n - 1].waste[row].share)) > 18) svg(parent, "text", { x: right, y: y(choices[n - 1].waste[i].share) - 8, "text-anchor": "end", style }, `B = ${rows[i]}`);
  }
  svg(parent, "circle", { cx: x(count), cy: y(choices[count].waste[row].share), r: 7, fill: COLOUR.orange, stroke: "#fff", "stroke-width": 2 });
}

export default explorable("bucketing", draw);
