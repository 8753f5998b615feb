// A difference quotient at every step ε. Left: the loss around w, the tangent, and the secant that stands in for it. Right: what the
// secant gets wrong, against ε.

const PANELS = { width: 860, height: 346, top: 50, bottom: 296, left: [78, 400], right: [510, 846] };
const VIEWS = ["the loss", "the loss minus its tangent"];

const short = (value, digits = 1) => value.toExponential(digits).replace(/\.?0*e/, "e").replace(/e\+?0$/, "").replace("e+", "e").replace(/-/g, "−");

// The largest of 1, 2, 5 · 10^n that is no more than `limit`.
function round(limit) {
  const power = 10 ** Math.floor(Math.log10(limit));
  return power * ([5, 2, 1].find((m) => m * power <= limit) || 1);
}

function why(data, kind, method, epsilon, error) {
  if (error === -data.slope) return "w ± ε rounds to w itself, or the loss does not notice: the difference is 0, and all of the slope is lost.";
  const decades = Math.log10(epsilon / data.kinds[kind].balance[method]);
  if (decades < -1) return "rounding rules: the two losses agree in so many digits that few are left to subtract.";
  if (decades > 1) return "curvature rules: the secant is too long to lie along the curve.";
  return "rounding and curvature in balance.";
}

function draw(data, root) {
  const state = { i: data.epsilons.findIndex((e) => e >= 0.99e-1), kind: "float64", method: "forward", view: VIEWS[0] };
  const controls = html(root, "div", { class: "controls" });
  slider(controls, {
    label: "step ε", min: 0, max: data.epsilons.length - 1, value: state.i, show: (i) => short(data.epsilons[i]),
    change: (i) => { state.i = i; update(); },
  });
  for (const [key, names] of [["kind", Object.keys(data.kinds)], ["method", ["forward", "central"]], ["view", VIEWS]]) {
    choice(controls, { label: { kind: "numbers", method: "difference", view: "show" }[key], names, value: state[key], change: (name) => { state[key] = name; update(); } });
  }
  const figure = svg(root, "svg", { viewBox: `0 0 ${PANELS.width} ${PANELS.height}`, role: "img", "aria-label": "left, the loss with tangent and secant; right, the error against ε" });
  const left = svg(figure, "g"), right = svg(figure, "g");
  const say = html(root, "p", { class: "say", "aria-live": "polite" });

  function update() {
    const epsilon = data.epsilons[state.i], error = data.kinds[state.kind].errors[state.method][state.i];
    drawLoss(left, data, state);
    drawErrors(right, data, state);
    say.textContent = `ε = ${short(epsilon)}, ${state.method}, ${state.kind}: slope ${number(data.slope + error, 8)} for ${number(data.slope, 8)}, `
      + `error ${short(Math.abs(error))}: ${why(data, state.kind, state.method, epsilon, error)}`;
  }
  update();
}

function line(parent, points, attrs) {
  svg(parent, "polyline", { points: points.map((p) => p.join(",")).join(" "), fill: "none", "stroke-width": 2, ...attrs });
}

// Axes from the edges of the panel, with ticks as [position, text].
function frame(parent, [x0, x1], { xs, ys, title, xlabel }) {
  const { top, bottom } = PANELS;
  svg(parent, "text", { x: x0, y: 16, "font-weight": 600 }, title);
  for (const [x, text] of xs) {
    svg(parent, "line", { x1: x, x2: x, y1: top, y2: bottom, stroke: "#e6e6e6" });
    svg(parent, "text", { x, y: bottom + 18, "text-anchor": "middle" }, text);
  }
  for (const [y, text] of ys) {
    svg(parent, "line", { x1: x0, x2: x1, y1: y, y2: y, stroke: "#e6e6e6" });
    svg(parent, "text", { x: x0 - 6, y: y + 4, "text-anchor": "end" }, text);
  }
  svg(parent, "text", { x: (x0 + x1) / 2, y: bottom + 40, "text-anchor": "middle" }, xlabel);
}

