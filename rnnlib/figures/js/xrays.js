// X-rays of backward passes, side by side with what was done: choose one, and read its squares.

const SIDE = 46, LEFT = 74, TOP = 40;

function draw(data, root) {
  const names = data.passes.map((pass) => pass.name);
  const state = { name: names[0] };
  choice(root, { label: "pass", names, value: state.name, change: (name) => { state.name = name; update(); } });
  const T = data.passes[0].squares.length, width = 860, height = TOP + T * SIDE + 34;
  const figure = svg(root, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "a triangle of squares: loss by step" });
  const say = html(root, "p", { class: "say", "aria-live": "polite" });

  function update() {
    const pass = data.passes.find(({ name }) => name === state.name);
    figure.replaceChildren();
    svg(figure, "text", { x: LEFT + (T * SIDE) / 2, y: 14, "text-anchor": "middle" }, "step s");
    for (let t = 0; t < T; t++) {
      svg(figure, "text", { x: LEFT + (t + 0.5) * SIDE, y: TOP - 8, "text-anchor": "middle" }, t + 1);
      svg(figure, "text", { x: LEFT - 10, y: TOP + (t + 0.6) * SIDE, "text-anchor": "end" }, `loss ${t + 1}`);
      for (let s = 0; s < T; s++) square(figure, data.looks, pass, t, s);
    }
    const seen = Object.entries(data.looks).filter(([word]) => pass.squares.some((row) => row.includes(word)));
    seen.forEach(([, [symbol, colour, name]], i) => {
      const y = TOP + i * 30, x = LEFT + T * SIDE + 36;
      svg(figure, "rect", { x, y, width: 22, height: 22, fill: colour, stroke: COLOUR.grey });
      svg(figure, "text", { x: x + 11, y: y + 16, "text-anchor": "middle" }, symbol);
      svg(figure, "text", { x: x + 34, y: y + 16 }, name);
    });
    say.textContent = pass.message;
  }
  update();
}

function square(figure, looks, pass, t, s) {
  const word = pass.squares[t][s];
  if (!word) return;
  const [symbol, colour, name] = looks[word], x = LEFT + s * SIDE, y = TOP + t * SIDE, scale = pass.scale[t][s];
  const group = svg(figure, "g");
  svg(group, "title", {}, `loss ${t + 1} at step ${s + 1}: ${name}${scale === null ? "" : `, ${number(scale)} times the right one`}`);
  svg(group, "rect", { x: x + 2, y: y + 2, width: SIDE - 4, height: SIDE - 4, fill: colour, stroke: COLOUR.line });
  svg(group, "text", { x: x + SIDE / 2, y: y + SIDE / 2 + 5, "text-anchor": "middle" }, word === "scaled" && scale !== null ? `×${number(scale, 1)}` : symbol);
}

export default explorable("xrays", draw);
