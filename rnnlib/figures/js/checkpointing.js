// A backward pass that keeps few states: the steps as a bar, with what is kept, in hand and run again; below, what every chunk length costs.

const WAYS = { "keep everything": "2 4", "one level": "", halving: "9 5" }; // and the dash of each curve

// What a schedule holds at once, in states, with n arrays for each step in hand: at every stretch, and at most; and the steps that it runs.
function totals({ stretches, kept }, T, n) {
  const held = stretches.map(([start, stop], i) => n * (stop - start) + kept.filter(([, first, last]) => first <= i && i <= last).length);
  return { held, most: Math.max(...held), steps: T + stretches.reduce((sum, [, stop, since]) => sum + stop - since, 0) };
}

function draw(data, root) {
  const { T, chunks, ways } = data, half = chunks.findIndex((c) => c >= T / 4);
  const state = { chunk: half, stretch: 0, n: 5, way: "one level" };
  const controls = html(root, "div", { class: "controls" });
  slider(controls, { label: "steps in a chunk, c", min: 0, max: chunks.length - 1, value: half, show: (i) => chunks[i], change: (i) => set("chunk", i) });
  const walk = slider(controls, { label: "go back", min: 0, max: 1, value: 0, show: (i) => `stretch ${i + 1}`, change: (i) => set("stretch", i) });
  slider(controls, { label: "arrays a step in hand, n", min: 1, max: 8, value: state.n, change: (n) => set("n", n) });
  choice(controls, { label: "keep", names: Object.keys(WAYS), value: state.way, change: (way) => set("way", way) });
  const figure = svg(root, "svg", { viewBox: "0 0 830 454", role: "img", "aria-label": "the steps and what is kept of them; what every chunk length costs" });
  const steps = svg(figure, "g"), most = svg(figure, "g"), run = svg(figure, "g");
  const say = html(root, "p", { class: "say", "aria-live": "polite", style: "min-height: 3em" });

  const known = {}; // the totals of every schedule, by n
  const costs = (n) => (known[n] ??= Object.fromEntries(Object.keys(WAYS).map((name) => [name, ways[name].map((each) => totals(each, T, n))])));

  function set(key, value) {
    state[key] = value;
    if (key === "chunk" || key === "way") state.stretch = 0;
    update();
  }

  function update() {
    const { chunk, stretch, n, way } = state, schedule = ways[way][chunk], all = costs(n), { held, most: peak, steps: total } = all[way][chunk];
    walk.input.max = Math.max(1, schedule.stretches.length - 1);
    walk.input.disabled = schedule.stretches.length === 1;
    walk.set(stretch);
    drawSteps(steps, schedule, stretch, T);
    drawCosts(most, { left: 66, title: "most that is held at once (states)", of: (t) => t.most, log: true }, chunks, all, state);
    drawCosts(run, { left: 484, title: "steps run forward, in units of T", of: (t) => t.steps / T, log: false }, chunks, all, state);
    const [start, stop, since] = schedule.stretches[stretch], everything = all["keep everything"][0].most;
    const name = way === "keep everything" ? "Keep everything" : `${way === "halving" ? "Halving, down to" : "One level,"} chunks of ${chunks[chunk]}`;
    say.textContent = `${name}: at most ${peak} states are held at once${peak < everything ? ` instead of ${everything}` : ""}; `
      + `${total} steps are run, ${number(total / T)} T. Now steps ${start + 1} to ${stop} are in hand, ${n} arrays each, `
      + (since === stop ? "as the forward pass left them" : `after running on from the state after step ${since}`)
      + `; ${held[stretch]} states are held.`;
  }
  update();
}

