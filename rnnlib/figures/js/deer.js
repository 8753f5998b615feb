// The error of each of DEER's iterations, and how many are needed, against the Lyapunov exponent; a dot for each gain.

function draw({ T, runs, limit }, root) {
  const top = 34, bottom = 312, left = { from: 62, to: 412 }, right = { from: 496, to: 816 }, lowest = -16, highest = 4;
  const exponents = runs.map((run) => run.exponent), first = Math.floor(Math.min(...exponents) * 5) / 5, last = Math.ceil(Math.max(...exponents, 0.05) * 5) / 5;
  const controls = html(root, "div", { class: "controls" });
  slider(controls, { label: "gain of W_hh", min: 0, max: runs.length - 1, value: 0, show: (i) => runs[i].gain.toFixed(2), change: update });
  const figure = svg(root, "svg", { viewBox: "0 0 830 370", role: "img", "aria-label": "error against iterations, and iterations against the Lyapunov exponent" });
  const say = html(root, "p", { class: "say", "aria-live": "polite", style: "min-height: 3em" });
  const across = (share, axis) => axis.from + share * (axis.to - axis.from), up = (share) => bottom - share * (bottom - top);
  const k = (iteration) => across(iteration / T, left), error = (power) => up((Math.min(power, highest) - lowest) / (highest - lowest));
  const exponent = (value) => across((value - first) / (last - first), right), needed = (count) => up(count / T);

  title(left, "largest error of a state, log axis");
  for (let power = lowest; power <= highest; power += 4) rule(left, error(power), power ? `1e${power}`.replace("-", "−") : "1");
  for (let i = 0; i <= 4; i++) tick(k((i * T) / 4), (i * T) / 4);
  name(left, "iterations of DEER");
  title(right, `iterations to an error below 1e${Math.round(Math.log10(limit))}`.replace("-", "−"));
  for (let i = 0; i <= 4; i++) rule(right, needed((i * T) / 4), (i * T) / 4);
  for (let i = Math.ceil(first / 0.4 - 1e-9); i * 0.4 <= last + 1e-9; i++) tick(exponent(i * 0.4), i ? number(i * 0.4, 1) : "0");
  name(right, "Lyapunov exponent (nats a step)");
  svg(figure, "line", { x1: exponent(0), x2: exponent(0), y1: top, y2: bottom, stroke: COLOUR.ink, "stroke-dasharray": "3 4" });
  svg(figure, "text", { x: exponent(0) - 6, y: top + 14, "text-anchor": "end" }, "forgets");

  svg(figure, "line", { x1: left.from, x2: left.to, y1: error(Math.log10(limit)), y2: error(Math.log10(limit)), stroke: COLOUR.orange, "stroke-width": 2, "stroke-dasharray": "8 5" });
  svg(figure, "text", { x: left.to, y: error(Math.log10(limit)) - 6, "text-anchor": "end", style: `fill: ${COLOUR.orange}` }, "right, if below");
  const curve = svg(figure, "polyline", { class: "curve", fill: "none", stroke: COLOUR.blue, "stroke-width": 3 });
  for (const run of runs) svg(figure, "circle", { cx: exponent(run.exponent), cy: needed(run.needed), r: 4, fill: COLOUR.sky });
  const now = svg(figure, "circle", { class: "now", r: 8, fill: COLOUR.blue, stroke: "#fff", "stroke-width": 2 });

  function title(axis, text) { svg(figure, "text", { x: axis.from - 30, y: 16, style: "font-weight: 600" }, text); }
  function name(axis, text) { svg(figure, "text", { x: (axis.from + axis.to) / 2, y: bottom + 46, "text-anchor": "middle" }, text); }
  function tick(x, text) { svg(figure, "text", { x, y: bottom + 20, "text-anchor": "middle" }, text); }
  function rule(axis, y, text) {
    svg(figure, "line", { x1: axis.from, x2: axis.to, y1: y, y2: y, stroke: "#e6e6e6" });
    svg(figure, "text", { x: axis.from - 8, y: y + 4, "text-anchor": "end" }, text);
  }

  function update(i) {
    const run = runs[i];
    curve.setAttribute("points", run.errors.map((power, j) => `${k(j)},${error(power)}`).join(" "));
    now.setAttribute("cx", exponent(run.exponent));
    now.setAttribute("cy", needed(run.needed));
    const half = run.errors.findIndex((_, j) => run.exact[j] >= T / 2);
    say.textContent = `Gain ${run.gain.toFixed(2)}: a small change ${run.exponent < 0 ? "shrinks" : "grows"} by a factor of ${Math.exp(run.exponent).toFixed(2)} a step, `
      + `exponent ${number(run.exponent)}. DEER needs ${run.needed} iterations for ${T} steps; after ${half} of them the first half of the states is right.`;
  }
  update(0);
}

export default explorable("deer", draw);
