// What two solvers leave along each axis after some steps, a polynomial of its curvature; and what is left of the fall by steps.

function draw(data, root) {
  const { conditions, curvatures, zeros } = data, names = Object.keys(curvatures);
  const most = zeros[names[0]][0].length - 1;
  const state = { name: names[0], condition: conditions.indexOf(30), steps: 3 };
  const plane = { left: 56, right: 500, top: 30, bottom: 330, low: -1, high: 1.15 };
  const box = { left: 590, right: 818, top: 30, bottom: 330, low: -8, high: 0 };
  choice(root, { label: "curvatures", names, value: state.name, change: (name) => set("name", name) });
  const controls = html(root, "div", { class: "controls" });
  slider(controls, { label: "condition κ", min: 0, max: conditions.length - 1, value: state.condition, show: (i) => String(conditions[i]), change: (i) => set("condition", i) });
  slider(controls, { label: "steps", min: 0, max: most, value: state.steps, change: (n) => set("steps", n) });
  const figure = svg(root, "svg", { viewBox: "0 0 830 386", role: "img", "aria-label": "two polynomials over the curvatures, and what is left of the fall by steps" });
  const say = html(root, "p", { class: "say", "aria-live": "polite", style: "min-height: 4.4em" });
  const halo = "font-weight: 600; stroke: #fff; stroke-width: 5; paint-order: stroke; fill: ";

  // left: the polynomials, and a dot at each curvature
  const x = (c) => plane.left + (c / 1.05) * (plane.right - plane.left);
  const y = (p) => plane.bottom - ((p - plane.low) / (plane.high - plane.low)) * (plane.bottom - plane.top);
  svg(figure, "text", { x: plane.left, y: 15, "font-weight": 600 }, "what is left along an axis");
  [-1, -0.5, 0, 0.5, 1].forEach((p) => {
    svg(figure, "line", { x1: plane.left, x2: plane.right, y1: y(p), y2: y(p), stroke: p ? "#e6e6e6" : COLOUR.grey });
    svg(figure, "text", { x: plane.left - 8, y: y(p) + 4, "text-anchor": "end" }, number(p, p % 1 ? 1 : 0));
  });
  [0, 0.25, 0.5, 0.75, 1].forEach((c) => svg(figure, "text", { x: x(c), y: plane.bottom + 18, "text-anchor": "middle" }, number(c, c % 1 ? 2 : 0)));
  svg(figure, "text", { x: (plane.left + plane.right) / 2, y: plane.bottom + 42, "text-anchor": "middle" }, "curvature c of the axis (the largest is 1)");
  const inner = svg(figure, "svg", { x: plane.left - 8, y: plane.top, width: plane.right - plane.left + 16, height: plane.bottom - plane.top, viewBox: `${plane.left - 8} ${plane.top} ${plane.right - plane.left + 16} ${plane.bottom - plane.top}` });
  const slow = svg(inner, "polyline", { fill: "none", stroke: COLOUR.orange, "stroke-width": 2, "stroke-dasharray": "6 3" });
  const fast = svg(inner, "polyline", { fill: "none", stroke: COLOUR.blue, "stroke-width": 2.5 });
  const dots = svg(inner, "g", { fill: COLOUR.blue });
  const crosses = svg(inner, "g", { stroke: COLOUR.ink, "stroke-width": 1.6, fill: "none" });
  [["conjugate gradients (× zeros)", COLOUR.blue], ["gradient descent", COLOUR.orange]].forEach(([name, fill], i) =>
    svg(figure, "text", { x: plane.right, y: plane.top + 14 + 20 * i, "text-anchor": "end", style: halo + fill }, name));

  // right: what is left of the fall, by steps
  const across = (n) => box.left + (n / most) * (box.right - box.left);
  const up = (left) => { const power = Math.max(Math.log10(Math.max(left, 1e-30)), box.low); return box.bottom - ((power - box.low) / (box.high - box.low)) * (box.bottom - box.top); };
  svg(figure, "text", { x: box.left - 40, y: 15, "font-weight": 600 }, "what is left of the fall");
  for (let power = box.low; power <= box.high; power += 2) {
    svg(figure, "line", { x1: box.left, x2: box.right, y1: up(10 ** power), y2: up(10 ** power), stroke: "#e6e6e6" });
    svg(figure, "text", { x: box.left - 8, y: up(10 ** power) + 4, "text-anchor": "end" }, power ? `1e−${-power}` : "1");
  }
  [0, 2, 4, 6, 8].filter((n) => n <= most).forEach((n) => svg(figure, "text", { x: across(n), y: box.bottom + 18, "text-anchor": "middle" }, n));
  svg(figure, "text", { x: (box.left + box.right) / 2, y: box.bottom + 42, "text-anchor": "middle" }, "steps");
  const now = svg(figure, "line", { y1: box.top, y2: box.bottom, stroke: COLOUR.grey, "stroke-dasharray": "2 4" });
  const slowly = svg(figure, "polyline", { fill: "none", stroke: COLOUR.orange, "stroke-width": 2.5, "stroke-dasharray": "6 3" });
  const quickly = svg(figure, "polyline", { fill: "none", stroke: COLOUR.blue, "stroke-width": 3 });
  const bead = svg(figure, "circle", { r: 5, fill: COLOUR.blue });

  function set(key, value) {
    state[key] = value;
    update();
  }

  function update() {
    const { name, condition, steps } = state, axes = curvatures[name][condition], [b, a] = [axes[0], axes.at(-1)];
    const conjugate = (n) => { const at = zeros[name][condition][n]; return (c) => at.reduce((product, zero) => product * (1 - c / zero), 1); };
    const descent = (n) => (c) => (1 - (2 * c) / (a + b)) ** n;
    const left = (P) => axes.reduce((sum, c) => sum + P(c) ** 2 / c, 0) / axes.reduce((sum, c) => sum + 1 / c, 0);
    const curve = (P) => Array.from({ length: 316 }, (_, k) => `${x(k / 300)},${y(Math.max(-9, Math.min(9, P(k / 300))))}`).join(" ");
    const ours = conjugate(steps), theirs = descent(steps), found = zeros[name][condition][steps];
    slow.setAttribute("points", curve(theirs));
    fast.setAttribute("points", curve(ours));
    dots.replaceChildren();
    axes.forEach((c) => svg(dots, "circle", { cx: x(c), cy: y(ours(c)), r: 4 }));
    crosses.replaceChildren();
    found.forEach((zero) => svg(crosses, "path", { d: `M${x(zero) - 5} ${y(0) - 5} l10 10 m0 -10 l-10 10` }));
    const all = Array.from({ length: most + 1 }, (_, n) => n);
    slowly.setAttribute("points", all.map((n) => `${across(n)},${up(left(descent(n)))}`).join(" "));
    quickly.setAttribute("points", all.map((n) => `${across(n)},${up(left(conjugate(n)))}`).join(" "));
    now.setAttribute("x1", across(steps));
    now.setAttribute("x2", across(steps));
    bead.setAttribute("cx", across(steps));
    bead.setAttribute("cy", up(left(ours)));
    const share = (value) => (value < 1e-8 ? "nothing" : value < 1e-3 ? value.toExponential(0).replace("-", "−") : `${Number((100 * value).toPrecision(2))} %`);
    say.textContent = `Curvatures ${name}, κ = ${conditions[condition]}, ${steps} ${steps === 1 ? "step" : "steps"}. Of the fall conjugate gradients leave ${share(left(ours))}, gradient descent ${share(left(theirs))}. `
      + (found.length ? `The polynomial is zero at ${found.map((zero) => number(zero, 3)).join(", ")}: there is nothing left where an axis lies there.` : "No step yet: all is left, everywhere.");
  }
  update();
}

export default explorable("polynomial", draw);