function drawSteps(parent, { stretches, kept }, now, T) {
  parent.replaceChildren();
  const x = (t) => 100 + (t / T) * 700, [start, stop, since] = stretches[now], top = 58, bottom = 92;
  const row = (y, text) => svg(parent, "text", { x: 88, y, "text-anchor": "end" }, text);
  row(34, "run again");
  row(79, "steps");
  row(121, "kept");
  svg(parent, "rect", { x: x(0), y: top, width: x(T) - x(0), height: bottom - top, fill: "#f1f1f1", stroke: COLOUR.line });
  if (stop < T) {
    svg(parent, "rect", { x: x(stop), y: top, width: x(T) - x(stop), height: bottom - top, fill: "#bfe3d7", stroke: COLOUR.green });
    if (x(T) - x(stop) > 110) svg(parent, "text", { x: (x(stop) + x(T)) / 2, y: 79, "text-anchor": "middle" }, "differentiated");
  }
  svg(parent, "rect", { x: x(start), y: top - 6, width: Math.max(x(stop) - x(start), 2), height: bottom - top + 12, fill: "#d5e8f5", stroke: COLOUR.blue, "stroke-width": 2.5 });
  if (x(stop) - x(start) > 60) svg(parent, "text", { x: (x(start) + x(stop)) / 2, y: 79, "text-anchor": "middle" }, "in hand");
  if (since < stop) {
    const tip = x(stop), width = Math.min(12, tip - x(since));
    svg(parent, "line", { x1: x(since), x2: tip - width / 2, y1: 30, y2: 30, stroke: COLOUR.orange, "stroke-width": 3 });
    svg(parent, "path", { d: `M ${tip - width} 23 L ${tip} 30 L ${tip - width} 37 Z`, fill: COLOUR.orange });
  } else svg(parent, "text", { x: x(0), y: 34 }, "nothing");
  for (const [step] of kept.filter(([, first, last]) => first <= now && now <= last)) {
    svg(parent, "path", { d: `M ${x(step)} 108 l 6 8 l -6 8 l -6 -8 Z`, fill: COLOUR.pink, stroke: "#fff", "stroke-width": 0.6 });
  }
  for (let i = 0; i <= 4; i++) {
    const t = Math.round((i / 4) * T);
    svg(parent, "line", { x1: x(t), x2: x(t), y1: 132, y2: 138, stroke: COLOUR.grey });
    svg(parent, "text", { x: x(t), y: 153, "text-anchor": "middle" }, i ? t : "0 (h0)");
  }
}

function drawCosts(parent, { left, title, of, log }, chunks, all, { chunk, way }) {
  parent.replaceChildren();
  const right = left + 330, top = 206, bottom = 404, values = Object.values(all).flat().map(of);
  const high = log ? 10 ** Math.ceil(Math.log10(Math.max(...values))) : Math.ceil(Math.max(...values));
  const scale = (v) => (log ? Math.log10(v) / Math.log10(high) : v / high);
  const y = (v) => bottom - scale(v) * (bottom - top), x = (c) => left + (Math.log(c) / Math.log(Math.max(chunks.at(-1), 2))) * (right - left);
  svg(parent, "text", { x: left, y: top - 14, "font-weight": 600 }, title);
  for (let v = log ? 1 : 0; v <= high; v = log ? v * 10 : v + 1) {
    svg(parent, "line", { x1: left, x2: right, y1: y(v), y2: y(v), stroke: "#e6e6e6" });
    svg(parent, "text", { x: left - 8, y: y(v) + 4, "text-anchor": "end" }, v);
  }
  for (const c of [1, 5, 20, 100, 400].filter((c) => chunks.includes(c))) svg(parent, "text", { x: x(c), y: bottom + 18, "text-anchor": "middle" }, c);
  svg(parent, "text", { x: (left + right) / 2, y: bottom + 40, "text-anchor": "middle" }, "steps in a chunk, c");
  const order = Object.keys(all).sort((a, b) => (a === way) - (b === way)); // the chosen one on top
  for (const name of order) {
    const points = all[name].map((t, i) => `${x(chunks[i])},${y(of(t))}`).join(" "), chosen = name === way;
    svg(parent, "polyline", { points, fill: "none", stroke: chosen ? COLOUR.blue : COLOUR.grey, "stroke-width": chosen ? 3 : 1.6, "stroke-dasharray": WAYS[name] });
  }
  const taken = [];
  for (const name of Object.keys(all)) { // each name above the left end of its curve, or below it if another name is there
    const style = `stroke: #fff; stroke-width: 4; paint-order: stroke${name === way ? `; fill: ${COLOUR.blue}; font-weight: 600` : ""}`;
    const end = y(of(all[name][0])), above = taken.every((other) => Math.abs(other - end) > 18);
    taken.push(end);
    svg(parent, "text", { x: left + 8, y: above ? end - 9 : end + 20, style }, name);
  }
  svg(parent, "circle", { cx: x(chunks[chunk]), cy: y(of(all[way][chunk])), r: 7, fill: COLOUR.orange, stroke: "#fff", "stroke-width": 2 });
}

export default explorable("checkpointing", draw);
