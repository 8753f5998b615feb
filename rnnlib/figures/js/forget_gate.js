// What a product of forget gates lets through, by lag, on a log axis, and an Elman net that is pushed as hard; all from embedded grids.

function draw(data, root) {
  const { lags, biases, spreads, radii, gates, half_lives, tanh } = data;
  const state = { bias: biases.indexOf(1), spread: spreads.indexOf(1), radius: radii.indexOf(1), T: 100 };
  const box = { left: 78, right: 700, top: 30, bottom: 330 }, low = -12, high = 2;
  const controls = html(root, "div", { class: "controls" });
  const grid = (label, key, values, digits) => slider(controls, {
    label, min: 0, max: values.length - 1, value: state[key], show: (i) => number(values[i], digits), change: (i) => set(key, i) });
  grid("forget bias", "bias", biases, 1);
  grid("spread of the gates", "spread", spreads, 1);
  slider(controls, { label: "T", min: 1, max: lags.at(-1) / 10, value: state.T / 10, show: (i) => 10 * i, change: (i) => set("T", 10 * i) });
  grid("Elman net: radius", "radius", radii, 1);
  const figure = svg(root, "svg", { viewBox: "0 0 830 386", role: "img", "aria-label": "share of the gradient that arrives against lag, log axis" });
  const say = html(root, "p", { class: "say", "aria-live": "polite", style: "min-height: 3em" });
  const y = (power) => box.bottom - ((power - low) / (high - low)) * (box.bottom - box.top);
  const x = (lag) => box.left + (lag / state.T) * (box.right - box.left);

  for (let power = low; power <= high; power += 2) {
    svg(figure, "line", { x1: box.left, x2: box.right, y1: y(power), y2: y(power), stroke: power ? "#e6e6e6" : COLOUR.grey });
    svg(figure, "text", { x: box.left - 8, y: y(power) + 4, "text-anchor": "end" }, power ? `1e${power}`.replace("-", "−") : "1");
  }
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => svg(figure, "text", { x: box.left + share * (box.right - box.left), y: box.bottom + 18, "text-anchor": "middle" }));
  svg(figure, "text", { x: (box.left + box.right) / 2, y: box.bottom + 42, "text-anchor": "middle" }, "lag (steps back)");
  svg(figure, "text", { x: box.left, y: 14, "font-weight": 600 }, "share of the gradient that arrives");
  // a nested svg cuts off what leaves the axes
  const inner = svg(figure, "svg", { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top, viewBox: `${box.left} ${box.top} ${box.right - box.left} ${box.bottom - box.top}` });
  const band = svg(inner, "polygon", { fill: COLOUR.blue, opacity: 0.16 });
  const elman = svg(inner, "polyline", { fill: "none", stroke: COLOUR.orange, "stroke-width": 2.5, "stroke-dasharray": "8 5" });
  const median = svg(inner, "polyline", { fill: "none", stroke: COLOUR.blue, "stroke-width": 3 });
  const half = svg(inner, "line", { y1: box.top, y2: box.bottom, stroke: COLOUR.green, "stroke-width": 2, "stroke-dasharray": "2 4" });
  const halo = "font-weight: 600; stroke: #fff; stroke-width: 5; paint-order: stroke; fill: ";
  const halfName = svg(figure, "text", { y: box.top + 14, style: halo + COLOUR.green });
  const names = [["Elman net", COLOUR.orange], ["memory cell", COLOUR.blue]].map(([name, fill]) => svg(figure, "text", { style: halo + fill }, name));

  function set(key, value) {
    state[key] = value;
    update();
  }

  function update() {
    const { bias, spread, radius, T } = state, count = lags.indexOf(T) + 1;
    const [lower, middle, upper] = gates[bias][spread].map((row) => row.slice(0, count));
    const net = tanh[radius][spread].slice(0, count), life = half_lives[bias][spread];
    const points = (powers) => powers.map((power, i) => `${x(lags[i])},${y(power)}`);
    band.setAttribute("points", [...points(upper), ...points(lower).reverse()].join(" "));
    median.setAttribute("points", points(middle).join(" "));
    elman.setAttribute("points", points(net).join(" "));
    ticks.forEach((tick, i) => { tick.textContent = number((T * i) / 4, T % 4 && i % 4 ? 1 : 0); });
    half.setAttribute("x1", x(life));
    half.setAttribute("x2", x(life));
    halfName.textContent = life > T ? `half-life ${short(life)}: off the page` : `half-life ${short(life)}`;
    const right = life > 0.8 * T;
    halfName.setAttribute("text-anchor", right ? "end" : "start");
    halfName.setAttribute("x", life > T ? box.right : x(life) + (right ? -8 : 8));
    label([net, middle], count);
    say.textContent = `Forget bias ${number(biases[bias], 1)}, the gates' pre-activations spread by ${number(spreads[spread], 1)}: half of the gradient is left after ${short(life)} steps. `
      + `Of an error ${T} steps later the median cell hears ${share(middle.at(-1))}. `
      + `The Elman net of radius ${number(radii[radius], 1)}, its units pushed as hard: ${share(net.at(-1))}.`;
  }

  // Each name at the end of its line, or where the line leaves the page: behind it, or before it where another line follows; apart if they touch.
  function label(lines, count) {
    const ends = lines.map((powers) => {
      const out = powers.findIndex((power) => power < low || power > high), last = out < 0 ? count - 1 : out;
      const before = out > 0 ? powers[out - 1] : 0, edge = powers[last] < low ? low : high;
      const lag = out > 0 ? lags[out - 1] + ((edge - before) / (powers[out] - before)) * (lags[out] - lags[out - 1]) : lags[last];
      return { x: x(lag) + 8, y: y(Math.max(low, Math.min(high, powers[last]))) + (powers[last] < low ? -6 : powers[last] > high ? 32 : 4) };
    });
    const [near, far] = ends[0].x < ends[1].x ? [0, 1] : [1, 0], level = Math.abs(ends[0].y - ends[1].y) < 18;
    const before = level && ends[near].x < ends[far].x && ends[near].x > box.left + 100; // else it would lie on the other line
    if (level && !before && ends[far].x - ends[near].x < 100) {
      const up = ends[0].y < ends[1].y ? 0 : 1, middle = Math.max(box.top + 30, Math.min(box.bottom - 14, (ends[0].y + ends[1].y) / 2));
      ends[up].y = middle - 9;
      ends[1 - up].y = middle + 9;
    }
    if (before) ends[near].x -= 16;
    names.forEach((text, i) => text.setAttribute("text-anchor", before && i === near ? "end" : "start"));
    names.forEach((text, i) => { text.setAttribute("x", ends[i].x); text.setAttribute("y", ends[i].y); });
  }

  const short = (steps) => (steps < 10 ? number(steps, 1) : number(steps, 0));
  function share(power) {
    if (power < -30) return "nothing";
    const value = 10 ** power;
    return value >= 0.001 && value < 100 ? `${Number((100 * value).toPrecision(2))} %` : `${value.toExponential(0).replace("e+", "e").replace("-", "−")} of it`;
  }
  update();
}

export default explorable("forget_gate", draw);
