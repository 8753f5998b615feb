// What averaging mends: draws of a gradient as points, along the exact one and across it, and the error of their mean by their number.

function draw(data, root) {
  const { methods } = data, most = Math.max(2, ...methods.map(({ points }) => points.length));
  const named = (name) => methods.find((method) => method.name === name);
  const state = { method: (methods.find(({ drawn }) => drawn) ?? methods[0]).name, n: 1 };
  const draws = [...new Set(Array.from({ length: 60 }, (_, i) => Math.min(most, Math.round(2 ** (i / 4)))))]; // by quarters of a doubling
  const controls = html(root, "div", { class: "controls" });
  choice(controls, { label: "method", names: methods.map(({ name }) => name), value: state.method, change: (name) => set("method", name) });
  slider(controls, { label: "draws averaged", min: 0, max: draws.length - 1, value: 0, show: (i) => String(draws[i]), change: (i) => set("n", draws[i]) });
  const figure = svg(root, "svg", { viewBox: "0 0 830 372", role: "img", "aria-label": "draws of a gradient and their mean; the error of the mean by the number of draws" });
  const say = html(root, "p", { class: "say", "aria-live": "polite", style: "min-height: 4.4em" });

  // Left: the plane of the exact gradient and one direction across it, with axes of equal scale.
  const plane = { left: 8, top: 26, width: 380, height: 300 };
  svg(figure, "text", { x: plane.left, y: 15, "font-weight": 600 }, "draws, along and across the exact gradient");
  const inner = svg(figure, "svg", { x: plane.left, y: plane.top, width: plane.width, height: plane.height });
  svg(inner, "rect", { x: 0.5, y: 0.5, width: plane.width - 1, height: plane.height - 1, fill: "#fff", stroke: COLOUR.line });
  const dots = svg(inner, "g", { fill: COLOUR.orange, "fill-opacity": 0.45 });
  const exact = svg(inner, "line", { stroke: COLOUR.ink, "stroke-width": 3 });
  const tip = svg(inner, "path", { d: "M0 -8 L8 0 L0 8 L-8 0 Z", fill: "#fff", stroke: COLOUR.ink, "stroke-width": 2.5 });
  const gap = svg(inner, "line", { stroke: COLOUR.blue, "stroke-width": 2, "stroke-dasharray": "4 3" });
  const mean = svg(inner, "rect", { width: 13, height: 13, fill: COLOUR.blue, stroke: "#fff", "stroke-width": 2 });
  [["◇", "exact gradient", COLOUR.ink], ["●", "a draw", COLOUR.orange], ["■", "mean of the draws", COLOUR.blue]].forEach(([mark, name, fill, x], i) =>
    svg(figure, "text", { x: plane.left + [0, 136, 216][i], y: plane.top + plane.height + 20, style: `fill: ${fill}; font-weight: 600` }, `${mark} ${name}`));

  // Right: error of the mean by number of draws, both logarithmic.
  const box = { left: 462, right: 806, top: 26, bottom: 326 };
  const every = methods.flatMap(({ errors }) => errors).filter((error) => error > 1e-6);
  const high = Math.ceil(Math.log10(Math.max(...every, 1))), low = Math.min(high - 1, Math.max(-2, Math.floor(Math.log10(Math.min(...every, 1)))));
  const x = (n) => box.left + (Math.log2(n) / Math.log2(most)) * (box.right - box.left);
  const y = (error) => box.bottom - ((Math.log10(Math.max(error, 10 ** low)) - low) / (high - low)) * (box.bottom - box.top);
  svg(figure, "text", { x: box.left - 38, y: 15, "font-weight": 600 }, "error of the mean, as a share of the exact length");
  for (let power = low; power <= high; power += 1) {
    svg(figure, "line", { x1: box.left, x2: box.right, y1: y(10 ** power), y2: y(10 ** power), stroke: "#e6e6e6" });
    svg(figure, "text", { x: box.left - 8, y: y(10 ** power) + 4, "text-anchor": "end" }, power < 0 ? number(10 ** power, -power) : 10 ** power);
  }
  for (let n = 1; n <= most; n *= 8) svg(figure, "text", { x: x(n), y: box.bottom + 18, "text-anchor": "middle" }, n);
  svg(figure, "text", { x: (box.left + box.right) / 2, y: box.bottom + 38, "text-anchor": "middle" }, "draws averaged");
  svg(figure, "text", { x: box.left + 8, y: box.bottom - 10, style: `fill: ${COLOUR.grey}` }, "grey: the other methods");
  const path = ({ errors, drawn }) => (drawn ? errors : [errors[0], errors[0]]).map((error, i, all) => `${x(drawn ? i + 1 : i ? most : 1)},${y(error)}`).join(" ");
  const lines = methods.map((method) => svg(figure, "polyline", { points: path(method), fill: "none" }));
  const bead = svg(figure, "circle", { r: 6, fill: COLOUR.blue, stroke: "#fff", "stroke-width": 2 });
  const halo = "font-weight: 600; stroke: #fff; stroke-width: 5; paint-order: stroke; fill: ";
  const title = svg(figure, "text", { style: halo + COLOUR.blue, "text-anchor": "end" });

  function set(key, value) {
    state[key] = value;
    update();
  }

  // With how many draws the mean is as near, on average, as each method without variance.
  function passes(method) {
    const left = ({ bias }) => bias ** 2 - biasOf(method) ** 2; // what the variance may take
    return methods.filter((other) => !other.drawn && left(other) > 1e-6).map((other) => ({ name: other.name, n: method.variance / left(other) })).sort((a, b) => a.n - b.n);
  }

  // A bias that chance would not leave of so many draws; else none.
  function biasOf({ bias, variance, points }) {
    return bias > 2 * Math.sqrt(variance / points.length) ? bias : 0;
  }

  function update() {
    const method = named(state.method), n = Math.min(state.n, method.points.length), used = method.points.slice(0, n);
    const centre = [0, 1].map((axis) => used.reduce((sum, point) => sum + point[axis], 0) / n);
    const reach = 1.1 * Math.max(1.2, ...method.points.slice(0, 64).flat().map(Math.abs)), scale = plane.height / 2 / reach;
    const at = ([along, across]) => [plane.width / 2 + scale * along, plane.height / 2 - scale * across];
    dots.replaceChildren();
    if (method.drawn) used.forEach((point) => { const [cx, cy] = at(point); svg(dots, "circle", { cx, cy, r: 3.5 }); });
    const [zeroX, zeroY] = at([0, 0]), [tipX, tipY] = at([1, 0]), [meanX, meanY] = at(centre);
    Object.entries({ x1: zeroX, y1: zeroY, x2: tipX, y2: tipY }).forEach(([key, value]) => exact.setAttribute(key, value));
    Object.entries({ x1: meanX, y1: meanY, x2: tipX, y2: tipY }).forEach(([key, value]) => gap.setAttribute(key, value));
    tip.setAttribute("transform", `translate(${tipX} ${tipY})`);
    mean.setAttribute("x", meanX - 6.5);
    mean.setAttribute("y", meanY - 6.5);
    lines.forEach((line, i) => {
      const on = methods[i] === method;
      line.setAttribute("stroke", on ? COLOUR.blue : COLOUR.line);
      line.setAttribute("stroke-width", on ? 3 : 1.5);
    });
    const error = method.errors[method.drawn ? n - 1 : 0];
    bead.setAttribute("cx", x(state.n));
    bead.setAttribute("cy", y(error));
    title.textContent = method.name;
    title.setAttribute("x", box.right);
    title.setAttribute("y", Math.min(...method.errors.slice(-180).map(y), box.bottom) - 10);
    const first = `${method.name}: ${method.drawn ? `the mean of ${n} ${n === 1 ? "draw" : "draws"}` : "every draw"} is off by ${number(error)}. `;
    const rest = method.drawn
      ? `Bias: ${biasOf(method) ? number(method.bias) : "none that chance would not explain"}; spread of one draw ${number(Math.sqrt(method.variance), 1)}, cosine ${number(method.cosine)}. `
        + passes(method).map((other, i) => `${i ? "" : "As near as "}${other.name} with ${Math.ceil(other.n)}`).join(", ") + (passes(method).length ? " draws." : "")
      : method.bias > 1e-6 ? `Bias ${number(method.bias)}, cosine ${number(method.cosine)}, no spread: each draw is the same, and averaging changes nothing.` : "No bias, no spread: it is the exact gradient.";
    say.textContent = first + rest;
  }
  update();
}

export default explorable("online_bias", draw);