function drawLoss(parent, data, { i, kind, method, view }) {
  parent.replaceChildren();
  const [x0, x1] = PANELS.left, { top, bottom } = PANELS, middle = (top + bottom) / 2;
  const epsilon = data.epsilons[i], rise = view === VIEWS[0] ? data.slope * epsilon : 0; // of the tangent, over one ε
  const end = data.offsets.at(-1), values = data.kinds[kind].curves[i].map((v, n) => v + rise * data.offsets[n]);
  const at = (s) => values[data.offsets.indexOf(s)];
  const from = method === "central" ? -1 : 0, tilt = (at(1) - at(from)) / (1 - from);
  const secant = (s) => at(from) + tilt * (s - from);
  const limit = Math.max(...[...values, rise * end, secant(end), secant(-end)].map(Math.abs)) * 1.1 || data.kinds[kind].unit;
  const x = (s) => x0 + ((s + end) / (2 * end)) * (x1 - x0), y = (v) => middle - (v / limit) * (bottom - top) / 2;

  const tick = round(limit / 1.15);
  frame(parent, PANELS.left, {
    xs: [[x(-1), "w − ε"], [x(0), "w"], [x(1), "w + ε"]], ys: [[y(tick), short(tick)], [y(0), "0"], [y(-tick), short(-tick)]],
    title: rise ? "L − L(w)" : "L − L(w) − tangent", xlabel: "the weight",
  });
  line(parent, [[x0, y(-rise * end)], [x1, y(rise * end)]], { stroke: COLOUR.green, "stroke-dasharray": "2 5", "stroke-width": 3 });
  line(parent, values.map((v, n) => [x(data.offsets[n]), y(v)]), { stroke: COLOUR.blue });
  line(parent, [[x0, y(secant(-end))], [x1, y(secant(end))]], { stroke: COLOUR.orange, "stroke-dasharray": "9 5" });
  for (const s of [from, 1]) svg(parent, "circle", { cx: x(s), cy: y(at(s)), r: 5.5, fill: COLOUR.orange });
  [["loss", COLOUR.blue, ""], ["tangent", COLOUR.green, "2 5"], ["secant", COLOUR.orange, "9 5"]].forEach(([name, stroke, dash], n) => {
    const key = x0 + [0, 88, 196][n];
    line(parent, [[key, 35], [key + 30, 35]], { stroke, "stroke-dasharray": dash });
    svg(parent, "text", { x: key + 36, y: 39 }, name);
  });
}

function drawErrors(parent, data, { i, kind, method }) {
  parent.replaceChildren();
  const [x0, x1] = PANELS.right, { top, bottom } = PANELS, log = Math.log10;
  const all = Object.values(data.kinds).flatMap((k) => Object.values(k.errors)).flat().map(Math.abs).filter(Boolean);
  const low = Math.floor(log(Math.min(...all))), high = Math.ceil(log(Math.max(...all)));
  const first = log(data.epsilons[0]), last = log(data.epsilons.at(-1));
  const x = (e) => x0 + ((log(e) - first) / (last - first)) * (x1 - x0);
  const y = (e) => bottom - ((Math.max(log(Math.abs(e)), low) - low) / (high - low)) * (bottom - top);
  const decades = (from, to) => Array.from({ length: Math.floor((to - from) / 4) + 1 }, (_, n) => 10 ** (to - 4 * n));

  frame(parent, PANELS.right, {
    xs: decades(first, last).map((e) => [x(e), short(e)]), ys: decades(low, high).map((e) => [y(e), short(e)]),
    title: `error of the slope: ${method}, ${kind}`, xlabel: "step ε",
  });
  for (const [k, { errors }] of Object.entries(data.kinds)) {
    for (const [m, curve] of Object.entries(errors)) {
      const chosen = k === kind && m === method;
      if (!chosen) line(parent, curve.map((e, n) => [x(data.epsilons[n]), y(e)]), { stroke: COLOUR.line, "stroke-width": 1.2 });
    }
  }
  svg(parent, "text", { x: x0, y: 39 }, "grey: the other three");
  const { errors, balance } = data.kinds[kind], best = x(balance[method]);
  line(parent, [[best, top], [best, bottom]], { stroke: COLOUR.grey, "stroke-dasharray": "3 4" });
  svg(parent, "text", { x: best - 6, y: bottom - 8, "text-anchor": "end" }, "balance");
  line(parent, errors[method].map((e, n) => [x(data.epsilons[n]), y(e)]), { stroke: COLOUR.blue });
  svg(parent, "circle", { cx: x(data.epsilons[i]), cy: y(errors[method][i]), r: 7, fill: COLOUR.orange, stroke: "#fff", "stroke-width": 2 });
}

export default explorable("epsilon", draw);
