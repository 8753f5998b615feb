// The unrolled graph: scrub through the forward and the backward pass, choose a weight and a loss, see every path between them.

const UNROLLED_STYLE = `
.explorable-unrolled svg text { font-size: 12.5px; text-anchor: middle; dominant-baseline: central; pointer-events: none; }
.explorable-unrolled svg .name { font: italic 16px Georgia, "DejaVu Serif", serif; }
.explorable-unrolled svg .name.long { font-size: 14px; }
.explorable-unrolled svg .name tspan { font-size: 12.5px; }
.explorable-unrolled svg .back { font-style: italic; fill: #b34a00; }
.explorable-unrolled svg .side, .explorable-unrolled svg .legend { text-anchor: start; fill: #555; }
.explorable-unrolled svg .legend { fill: #b34a00; font-style: italic; }
.explorable-unrolled svg .step { fill: #555; }
.explorable-unrolled svg .derivative { paint-order: stroke; stroke: #fff; stroke-width: 4px; stroke-linejoin: round; fill: #666; font-size: 12.5px; }
.explorable-unrolled svg .lit .derivative { fill: #222; font-size: 13px; }
.explorable-unrolled svg path { fill: none; stroke: #b4b4b4; stroke-width: 1.2; }
.explorable-unrolled svg .lit path { stroke: #0072B2; stroke-width: 2.6; }
.explorable-unrolled svg .dim path { stroke: #9cc7e2; stroke-width: 2.2; }
.explorable-unrolled svg .dim .derivative { fill: #666; }
.explorable-unrolled svg .alone path { stroke-width: 4.6; }
.explorable-unrolled svg rect.card { stroke: #8a8a8a; stroke-width: 1.1; }
.explorable-unrolled svg .unknown rect.card { stroke-dasharray: 3 4; fill: #fff; }
.explorable-unrolled svg .on rect.card { stroke: #0072B2; stroke-width: 2.4; }
.explorable-unrolled svg .chosen rect.card { fill: #0072B2; stroke: #0072B2; stroke-width: 2.4; stroke-dasharray: none; }
.explorable-unrolled svg .chosen text { fill: #fff; }
.explorable-unrolled svg [role=button] { cursor: pointer; }
.explorable-unrolled svg [role=button]:hover rect.card { stroke: #0072B2; stroke-width: 2.4; }
.explorable-unrolled table { width: 100%; margin-top: 6px; }
.explorable-unrolled th { font-weight: 600; color: #555; }
.explorable-unrolled th:first-child, .explorable-unrolled td:first-child { text-align: left; }
.explorable-unrolled td.product { color: #555; }
.explorable-unrolled tbody tr { cursor: pointer; }
.explorable-unrolled tbody tr:hover, .explorable-unrolled tr[aria-selected=true] { background: #e8f2f9; }
.explorable-unrolled tbody tr.sum { cursor: default; background: none; font-weight: 600; }
.explorable-unrolled tbody tr.rest { cursor: default; background: none; color: #555; }
.explorable-unrolled sub { font-size: 12px; line-height: 0; vertical-align: -0.3em; }
`;
const FILL = { weight: "#ffffff", input: "#f3f3f3", state: "#e8f2f9", output: "#e7f5f0", loss: "#fdf3e1" };
const ROWS_SHOWN = 6;

