// Stepping back through time: δ as a heat map that fills from the right, its two parts as bars, dW_hh as the sum so far.

function draw(data, root) {
  const { T, H, runs } = data;
  let gain = "gain 1", losses = "at every step", back = 1;

  choice(root, { label: "Recurrent weights:", names: Object.keys(runs), value: gain, change: (name) => { gain = name; paint(); } });
  choice(root, { label: "Loss:", names: Object.keys(runs[gain]), value: losses, change: (name) => { losses = name; paint(); } });
  const controls = html(root, "div", { class: "controls" });
  const where = (n) => (n === 0 ? "not begun" : n <= T ? `t = ${T - n + 1}` : "t = 0");
  slider(controls, { label: "Steps taken back", min: 0, max: T + 1, value: back, show: where, change: (n) => { back = n; paint(); } });
  const page = svg(root, "svg", { viewBox: "0 0 832 330", role: "img", "aria-label": "Error at each step, and the gradient so far" });
  const say = html(root, "p", { class: "say", "aria-live": "polite" });

  const left = 52, top = 34, width = 480, column = width / (T + 1), row = 132 / H, base = 292, tall = 78;
  const x = (t) => left + t * column; // column t, h0's at 0

  function cell(px, py, w, h, value, limit) {
    svg(page, "rect", { x: px, y: py, width: w, height: h, fill: value === null ? "#fff" : signed(value, limit), stroke: COLOUR.line });
  }

  function paint() {
    page.replaceChildren();
    const run = runs[gain][losses], reached = T - back + 1; // the step just visited
    const limit = Math.max(...run.deltas.flat().map(Math.abs)), most = Math.max(...run.own, ...run.carried);
    svg(page, "text", { x: x(1), y: 20 }, "δₜ, the error at each hidden unit");
    svg(page, "text", { x: x(0) + column / 2, y: 20, "text-anchor": "middle" }, "dh₀");
    for (let t = 0; t <= T; t++) {
      const seen = t >= reached;
      for (let i = 0; i < H; i++) {
        const value = t === 0 ? run.d_h0[i] : run.deltas[t - 1][i];
        cell(x(t) + (t === 0 ? 3 : 1), top + i * row, column - (t === 0 ? 6 : 2), row - 1, seen ? value : null, limit);
      }
      svg(page, "text", { x: x(t) + column / 2, y: 312, "text-anchor": "middle", "font-weight": t === reached ? 700 : 400 }, t);
      if (t === 0 || !seen) continue;
      const own = (tall * run.own[t - 1]) / most, carried = (tall * run.carried[t - 1]) / most;
      svg(page, "rect", { x: x(t) + 4, y: base - own, width: column / 2 - 5, height: own, fill: COLOUR.blue });
      svg(page, "rect", { x: x(t) + column / 2 + 1, y: base - carried, width: column / 2 - 5, height: carried, fill: "#fff", stroke: COLOUR.orange, "stroke-width": 2 });
    }
    if (reached <= T && reached >= 0) svg(page, "rect", { x: x(reached), y: top - 4, width: column, height: 140, fill: "none", stroke: COLOUR.ink, "stroke-width": 2, rx: 4 });
    svg(page, "line", { x1: left, x2: x(T + 1), y1: base, y2: base, stroke: COLOUR.grey });
    svg(page, "text", { x: left + width / 2, y: 328, "text-anchor": "middle" }, "step t");
    svg(page, "text", { x: 44, y: top + 70, "text-anchor": "end" }, "units");
    svg(page, "rect", { x: left + 2, y: 180, width: 11, height: 11, fill: COLOUR.blue });
    svg(page, "text", { x: left + 18, y: 190 }, "its own loss");
    svg(page, "rect", { x: left + 112, y: 181, width: 10, height: 10, fill: "#fff", stroke: COLOUR.orange, "stroke-width": 2 });
    svg(page, "text", { x: left + 128, y: 190 }, "carried back (lengths, before tanh′)");
    paintSum(run, Math.max(1, reached));
  }

  function paintSum(run, from) {
    const sum = (first) => run.deltas[0].map((_, i) => run.deltas[0].map((_, j) => {
      let total = 0;
      for (let t = first; t <= T; t++) total += run.hs[t - 1][i] * run.deltas[t - 1][j];
      return total;
    }));
    const length = (matrix) => Math.hypot(...matrix.flat());
    const soFar = sum(from), whole = sum(1), limit = Math.max(...whole.flat().map(Math.abs)), size = 210 / H, terms = back === 0 ? 0 : T - from + 1;
    svg(page, "text", { x: 590, y: 20 }, `dW_hh so far: ${terms} of ${T} terms`);
    soFar.forEach((line, i) => line.forEach((value, j) => cell(590 + j * size, top + i * size, size - 1, size - 1, terms ? value : null, limit)));
    svg(page, "text", { x: 590, y: 268 }, `length ${number(terms ? length(soFar) : 0, 3)} of ${number(length(whole), 3)}`);
    svg(page, "text", { x: 590, y: 290 }, "violet −, white 0, orange +");
    const t = T - back + 1, first = run.deltas[T - 1], here = run.deltas[Math.max(0, t - 1)];
    say.textContent = back === 0 ? "The forward pass is done; no error has been sent back yet."
      : t === 0 ? `The sweep ends at h₀: dh₀ = δ₁ W_hhᵀ has length ${number(Math.hypot(...run.d_h0), 4)}.`
      : `Step ${t}: own error ${number(run.own[t - 1], 3)}, carried ${number(run.carried[t - 1], 3)}; δ has ${number((100 * Math.hypot(...here)) / Math.hypot(...first), 1)} % of the length it had at step ${T}.`;
  }
  paint();
}

export default explorable("error_flow", draw);
