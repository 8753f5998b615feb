// The truncation window: one neuron unrolled, below it a square for each path from w_h to a loss, beside it the gradient that is left.

const WINDOW_STYLE = `
.explorable-window svg text { dominant-baseline: central; text-anchor: middle; pointer-events: none; }
.explorable-window svg .small { font-size: 12.5px; fill: #555; }
.explorable-window svg .start { text-anchor: start; }
.explorable-window svg .end { text-anchor: end; }
.explorable-window svg .strong { font-weight: 600; fill: #222; }
.explorable-window svg .card { fill: #fff; stroke: #8a8a8a; stroke-width: 1.1; }
.explorable-window svg .state .card { fill: #e8f2f9; }
.explorable-window svg .output .card { fill: #e7f5f0; }
.explorable-window svg .loss .card { fill: #fdf3e1; }
.explorable-window svg .dropped .card { fill: #fff; stroke-dasharray: 3 3; }
.explorable-window svg .dropped text { fill: #777; }
.explorable-window svg .on .card { stroke: #0072B2; stroke-width: 2.6; }
.explorable-window svg .lost .card { stroke: #D55E00; stroke-width: 2.4; stroke-dasharray: 4 3; }
.explorable-window svg .edge { fill: none; stroke: #b4b4b4; stroke-width: 1.4; }
.explorable-window svg .edge.alive { stroke: #0072B2; stroke-width: 3; }
.explorable-window svg .edge.dead { stroke: #D55E00; stroke-width: 2.4; stroke-dasharray: 4 3; }
.explorable-window svg .head { stroke-dasharray: none !important; }
.explorable-window svg .reach { fill: #d3e7f4; }
.explorable-window svg .reach.other { fill: #eef5fa; }
.explorable-window svg .reach, .explorable-window svg .grip { cursor: ew-resize; touch-action: none; }
.explorable-window svg .cut { stroke: #D55E00; stroke-width: 3; stroke-linecap: round; fill: none; pointer-events: none; }
.explorable-window svg .cut.halo { stroke: #fff; stroke-width: 8; }
.explorable-window svg .square { cursor: pointer; }
.explorable-window svg .square:focus-visible { outline: none; }
.explorable-window svg .ring { fill: none; stroke: #222; stroke-width: 2.5; pointer-events: none; }
.explorable-window svg .ring.focus { stroke: #E69F00; stroke-width: 3.5; }
.explorable-window .say { min-height: 4.4em; }
`;