function draw(data, root) {
  html(root, "style", {}, UNROLLED_STYLE);
  const names = Object.keys(data.nets);
  let net, cards, lines, band, under, steps, legend, time, weight, loss, routes, picked = -1, hovered = -1; // both count the rows of the table

  const top = html(root, "div", { class: "controls" });
  choice(top, { label: "Net:", names, value: names[0], change: open });
  html(top, "span", {}, "Loss: one you click, or");
  const everything = html(top, "button", { type: "button", click: () => { loss = "L"; select(); } }, "all losses");
  const bar = html(root, "div", { class: "controls" });
  const scrub = slider(bar, { label: "Time", min: 0, max: 1, value: 0, show: when, change: (p) => { time = p; paint(); } });
  scrub.input.style.width = "320px";
  const page = svg(root, "svg", { role: "group", "aria-label": "The unrolled net: weights at the top, time to the right" });
  const say = html(root, "p", { class: "say", "aria-live": "polite" });
  const walk = html(root, "div", { class: "controls", role: "group", "aria-label": "Paths one by one" });
  html(walk, "button", { type: "button", click: () => pick(picked - 1) }, "previous path");
  html(walk, "button", { type: "button", click: () => pick(picked + 1) }, "next path");
  html(walk, "button", { type: "button", click: () => pick(-1) }, "all paths");
  const body = html(root, "div");

  function when(p) {
    if (!net || p === 0) return "before the first step";
    return p <= net.T ? `forward, step ${p}` : `backward, step ${2 * net.T + 1 - p}`;
  }

  function open(name) { // another net: build its drawing once
    net = { ...data.nets[name] };
    net.place = new Map(net.nodes.map((node, i) => [node.id, i]));
    net.T = Math.max(...net.nodes.map((node) => node.time ?? 0));
    [time, weight, loss] = [2 * net.T, "W_hh[0,0]", `L[${Math.min(3, net.T)}]`];
    Object.assign(scrub.input, { max: 2 * net.T });
    scrub.set(time);
    page.setAttribute("viewBox", `0 0 ${data.width} ${net.height}`);
    page.replaceChildren();
    band = svg(page, "rect", { y: 118, width: 118, height: net.height - 118, rx: 12 });
    under = svg(page, "g");
    lines = net.edges.map(line);
    page.append(...lines.map((one) => one.label));
    cards = net.nodes.map(card);
    for (const node of net.nodes) if (node.time === 1 && node.kind !== "state") svg(page, "text", { class: "side", x: 12, y: node.at[1] }, node.kind === "loss" ? "losses" : `${node.kind}s`);
    steps = net.nodes.filter((node) => node.kind === "input").map((node) => svg(page, "text", { class: "step", x: node.at[0], y: net.height - 14 }));
    legend = svg(page, "text", { class: "legend", x: 12, y: net.height - 14 });
    select();
  }

  function line(edge) {
    const source = net.nodes[edge.from], hidden = source.kind === "weight" && source.time === null;
    const group = svg(under, "g"), points = edge.route, [[a, b], [x, y]] = points.slice(-2);
    svg(group, "path", { d: rounded(points) });
    const head = svg(group, "path"), reach = Math.hypot(x - a, y - b), [u, v] = [(x - a) / reach, (y - b) / reach];
    head.setAttribute("d", `M ${x - 7 * u - 4 * v} ${y - 7 * v + 4 * u} L ${x} ${y} L ${x - 7 * u + 4 * v} ${y - 7 * v - 4 * u}`);
    const label = svg(page, "g");
    svg(label, "text", { class: "derivative", x: edge.label[0], y: edge.label[1] }, number(edge.derivative));
    return { group, label, hidden, time: net.nodes[edge.to].time ?? source.time };
  }

  function card(node) {
    const chip = node.kind === "weight", [w, h] = chip ? data.chip : data.card, [x, y] = node.at;
    const button = chip || node.kind === "loss";
    const choose = () => { if (chip) weight = node.id; else loss = node.id; select(); };
    const press = (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(); } };
    const group = svg(page, "g", button ? { role: "button", tabindex: 0, "aria-label": `${plain(node.label)}, ${number(node.value)}: choose this ${node.kind}`, click: choose, keydown: press } : {});
    svg(group, "rect", { class: "card", x: x - w / 2, y: y - h / 2, width: w, height: h, rx: chip ? 0 : 12, fill: FILL[node.kind] });
    const [base, sub] = node.label.split("_"), name = svg(group, "text", { class: `name${(sub ?? "").length > 3 ? " long" : ""}`, x, y: y - 17 }, base);
    if (sub) svg(name, "tspan", { dy: 5 }, sub);
    return { group, value: svg(group, "text", { x, y: y + 3 }), back: svg(group, "text", { class: "back", x, y: y + 19 }) };
  }

  function select() { // another weight or loss: find the paths between them, the largest first
    const target = net.place.get(loss), source = net.place.get(weight), leads = new Set([target]), onward = new Map();
    for (let i = net.edges.length - 1; i >= 0; i--) {
      const { from, to } = net.edges[i];
      if (!leads.has(to)) continue;
      leads.add(from);
      onward.set(from, [i, ...(onward.get(from) ?? [])]);
    }
    routes = [];
    const follow = (node, path, value) => {
      if (node === target) routes.push({ path, value });
      else for (const i of onward.get(node) ?? []) follow(net.edges[i].to, [...path, i], value * net.edges[i].derivative);
    };
    follow(source, [], 1);
    routes.sort((p, q) => Math.abs(q.value) - Math.abs(p.value));
    picked = hovered = -1;
    table();
    paint();
  }

  function pick(i) {
    const shown = Math.min(ROWS_SHOWN, routes.length);
    picked = i < -1 ? shown - 1 : i >= shown ? -1 : i;
    paint();
  }

  function hover(i) {
    hovered = i;
    paint();
  }

  function table() {
    body.replaceChildren();
    const grid = html(body, "table"), head = html(html(grid, "thead"), "tr"), rows = html(grid, "tbody", { keydown: arrow, mouseleave: () => hover(-1) });
    for (const word of ["path", "product of the local derivatives", "value"]) html(head, "th", { scope: "col" }, word);
    routes.slice(0, ROWS_SHOWN).forEach(({ path, value }, i) => {
      const row = html(rows, "tr", { tabindex: 0, focus: () => pick(i), click: () => pick(i), mouseenter: () => hover(i) });
      const steps = path.filter((e) => net.nodes[net.edges[e].to].id !== "L"), first = html(row, "td");
      write(first, net.nodes[net.edges[steps[0]].from].label);
      for (const e of steps) { first.append(" → "); write(first, net.nodes[net.edges[e].to].label); }
      html(row, "td", { class: "product" }, steps.map((e) => number(net.edges[e].derivative)).join(" × "));
      html(row, "td", {}, number(value, 4));
    });
    const rest = routes.slice(ROWS_SHOWN), last = (kind, words, value) => {
      const row = html(rows, "tr", { class: kind });
      const cell = html(row, "td", { colspan: 2 }, words);
      html(row, "td", {}, number(value, 4));
      return cell;
    };
    if (rest.length) last("rest", `${rest.length} more ${rest.length === 1 ? "path" : "paths, together"}`, total(rest));
    const name = last("sum", `the sum over ${count(routes)}: `, total(routes));
    derivative(name);
  }

  function arrow(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const rows = [...event.currentTarget.querySelectorAll("[tabindex]")];
    rows[Math.max(0, Math.min(rows.length - 1, rows.indexOf(document.activeElement) + step))].focus();
  }

  function gradients(from) { // dL/d(node) when the sweep has come down to step `from`: each edge once, from the last to the first
    const grad = new Float64Array(net.nodes.length);
    grad[net.place.get(loss)] = 1;
    for (let i = net.edges.length - 1; i >= 0; i--) {
      const { from: source, to, derivative } = net.edges[i];
      if ((net.nodes[to].time ?? net.T) >= from) grad[source] += derivative * grad[to];
    }
    return grad;
  }

  function paint() {
    const { T } = net, forward = time <= T, here = forward ? time : 2 * T + 1 - time, grad = gradients(forward ? Infinity : here), only = hovered >= 0 ? hovered : picked;
    const shown = only < 0 ? routes : [routes[only]], lit = new Set(routes.flatMap((one) => one.path)), alone = new Set(shown.flatMap((one) => one.path));
    const touched = new Set([...alone].flatMap((i) => [net.edges[i].from, net.edges[i].to]));
    lines.forEach((one, i) => {
      const kind = !lit.has(i) ? "" : !alone.has(i) ? "lit dim" : only < 0 ? "lit" : "lit alone";
      one.group.setAttribute("class", kind);
      one.label.setAttribute("class", kind);
      if (alone.has(i)) under.append(one.group); // above the others
      one.group.style.display = one.hidden && !lit.has(i) ? "none" : "";
      const carries = lit.has(i) ? !forward || one.time <= time : !one.hidden && !forward && one.time >= here;
      one.label.style.display = carries && net.nodes[net.edges[i].to].id !== "L" ? "" : "none";
    });
    cards.forEach((one, i) => {
      const node = net.nodes[i], known = node.kind === "weight" || (node.time ?? T) <= time;
      const back = !forward && (node.time === null || node.time >= here || (node.time === 0 && here === 1));
      one.group.setAttribute("class", `${known ? "" : "unknown"} ${node.id === weight || node.id === loss ? "chosen" : touched.has(i) ? "on" : ""}`);
      one.value.textContent = known ? number(node.value) : "";
      one.back.textContent = back ? `d ${grad[i] === 0 ? 0 : number(grad[i])}` : "";
      if (one.group.hasAttribute("role")) one.group.setAttribute("aria-pressed", node.id === weight || node.id === loss);
    });
    const column = net.nodes.find((node) => node.kind === "output" && node.time === here);
    band.setAttribute("visibility", column ? "visible" : "hidden");
    if (column) band.setAttribute("x", column.at[0] - 59);
    band.setAttribute("fill", forward ? "#f1f7fb" : "#fdf5ee");
    steps.forEach((text, i) => { text.textContent = i + 1 !== here ? `step ${i + 1}` : forward ? `step ${here} →` : `← step ${here}`; });
    legend.textContent = forward ? "" : `d: d${plain(labelOf(loss))}/d(node)`;
    everything.setAttribute("aria-pressed", loss === "L");
    [...body.querySelectorAll("[tabindex]")].forEach((row, i) => row.setAttribute("aria-selected", i === only));
    tell(only);
  }

  const labelOf = (id) => net.nodes[net.place.get(id)].label;

  function derivative(parent) { // dL/dw, in letters with subscripts
    parent.append("d");
    write(parent, labelOf(loss));
    parent.append("/d");
    write(parent, labelOf(weight));
  }

  function tell(only) {
    say.textContent = only >= 0 ? `Path ${only + 1} of ${routes.length} brings ${number(routes[only].value, 4)} of ` : "";
    derivative(say);
    if (only >= 0) say.append(` = ${number(total(routes), 4)}.`);
    else if (!routes.length) say.append(" = 0: no path leads from the one to the other.");
    else say.append(` = ${number(total(routes), 4)}, the sum over ${count(routes)}. ${furthest()}`);
  }

  function furthest() {
    const state = (i) => ["state", "weight"].includes(net.nodes[i].kind) && net.nodes[i].time !== null;
    const back = (one) => one.path.filter((e) => state(net.edges[e].from) && state(net.edges[e].to)).length;
    const most = Math.max(...routes.map(back)), far = routes.filter((one) => back(one) === most);
    if (most === 0) return "No path goes through an earlier state.";
    return `The ${far.length === 1 ? "longest crosses" : `${far.length} longest cross`} ${most} ${most === 1 ? "step" : "steps"} of time and ${far.length === 1 ? "brings" : "bring"} ${number(total(far), 4)}.`;
  }

  open(names[0]);
}

