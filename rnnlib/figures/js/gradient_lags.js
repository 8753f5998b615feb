// The gradient by lag of a small net, computed anew at each move, beside the straight line radius^lag.

const NONLINEAR = {
  linear: { f: (a) => a, slope: () => 1 },
  tanh: { f: Math.tanh, slope: (h) => 1 - h * h },
  ReLU: { f: (a) => Math.max(a, 0), slope: (h) => (h > 0 ? 1 : 0) },
};

// The mean over t of |dL_t/dh_{t-lag}| for the lags 0 ... T, and the mean slope: dynamics.gradient_by_lag for one sequence.
function gradientByLag({ inputs, errors }, W, radius, { f, slope }, T) {
  const units = W.map((_, i) => i), hs = [units.map(() => 0)], slopes = [null];
  for (let t = 1; t <= T; t++) {
    hs.push(units.map((j) => f(units.reduce((a, i) => a + radius * hs[t - 1][i] * W[i][j], inputs[t - 1][j]))));
    slopes.push(hs[t].map(slope));
  }
  const sums = new Array(T + 1).fill(0);
  for (let t = 1; t <= T; t++) {
    let error = errors[t - 1];
    for (let lag = 0; lag <= t; lag++) {
      sums[lag] += Math.hypot(...error);
      if (lag === t) break;
      const delta = error.map((e, j) => e * slopes[t - lag][j] * radius);
      error = W.map((row) => row.reduce((sum, w, j) => sum + w * delta[j], 0));
    }
  }
  const all = slopes.slice(1).flat();
  return { lengths: sums.map((sum, lag) => sum / (T + 1 - Math.max(lag, 1))), slope: all.reduce((a, b) => a + b, 0) / all.length };
}

function draw(data, root) {
  const state = { radius: 1, T: 40, nonlinearity: "tanh", init: "normal" };
  const decades = 12, box = { left: 70, right: 724, top: 26, bottom: 330 }, most = data.inputs.length;
  const controls = html(root, "div", { class: "controls" });
  slider(controls, { label: "spectral radius", min: 4, max: 40, value: 20, show: (i) => (i / 20).toFixed(2), change: (i) => set("radius", i / 20) });
  slider(controls, { label: "T", min: 5, max: most, value: state.T, change: (T) => set("T", T) });
  choice(controls, { label: "nonlinearity", names: Object.keys(NONLINEAR), value: state.nonlinearity, change: (name) => set("nonlinearity", name) });
  choice(controls, { label: "initialisation", names: Object.keys(data.matrices), value: state.init, change: (name) => set("init", name) });
  const figure = svg(root, "svg", { viewBox: "0 0 830 386", role: "img", "aria-label": "gradient against lag, log axis" });
  const say = html(root, "p", { class: "say", "aria-live": "polite", style: "min-height: 3em" });
  const x = (lag) => box.left + (lag / most) * (box.right - box.left);
  const y = (power) => box.bottom - ((power + decades) / (2 * decades)) * (box.bottom - box.top);

  for (let power = -decades; power <= decades; power += 4) {
    svg(figure, "line", { x1: box.left, x2: box.right, y1: y(power), y2: y(power), stroke: power ? "#e6e6e6" : COLOUR.grey });
    svg(figure, "text", { x: box.left - 8, y: y(power) + 4, "text-anchor": "end" }, power ? `1e${power}`.replace("-", "−") : "1");
  }
  for (let lag = 0; lag <= most; lag += 10) svg(figure, "text", { x: x(lag), y: box.bottom + 18, "text-anchor": "middle" }, lag);
  svg(figure, "text", { x: (box.left + box.right) / 2, y: box.bottom + 42, "text-anchor": "middle" }, "lag (steps back)");
  svg(figure, "text", { x: box.left, y: 14, "font-weight": 600 }, "gradient that arrives, as a share of that at lag 0");
  // a nested svg cuts off what leaves the axes
  const inner = svg(figure, "svg", { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top, viewBox: `${box.left} ${box.top} ${box.right - box.left} ${box.bottom - box.top}` });
  const straight = svg(inner, "polyline", { fill: "none", stroke: COLOUR.orange, "stroke-width": 2, "stroke-dasharray": "8 5" });
  const curve = svg(inner, "polyline", { class: "curve", fill: "none", stroke: COLOUR.blue, "stroke-width": 3 });
  const names = [["radius^lag", COLOUR.orange], ["gradient", COLOUR.blue]].map(([name, fill]) => svg(figure, "text", { style: `fill: ${fill}; font-weight: 600; stroke: #fff; stroke-width: 5; paint-order: stroke` }, name));

  function set(key, value) {
    state[key] = value;
    update();
  }

  function update() {
    const { radius, T, nonlinearity, init } = state;
    const { lengths, slope } = gradientByLag(data, data.matrices[init], radius, NONLINEAR[nonlinearity], T);
    const powers = lengths.map((length) => Math.max(Math.log10(length / lengths[0]), -99)); // nothing at all is drawn far below the page
    const line = lengths.map((_, lag) => lag * Math.log10(radius));
    curve.setAttribute("points", powers.map((power, lag) => `${x(lag)},${y(power)}`).join(" "));
    straight.setAttribute("points", line.map((power, lag) => `${x(lag)},${y(power)}`).join(" "));
    label([line, powers]);
    const lag = Math.min(20, T), share = 10 ** powers[lag];
    say.textContent = `${nonlinearity}, ${init}, radius ${radius.toFixed(2)}, T = ${T}: ${lag} steps back `
      + (share < 1e-90 ? "nothing of the gradient is left" : `the gradient is ${short(share)} times as long as at lag 0, a factor of ${(share ** (1 / lag)).toFixed(2)} a step`)
      + `; radius^${lag} is ${short(radius ** lag)}. The mean slope is ${slope.toFixed(2)}.`;
  }

  // Each name at the end of its line, or where the line leaves the page; apart if they would touch.
  function label(lines) {
    const ends = lines.map((powers) => {
      const out = powers.findIndex((power) => Math.abs(power) > decades), last = out < 0 ? powers.length - 1 : out;
      return { x: x(last) + 8, y: y(Math.max(-decades, Math.min(decades, powers[last]))) + 4 };
    });
    if (Math.abs(ends[0].y - ends[1].y) < 18 && Math.abs(ends[0].x - ends[1].x) < 90) {
      const middle = Math.max(box.top + 14, Math.min(box.bottom - 10, (ends[0].y + ends[1].y) / 2)), up = ends[0].y < ends[1].y ? 0 : 1;
      ends[up].y = middle - 9;
      ends[1 - up].y = middle + 9;
    }
    names.forEach((text, i) => { text.setAttribute("x", ends[i].x); text.setAttribute("y", ends[i].y); });
  }

  function short(value) {
    return value >= 1e-3 && value < 1e4 ? Number(value.toPrecision(2)).toString() : value.toExponential(0).replace("e+", "e").replace("-", "−");
  }
  update();
}

export default explorable("lags", draw);
