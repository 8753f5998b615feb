// A valley from above with two paths down it, and their distances by iteration. Points are (steep, flat), drawn at an angle.

function draw(data, root) {
  const { start, angle, conditions, dampings, lowest, conjugate, factors } = data;
  const state = { condition: conditions.indexOf(100), damping: 0, steps: 20 }, most = 40;
  const scale = 74, plane = { left: 8, top: 26, width: 476, height: 356 }, origin = { x: 128, y: 290 };
  const box = { left: 566, right: 822, top: 26, bottom: 340 }, low = -4, high = 1;
  const controls = html(root, "div", { class: "controls" });
  const condition = (i) => number(conditions[i], conditions[i] % 1 ? 1 : 0);
  const damping = (i) => String(dampings[i]);
  slider(controls, { label: "condition κ", min: 0, max: conditions.length - 1, value: state.condition, show: condition, change: (i) => set("condition", i) });
  slider(controls, { label: "damping λ", min: 0, max: dampings.length - 1, value: state.damping, show: damping, change: (i) => set("damping", i) });
  slider(controls, { label: "iterations", min: 0, max: most, value: state.steps, change: (n) => set("steps", n) });
  const figure = svg(root, "svg", { viewBox: "0 0 830 392", role: "img", "aria-label": "contours of a valley with the paths of two methods, and their distances to its lowest point by iteration" });
  const say = html(root, "p", { class: "say", "aria-live": "polite", style: "min-height: 4.4em" });

  const [cos, sin] = [Math.cos((angle * Math.PI) / 180), Math.sin((angle * Math.PI) / 180)];
  const at = ([steep, flat]) => [origin.x + scale * (flat * cos - steep * sin), origin.y - scale * (flat * sin + steep * cos)];
  const points = (path) => path.map((point) => at(point).join(",")).join(" ");
  const length = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);

  // the plane; a nested svg cuts off what leaves it
  svg(figure, "text", { x: plane.left, y: 15, "font-weight": 600 }, "the valley from above");
  const inner = svg(figure, "svg", { x: plane.left, y: plane.top, width: plane.width, height: plane.height });
  svg(inner, "rect", { x: 0.5, y: 0.5, width: plane.width - 1, height: plane.height - 1, fill: "#fff", stroke: COLOUR.line });
  const contours = [0.17, 0.25, 0.38, 0.56, 0.84, 1.27, 1.9, 2.85, 4.3].map((radius) => ({ radius, ring: svg(inner, "ellipse", {
    ry: scale * radius, fill: "none", stroke: COLOUR.line, transform: `translate(${origin.x} ${origin.y}) rotate(${-angle})` }) }));
  const curve = svg(inner, "polyline", { fill: "none", stroke: COLOUR.green, "stroke-width": 2.5, "stroke-dasharray": "3 5" });
  const descent = svg(inner, "polyline", { fill: "none", stroke: COLOUR.orange, "stroke-width": 1.6, "stroke-dasharray": "6 3" });
  const visited = svg(inner, "g", { fill: COLOUR.orange });
  const straight = svg(inner, "polyline", { fill: "none", stroke: COLOUR.blue, "stroke-width": 3 });
  const squares = [0, 1].map(() => svg(inner, "rect", { width: 11, height: 11, fill: COLOUR.blue }));
  const goal = svg(inner, "path", { d: "M0 -9 L9 0 L0 9 L-9 0 Z", fill: "#fff", stroke: COLOUR.green, "stroke-width": 3 });
  const halo = "font-weight: 600; stroke: #fff; stroke-width: 5; paint-order: stroke; fill: ";
  const [startX, startY] = at(start), [zeroX, zeroY] = at([0, 0]);
  svg(inner, "circle", { cx: startX, cy: startY, r: 5, fill: COLOUR.ink });
  svg(inner, "text", { x: startX + 10, y: startY - 8, style: halo + COLOUR.ink }, "start");
  svg(inner, "path", { d: `M${zeroX - 6} ${zeroY - 6} l12 12 m0 -12 l-12 12`, stroke: COLOUR.ink, "stroke-width": 2.5 });
  svg(inner, "text", { x: zeroX - 10, y: zeroY + 24, "text-anchor": "end", style: halo + COLOUR.ink }, "minimum");
  const key = svg(inner, "g");
  svg(key, "rect", { x: 158, y: 286, width: 317, height: 69, fill: "#fff" }); // the zigzag of a narrow valley comes as far as this
  [["- ● -", "gradient descent", COLOUR.orange], ["—■", "conjugate gradients", COLOUR.blue], ["··◇··", "the goal, and its way as λ grows", COLOUR.green]].forEach(([mark, name, fill], i) => {
    svg(key, "text", { x: 216, y: 304 + 20 * i, "text-anchor": "end", style: halo + fill }, mark);
    svg(key, "text", { x: 224, y: 304 + 20 * i, style: halo + fill }, name);
  });

  // distances to the goal by iteration
  const x = (n) => box.left + (n / most) * (box.right - box.left);
  const y = (distance) => { const power = Math.log10(Math.max(distance, 1e-9)); return box.bottom - ((power - low) / (high - low)) * (box.bottom - box.top); };
  svg(figure, "text", { x: box.left - 44, y: 15, "font-weight": 600 }, "distance to the goal ◇");
  for (let power = low; power <= high; power += 1) {
    svg(figure, "line", { x1: box.left, x2: box.right, y1: y(10 ** power), y2: y(10 ** power), stroke: "#e6e6e6" });
    svg(figure, "text", { x: box.left - 8, y: y(10 ** power) + 4, "text-anchor": "end" }, power < -1 ? `1e−${-power}` : 10 ** power);
  }
  [0, 10, 20, 30, 40].forEach((n) => svg(figure, "text", { x: x(n), y: box.bottom + 18, "text-anchor": n === most ? "end" : "middle" }, n));
  svg(figure, "text", { x: (box.left + box.right) / 2, y: box.bottom + 40, "text-anchor": "middle" }, "iterations");
  const lines = svg(figure, "svg", { x: box.left - 8, y: box.top, width: box.right - box.left + 16, height: box.bottom - box.top, viewBox: `${box.left - 8} ${box.top} ${box.right - box.left + 16} ${box.bottom - box.top}` });
  const slow = svg(lines, "polyline", { fill: "none", stroke: COLOUR.orange, "stroke-width": 2.5, "stroke-dasharray": "6 3" });
  const fast = svg(lines, "polyline", { fill: "none", stroke: COLOUR.blue, "stroke-width": 3 });
  const now = svg(lines, "line", { y1: box.top, y2: box.bottom, stroke: COLOUR.grey, "stroke-dasharray": "2 4" });
  const bead = svg(lines, "circle", { r: 5, fill: COLOUR.orange });
  const stops = [0, 1, 2].map((n) => svg(figure, "rect", { x: x(n) - 5, width: 10, height: 10, fill: COLOUR.blue }));
  const arrived = svg(figure, "text", { y: box.bottom - 8, style: halo + COLOUR.blue }, "arrived");

  function set(key, value) {
    state[key] = value;
    update();
  }

  function update() {
    const { condition: i, damping: j, steps } = state, target = lowest[i][j], factor = factors[i][j];
    // gradient descent: at the best rate the steep part changes sign at each step, and both shrink by the factor
    const after = (n) => [target[0] + (-factor) ** n * (start[0] - target[0]), target[1] + factor ** n * (start[1] - target[1])];
    const path = Array.from({ length: steps + 1 }, (_, n) => after(n));
    const two = [start, ...conjugate[i][j]], taken = two.slice(0, steps + 1);
    contours.forEach(({ radius, ring }) => ring.setAttribute("rx", scale * radius * Math.sqrt(conditions[i])));
    curve.setAttribute("points", points(way(conditions[i])));
    descent.setAttribute("points", points(path));
    visited.replaceChildren();
    path.slice(1).forEach((point) => { const [cx, cy] = at(point); svg(visited, "circle", { cx, cy, r: 3 }); });
    straight.setAttribute("points", points(taken));
    squares.forEach((square, k) => {
      const [left, top] = at(two[k + 1]);
      square.setAttribute("x", left - 5.5);
      square.setAttribute("y", top - 5.5);
      square.setAttribute("visibility", k < steps ? "visible" : "hidden");
    });
    goal.setAttribute("transform", `translate(${at(target).join(" ")})`);
    const first = length(start, target);
    slow.setAttribute("points", Array.from({ length: most + 1 }, (_, n) => `${x(n)},${y(first * factor ** n)}`).join(" "));
    const heights = two.map((point) => Math.min(y(length(point, target)), box.bottom)); // to the lower edge when it has arrived
    fast.setAttribute("points", heights.map((height, n) => `${x(n)},${height}`).join(" "));
    stops.forEach((stop, n) => stop.setAttribute("y", heights[n] - 5));
    arrived.setAttribute("x", x(heights.indexOf(box.bottom)) + 12);
    [["x1", now], ["x2", now], ["cx", bead]].forEach(([name, node]) => node.setAttribute(name, x(steps)));
    bead.setAttribute("cy", y(first * factor ** steps));
    const wait = factor > 0 ? Math.max(1, Math.ceil(Math.log(1000) / -Math.log(factor))) : 1;
    const far = (point) => number(length(point, [0, 0]), 2);
    say.textContent = `κ = ${condition(i)}, λ = ${damping(j)}. The start is ${far(start)} from the minimum, the goal ${far(target)}. `
      + `After ${steps} ${steps === 1 ? "iteration" : "iterations"} gradient descent is ${far(path.at(-1))} from the minimum, conjugate gradients ${far(taken.at(-1))}. `
      + `Gradient descent keeps ${number(factor, 3)} of its distance to the goal at each step: ${wait} ${wait === 1 ? "step" : "steps"} to come 1000 times nearer to it.`;
  }

  // The lowest points for λ from 0 to infinity: a point with curvature c keeps λ / (c + λ) of its start.
  function way(kappa) {
    return Array.from({ length: 81 }, (_, k) => { const damping = 10 ** (k / 10 - 5); return [(start[0] * damping) / (1 + damping), (start[1] * damping) / (1 / kappa + damping)]; });
  }
  update();
}

export default explorable("valley", draw);