const total = (routes) => routes.reduce((sum, one) => sum + one.value, 0);
const count = (routes) => `${routes.length} ${routes.length === 1 ? "path" : "paths"}`;

// "h_2,1" in plain letters, with small digits where there are some: "h₂,₁"
const plain = (label) => label.replace(/_([\d,]+)$/, (_, digits) => digits.replace(/\d/g, (d) => "₀₁₂₃₄₅₆₇₈₉"[d]));

function write(parent, label) {
  const [base, sub] = label.split("_"), letter = html(parent, "i", {}, base);
  if (sub) html(letter, "sub", {}, sub);
}

// A polyline with its corners rounded.
function rounded(points) {
  const [[x0, y0], ...rest] = points;
  let d = `M ${x0} ${y0}`;
  rest.slice(0, -1).forEach(([x, y], i) => {
    const [a, b] = points[i], [u, v] = rest[i + 1];
    const r = Math.min(8, Math.hypot(x - a, y - b) / 2, Math.hypot(u - x, v - y) / 2), away = (p, q) => (r * (p - q)) / (Math.hypot(u - x, v - y) || 1);
    const before = Math.hypot(x - a, y - b) || 1;
    d += ` L ${x - (r * (x - a)) / before} ${y - (r * (y - b)) / before} Q ${x} ${y} ${x + away(u, x)} ${y + away(v, y)}`;
  });
  return `${d} L ${rest.at(-1)[0]} ${rest.at(-1)[1]}`;
}

export default explorable("unrolled", draw);
