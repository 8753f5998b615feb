// One step for each damping λ and price μ on the states: the model and the loss along it, and how far the states move by time.

function draw(data, root) {
  const { dampings, prices, shares, losses, slopes, curved, moved, lengths, times } = data, whole = shares.findIndex((a) => Math.abs(a - 1) < 1e-9);
  const state = { damping: Math.round(dampings.length / 3), price: 0 };
  const left = { left: 62, right: 400, top: 30, bottom: 300 }, right = { left: 490, right: 818, top: 30, bottom: 300 };
  const begin = losses[0][0][0], highest = 1.25 * begin, far = Math.max(...moved.flat(2));
  const controls = html(root, "div", { class: "controls" });
  const short = (value) => String(Number(value.toPrecision(2)));
  const damping = slider(controls, { label: "damping λ", min: 0, max: dampings.length - 1, value: state.damping, show: (i) => short(dampings[i]), change: (i) => set("damping", i) });
  slider(controls, { label: "price on states μ", min: 0, max: prices.length - 1, value: state.price, show: (i) => short(prices[i]), change: (i) => set("price", i) });
  const follow = html(controls, "button", { type: "button", click: () => { const next = Math.max(0, Math.min(dampings.length - 1, state.damping + rule())); damping.set(next); set("damping", next); } }, "as the rule says");
  const figure = svg(root, "svg", { viewBox: "0 0 830 352", role: "img", "aria-label": "loss along a step, predicted and actual, and the change of the states by time step" });
  const say = html(root, "p", { class: "say", "aria-live": "polite", style: "min-height: 4.4em" });
  const halo = "font-weight: 600; stroke: #fff; stroke-width: 5; paint-order: stroke; fill: ";

  const x = (a) => left.left + (a / shares.at(-1)) * (left.right - left.left);
  const y = (loss) => left.bottom - (Math.max(-1, Math.min(2 * highest, loss)) / highest) * (left.bottom - left.top);
  const across = (t) => right.left + (t / (moved[0][0].length - 1)) * (right.right - right.left);
  const up = (size) => right.bottom - (size / (1.05 * far)) * (right.bottom - right.top);
  const axes = (box, title, name, ticksX, ticksY, toX, toY) => {
    svg(figure, "text", { x: box.left - 40, y: 15, "font-weight": 600 }, title);
    svg(figure, "text", { x: (box.left + box.right) / 2, y: box.bottom + 42, "text-anchor": "middle" }, name);
    ticksY.forEach((value) => {
      svg(figure, "line", { x1: box.left, x2: box.right, y1: toY(value), y2: toY(value), stroke: "#e6e6e6" });
      svg(figure, "text", { x: box.left - 8, y: toY(value) + 4, "text-anchor": "end" }, number(value, 2));
    });
    ticksX.forEach(([value, label]) => svg(figure, "text", { x: toX(value), y: box.bottom + 18, "text-anchor": "middle" }, label));
  };
  axes(left, "loss along the step", "share of the step taken", [[0, "0"], [0.5, "0.5"], [1, "1"]], [0, begin / 2, begin], x, y);
  const T = moved[0][0].length;
  axes(right, "change of the states (rms)", "time step", [0, T - 1].map((k) => [k, String(times[k])]), [0, far / 2, far], across, up);
  const inner = svg(figure, "svg", { x: left.left, y: left.top, width: left.right - left.left, height: left.bottom - left.top, viewBox: `${left.left} ${left.top} ${left.right - left.left} ${left.bottom - left.top}` });
  svg(inner, "line", { x1: x(1), x2: x(1), y1: left.top, y2: left.bottom, stroke: COLOUR.grey, "stroke-dasharray": "2 4" });
  const promised = svg(inner, "polyline", { fill: "none", stroke: COLOUR.blue, "stroke-width": 2.5, "stroke-dasharray": "3 5" });
  const actual = svg(inner, "polyline", { fill: "none", stroke: COLOUR.orange, "stroke-width": 3 });
  const bead = svg(inner, "circle", { r: 5, fill: COLOUR.orange });
  const states = svg(figure, "polyline", { fill: "none", stroke: COLOUR.green, "stroke-width": 2.5 });
  [["··· predicted", COLOUR.blue], ["— actual", COLOUR.orange]].forEach(([name, fill], i) => svg(figure, "text", { x: left.left + 10, y: left.bottom - 30 + 20 * i, style: halo + fill }, name));

  function ratio() {
    const { damping: i, price: j } = state;
    return (losses[i][j][whole] - begin) / (slopes[i][j] + curved[i][j] / 2);
  }
  const rule = () => (ratio() > 0.75 ? -1 : ratio() < 0.25 ? 1 : 0);

  function set(key, value) {
    state[key] = value;
    update();
  }

  function update() {
    const { damping: i, price: j } = state, along = losses[i][j], rho = ratio();
    const model = (a) => begin + a * slopes[i][j] + (a * a * curved[i][j]) / 2;
    promised.setAttribute("points", Array.from({ length: 61 }, (_, k) => (k / 60) * shares.at(-1)).map((a) => `${x(a)},${y(model(a))}`).join(" "));
    actual.setAttribute("points", shares.map((a, k) => `${x(a)},${y(along[k])}`).join(" "));
    bead.setAttribute("cx", x(1));
    bead.setAttribute("cy", y(along[whole]));
    states.setAttribute("points", moved[i][j].map((size, t) => `${across(t)},${up(size)}`).join(" "));
    const verdict = { [-1]: "good: the rule trusts it more, λ · 2/3", 0: "fair: λ stays", 1: "poor: the rule trusts it less, λ · 3/2" }[rule()];
    follow.disabled = rule() === 0;
    const change = along[whole] - begin;
    say.textContent = `λ = ${short(dampings[i])}, μ = ${short(prices[j])}. The model promises a fall of ${number(-(model(1) - begin), 3)}; the loss ${change > 0 ? "rises" : "falls"} by ${number(Math.abs(change), 3)}. `
      + `ρ = ${number(rho, 2)}, ${verdict}. The step is ${number(lengths[i][j], 2)} long, and moves the states by ${number(Math.sqrt(moved[i][j].reduce((sum, size) => sum + size * size, 0) / T), 2)} in the root mean square.`;
  }
  update();
}

export default explorable("trust", draw);