function draw(data, root) {
  html(root, "style", {}, WINDOW_STYLE);
  const { paths, hs, ys, losses, living_from: livingFrom } = data, T = losses.length, steps = losses.map((_, i) => i + 1), names = Object.keys(livingFrom);
  const pitch = 64, left = 44, row = 28, top = 252, rowL = 28, rowY = 80, rowH = 138, right = { from: 612, to: 770, values: 828 };
  const x = (s) => left + pitch * s, y = (t) => top + row * (t - 0.5);
  let window = 3, truncation = names[0], chosen = [6, 3], hovered = null;

  const controls = html(root, "div", { class: "controls" });
  const control = slider(controls, { label: "window", min: 1, max: T, value: window, change: (k) => { window = k; paint(); } });
  choice(controls, { label: "truncation", names, value: truncation, change: (name) => { truncation = name; paint(); } });
  const page = svg(root, "svg", { viewBox: `0 0 830 ${top + row * T + 8}`, role: "group", "aria-label": "The unrolled neuron, its window, and the paths from w_h to each loss" });
  const say = html(root, "p", { class: "say", "aria-live": "polite" });

  const value = ([t, s]) => paths[t - 1][s - 1], limit = Math.max(...paths.flat().map(Math.abs));
  const first = (t, name = truncation, k = window) => livingFrom[name][k - 1][t - 1];
  const lives = ([t, s]) => s >= first(t);
  const sum = (t, from) => steps.filter((s) => s >= from && s <= t).reduce((total, s) => total + value([t, s]), 0);
  const gradient = (name, k) => steps.reduce((total, t) => total + sum(t, first(t, name, k)), 0);
  const full = gradient(names[0], T), focus = () => hovered ?? chosen, same = (p, q) => p[0] === q[0] && p[1] === q[1];

  const pattern = svg(svg(page, "defs"), "pattern", { id: "rnnlib-dead", width: 7, height: 7, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  svg(pattern, "rect", { width: 7, height: 7, fill: "#fff" });
  svg(pattern, "line", { x1: 0, x2: 0, y1: 0, y2: 7, stroke: "#c4c4c4", "stroke-width": 2.4 });

  // The chain. What a path is made of can be lit: edges by name, cards by name.
  const reaches = steps.map(() => svg(page, "rect", { class: "reach", y: rowH - 29, height: 58, rx: 10, pointerdown: grab }));
  const edges = {}, cards = {};
  const edge = (name, x1, y1, x2, y2) => { // an arrow upwards or to the right
    const head = y1 === y2 ? `M ${x2 - 6} ${y2 - 4} L ${x2} ${y2} L ${x2 - 6} ${y2 + 4}` : `M ${x2 - 4} ${y2 + 6} L ${x2} ${y2} L ${x2 + 4} ${y2 + 6}`;
    edges[name] = [svg(page, "path", { d: `M ${x1} ${y1} L ${x2} ${y2}` }), svg(page, "path", { d: head })];
  };
  const card = (kind, letter, t, cy, value_) => {
    const group = svg(page, "g", { style: "pointer-events: none" });
    svg(group, "rect", { class: "card", x: x(t) - 24, y: cy - 19, width: 48, height: 38, rx: 9 });
    svg(group, "text", { x: x(t), y: cy - 8 }, letter + low(t));
    svg(group, "text", { x: x(t), y: cy + 7 }, number(value_));
    cards[`${letter}${t}`] = { group, kind };
  };
  for (const s of steps) {
    edge(`h${s}`, x(s - 1) + 24, rowH, x(s) - 24, rowH);
    edge(`y${s}`, x(s), rowH - 19, x(s), rowY + 19);
    edge(`L${s}`, x(s), rowY - 19, x(s), rowL + 19);
    edge(`w${s}`, x(s), rowH + 44, x(s), rowH + 19);
    edges[`w${s}`].push(svg(page, "text", { x: x(s), y: rowH + 53, "font-style": "italic" }, "w_h"));
  }
  hs.forEach((h, t) => card("state", "h", t, rowH, h));
  steps.forEach((t) => { card("output", "y", t, rowY, ys[t - 1]); card("loss", "L", t, rowL, losses[t - 1]); });
  svg(page, "text", { class: "small", x: x(0), y: rowL }, "losses");
  svg(page, "text", { class: "small", x: x(0), y: rowY }, "outputs");
  const grip = svg(page, "g", { class: "grip", pointerdown: grab });
  svg(grip, "rect", { x: -8, y: rowH - 32, width: 16, height: 64, fill: "transparent" });
  svg(grip, "rect", { x: -3, y: rowH - 31, width: 6, height: 62, rx: 3, fill: COLOUR.blue });
  svg(grip, "path", { d: `M -6 ${rowH + 26} l -6 5 l 6 5 M 6 ${rowH + 26} l 6 5 l -6 5`, fill: "none", stroke: COLOUR.blue, "stroke-width": 2 });
  const cut = ["cut halo", "cut"].map((kind) => svg(page, "path", { class: kind }));

  // The squares, rows of losses, columns of steps.
  svg(page, "text", { class: "small start", x: x(1) - 30, y: top - 34 }, "path from w_h at step s (column) to loss t (row)");
  for (const s of steps) svg(page, "text", { x: x(s), y: top - 12 }, s);
  for (const t of steps) svg(page, "text", { x: x(0), y: y(t) }, `L${low(t)}`);
  const squares = steps.flatMap((t) => steps.slice(0, t).map((s) => square([t, s])));
  const stairs = svg(page, "path", { fill: "none", stroke: COLOUR.blue, "stroke-width": 2.5, "stroke-linejoin": "round", "pointer-events": "none" });
  const ring = svg(page, "rect", { class: "ring", width: pitch - 2, height: row - 2, rx: 4 });
  svg(page, "rect", { x: x(6) - 24, y: y(1) - 9, width: 30, height: 18, rx: 3, fill: "url(#rnnlib-dead)", stroke: COLOUR.line });
  svg(page, "text", { class: "small start", x: x(6) + 14, y: y(1) }, "dead: cut off");
  svg(page, "text", { class: "small start", x: x(6) - 24, y: y(2) }, "orange +, violet −");

  function square(at) {
    const [t, s] = at, pick = () => { chosen = at; hovered = null; paint(); };
    const group = svg(page, "g", {
      class: "square", role: "button", click: pick, focus: pick, blur: () => paint(), keydown: (event) => key(event, at),
      pointerenter: () => { hovered = at; paint(); }, pointerleave: () => { hovered = null; paint(); },
    });
    const rect = svg(group, "rect", { x: x(s) - pitch / 2 + 1, y: y(t) - row / 2 + 1, width: pitch - 2, height: row - 2, rx: 3, stroke: COLOUR.line });
    return { at, group, rect, text: svg(group, "text", { x: x(s), y: y(t) }) };
  }

  function key(event, [t, s]) {
    const [down, across] = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ?? [0, 0];
    if (!(down || across || event.key === "Enter" || event.key === " ")) return;
    event.preventDefault();
    squares.find(({ at }) => at[0] === t + down && at[1] === s + across)?.group.focus();
  }

  // Bars: the result, then a row for each loss. An outline is what all paths give, a filled bar what the living ones give.
  const every = names.flatMap((name) => steps.map((k) => gradient(name, k))), whole = scale(every);
  const rows = scale(steps.flatMap((t) => names.flatMap((name) => steps.map((k) => sum(t, first(t, name, k))))));
  svg(page, "text", { class: "strong start", x: right.from, y: 14 }, "dL/dw_h");
  const result = bar(62, 22, whole), living = svg(page, "text", { class: "small start", x: right.from, y: 40 });
  const exact = bar(116, 22, whole);
  exact.set(full, full);
  svg(page, "text", { class: "small start", x: right.from, y: 94 }, "all paths: the full gradient");
  for (const cy of [62, 116]) svg(page, "line", { x1: whole(0), x2: whole(0), y1: cy - 14, y2: cy + 14, stroke: COLOUR.ink });
  const verdict = svg(page, "text", { class: "strong start", x: right.from, y: 154 });
  const ratio = svg(page, "text", { class: "small start", x: right.from, y: 174 });
  svg(page, "text", { class: "small start", x: right.from, y: top - 34 }, "what each loss sends to w_h");
  svg(page, "text", { class: "small start", x: right.from, y: top - 14 }, "filled: living paths; outline: all");
  const bars = steps.map((t) => bar(y(t), 16, rows));
  svg(page, "line", { x1: rows(0), x2: rows(0), y1: top, y2: top + row * T, stroke: COLOUR.ink });

  function scale(values) { // a position for each value, zero included
    const low_ = Math.min(0, ...values), high = Math.max(0, ...values);
    return (v) => right.from + ((v - low_) / (high - low_)) * (right.to - right.from);
  }

  function bar(cy, height, to) {
    const box = (attrs) => svg(page, "rect", { y: cy - height / 2, height, ...attrs });
    const filled = box({}), outline = box({ fill: "none", stroke: "#555", "stroke-width": 1.2, "stroke-dasharray": "3 2" });
    const text = svg(page, "text", { class: "end", x: right.values, y: cy });
    const span = (rect, v) => { rect.setAttribute("x", Math.min(to(0), to(v))); rect.setAttribute("width", Math.abs(to(v) - to(0))); };
    return { set(now, all) {
      span(filled, now);
      span(outline, all);
      filled.setAttribute("fill", now < 0 ? signed(-0.8, 1) : signed(0.8, 1));
      text.textContent = now === 0 ? "0" : number(now);
    } };
  }

  // The window follows the pointer: its grip is the left end of the chosen loss's window, or the right end of the first chunk.
  function grab(down) {
    const chunks = truncation === "chunks", last = truncation === "last k steps" ? T : chosen[0], target = down.currentTarget;
    const move = (event) => {
      const at = (new DOMPoint(event.clientX, event.clientY).matrixTransform(page.getScreenCTM().inverse()).x - left) / pitch;
      const k = Math.max(1, Math.min(T, chunks ? Math.round(at - 0.5) : last - Math.round(at + 0.5) + 1));
      if (k === window) return;
      control.set(window = k);
      paint();
    };
    const drop = () => { target.removeEventListener("pointermove", move); hovered = null; };
    down.preventDefault();
    target.setPointerCapture(down.pointerId);
    target.addEventListener("pointermove", move);
    target.addEventListener("lostpointercapture", drop, { once: true });
    control.input.focus();
  }

  function paint() {
    paintChain();
    paintSquares();
    const now = gradient(truncation, window), alive = squares.filter(({ at }) => lives(at)).length;
    result.set(now, full);
    living.textContent = `window ${window}: ${alive} of ${squares.length} paths live`;
    verdict.textContent = window === T ? "all of it" : now * full < 0 ? "✗ the wrong sign" : "✓ the right sign";
    ratio.textContent = `${number(now / full)} × the full gradient`;
    bars.forEach((one, i) => one.set(sum(i + 1, first(i + 1)), sum(i + 1, 1)));
    say.textContent = `Window ${window}, ${truncation}: ${alive} of ${squares.length} paths live; dL/dw_h = ${number(now)}${window === T ? "" : ` instead of ${number(full)}`}`
      + (now * full < 0 ? ", so a step of gradient descent goes the wrong way. " : ". ") + words(focus());
  }

  function words([t, s]) {
    const path = `The path from w_h at step ${s} to loss ${t} (${t === s ? "its own step" : `${t - s} ${t - s === 1 ? "step" : "steps"} back`})`, contribution = number(value([t, s]), 3);
    if (lives([t, s])) return `${path} lives and brings ${contribution}.`;
    if (first(t) > t) return `${path} is dead, as loss ${t} is dropped; it would bring ${contribution}.`;
    return `${path} is dead, cut between h${low(first(t) - 1)} and h${low(first(t))}; it would bring ${contribution}.`;
  }

  function paintChain() {
    const [t, s] = focus(), from = first(t), dropped = from > t, lit = {};
    for (let r = s; r <= t; r++) lit[`h${r}`] = r > s ? (r > from ? "alive" : "dead") : "";
    lit[`w${s}`] = lives([t, s]) ? "alive" : "dead";
    lit[`y${t}`] = lit[`L${t}`] = dropped ? "dead" : "alive";
    if (dropped) for (let r = s + 1; r <= t; r++) lit[`h${r}`] = "dead";
    for (const [name, [line, head, label]] of Object.entries(edges)) {
      line.setAttribute("class", `edge ${lit[name] ?? ""}`);
      head.setAttribute("class", `edge head ${lit[name] ?? ""}`);
      if (!label) continue; // w_h, which is drawn only where the path begins
      for (const part of [line, head, label]) part.setAttribute("visibility", name === `w${s}` ? "visible" : "hidden");
    }
    for (const [name, { group, kind }] of Object.entries(cards)) {
      const time = +name.slice(1), on = kind === "state" ? time >= s && time <= t : time === t;
      group.setAttribute("class", `${kind} ${!on ? "" : time < from ? "lost" : "on"} ${kind !== "state" && first(time) > time ? "dropped" : ""}`);
    }
    const spans = windows(t);
    reaches.forEach((rect, i) => {
      const [a, b, own] = spans[i] ?? [1, 0];
      rect.setAttribute("visibility", b ? "visible" : "hidden");
      rect.setAttribute("x", x(a) - 30);
      rect.setAttribute("width", Math.max(0, pitch * (b - a) + 60));
      rect.setAttribute("class", `reach ${own ? "" : "other"}`);
    });
    const [a, b] = spans[0];
    grip.setAttribute("transform", `translate(${truncation === "chunks" ? x(b) + 32 : x(a) - 32} 0)`);
    const [cx, cy] = dropped ? [x(t), (rowL + rowY) / 2] : [x(from) - 32, rowH];
    for (const cross of cut) {
      cross.setAttribute("d", `M ${cx - 6} ${cy - 6} l 12 12 m 0 -12 l -12 12`);
      cross.setAttribute("visibility", lives([t, s]) ? "hidden" : "visible");
    }
  }

  function windows(t) { // first step, last step, whether it is that of the chosen loss
    if (truncation === "last k steps") return [[T - window + 1, T, true]];
    if (truncation !== "chunks") return [[first(t), t, true]];
    const starts = [...new Set(steps.map((r) => first(r)))];
    return starts.map((start) => [start, Math.min(T, start + window - 1), start === first(t)]);
  }

  function paintSquares() {
    for (const { at, group, rect, text } of squares) {
      const alive = lives(at), v = value(at), pressed = same(at, chosen), lit = same(at, focus());
      rect.setAttribute("fill", alive ? signed(v, limit) : lit ? "#fff" : "url(#rnnlib-dead)");
      text.textContent = alive || lit ? number(v) : "";
      text.setAttribute("style", !alive ? "fill: #555; text-decoration: line-through" : Math.abs(v) > 0.55 * limit ? "fill: #fff" : "");
      group.setAttribute("tabindex", pressed ? 0 : -1);
      group.setAttribute("aria-pressed", pressed);
      group.setAttribute("aria-label", words(at));
    }
    const [t, s] = focus(), active = root.getRootNode().activeElement;
    ring.setAttribute("x", x(s) - pitch / 2 + 1);
    ring.setAttribute("y", y(t) - row / 2 + 1);
    ring.setAttribute("class", `ring ${active?.matches?.(".square:focus-visible") && !hovered ? "focus" : ""}`);
    const heard = steps.filter((r) => first(r) <= r), up = (r) => `V ${y(r) - row / 2}`, down = (r) => `V ${y(r) + row / 2}`; // round what lives
    const inner = heard.map((r) => `H ${x(first(r)) - pitch / 2} ${down(r)}`), outer = heard.toReversed().map((r) => `H ${x(r) + pitch / 2} ${up(r)}`);
    stairs.setAttribute("d", `M ${x(heard[0]) + pitch / 2} ${y(heard[0]) - row / 2} ${inner.join(" ")} ${outer.join(" ")} Z`);
  }

  paint();
}

const low = (t) => String(t).replace(/\d/g, (d) => "₀₁₂₃₄₅₆₇₈₉"[d]);

export default explorable("window", draw);
