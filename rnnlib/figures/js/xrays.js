// X-rays of backward passes: choose one, read its squares, and point at one (or go there with the arrows) for its scale. Where the
// reader is to guess, passes are letters, and a button tells what each is.

const SIDE = 46, LEFT = 74, TOP = 40;

function draw(data, root) {
  const names = data.passes.map((pass, i) => (data.guess ? String.fromCharCode(65 + i) : pass.name));
  const state = { name: names[0], told: new Set(data.guess ? [] : names) };
  choice(root, { label: "pass", names, value: state.name, change: (name) => { state.name = name; update(); } });
  const T = data.passes[0].squares.length, width = 860, height = TOP + T * SIDE + 34;
  const figure = svg(root, "svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "a triangle of squares: loss by step" });
  const pointed = html(root, "p", { class: "say", "aria-live": "polite" });
  const tell = html(html(root, "div", { class: "controls" }), "button", { type: "button", click: () => { state.told.add(state.name); update(); } }, "what is it?");
  tell.hidden = !data.guess;
  const say = html(root, "p", { class: "say", "aria-live": "polite" });

  function update() {
    const pass = data.passes[names.indexOf(state.name)], told = state.told.has(state.name);
    pointed.textContent = "Point at a square, or go from one to the next with the arrow keys.";
    figure.replaceChildren();
    svg(figure, "text", { x: LEFT + (T * SIDE) / 2, y: 14, "text-anchor": "middle" }, "step s");
    for (let t = 0; t < T; t++) {
      svg(figure, "text", { x: LEFT + (t + 0.5) * SIDE, y: TOP - 8, "text-anchor": "middle" }, t + 1);
      svg(figure, "text", { x: LEFT - 10, y: TOP + (t + 0.6) * SIDE, "text-anchor": "end" }, `loss ${t + 1}`);
      for (let s = 0; s < T; s++) square(figure, data.looks, pass, t, s, (text) => { pointed.textContent = text; });
    }
    figure.querySelector("[tabindex]")?.setAttribute("tabindex", 0);
    const seen = Object.entries(data.looks).filter(([word]) => pass.squares.some((row) => row.includes(word)));
    seen.forEach(([, [symbol, colour, name]], i) => {
      const y = TOP + i * 30, x = LEFT + T * SIDE + 36;
      svg(figure, "rect", { x, y, width: 22, height: 22, fill: colour, stroke: COLOUR.grey });
      svg(figure, "text", { x: x + 11, y: y + 16, "text-anchor": "middle" }, symbol);
      svg(figure, "text", { x: x + 34, y: y + 16 }, name);
    });
    tell.disabled = told;
    say.textContent = told ? `${data.guess ? `${pass.name}: ` : ""}${pass.message}` : "Say first what was done there.";
  }
  update();
}

const STEP = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function square(figure, looks, pass, t, s, show) {
  const word = pass.squares[t][s];
  if (!word) return;
  const [symbol, colour, name] = looks[word], x = LEFT + s * SIDE, y = TOP + t * SIDE, scale = pass.scale[t][s];
  const text = `loss ${t + 1} at step ${s + 1}: ${name}${scale === null ? "" : `, ${number(scale)} times the right one`}`;
  const go = (event) => {
    const [down, right] = STEP[event.key] ?? [0, 0], next = figure.querySelector(`[data-at="${t + down},${s + right}"]`);
    if (event.key in STEP) event.preventDefault();
    if (!next || next === group) return;
    group.setAttribute("tabindex", -1);
    next.setAttribute("tabindex", 0);
    next.focus();
  };
  const told = () => show(text);
  const group = svg(figure, "g", { "data-at": `${t},${s}`, tabindex: -1, role: "img", "aria-label": text, focus: told, click: told, mouseenter: told, keydown: go });
  svg(group, "title", {}, text);
  svg(group, "rect", { x: x + 2, y: y + 2, width: SIDE - 4, height: SIDE - 4, fill: colour, stroke: COLOUR.line });
  svg(group, "text", { x: x + SIDE / 2, y: y + SIDE / 2 + 5, "text-anchor": "middle" }, word === "scaled" && scale !== null ? `×${number(scale, Math.abs(scale) < 1 ? 2 : 1)}` : symbol);
}

export default explorable("xrays", draw);
