// Every array of one forward pass, to scale: data above, three axes drawn as a stack of B sheets; parameters below, where they come in.

function draw(data, root) {
  const HUE = { T: COLOUR.blue, B: COLOUR.orange, D: COLOUR.green, H: COLOUR.pink, K: COLOUR.yellow };
  const HOLDS = ["xs", "a", "hs", "ys"], WEIGHTS = ["W_xh", "W_hh", "W_hy"], VECTORS = ["b_h", "h0", "b_y"];
  const cell = 13, shift = 8, columnsAt = [50, 256, 480, 700], top = 62, weightsTop = 236, vectorsTop = 372;
  const sizes = { ...data.sizes }, byName = Object.fromEntries(data.arrays.map((array) => [array.name, array]));
  const size = (axis) => sizes[axis[0]] + (axis.endsWith("+1") ? 1 : 0);
  const count = (axes) => axes.reduce((product, axis) => product * size(axis), 1);
  const many = (value) => value.toLocaleString("en-GB");
  const groups = {};
  let chosen = "hs", most = null;

  const controls = html(root, "div", { class: "controls", style: "column-gap: 14px" });
  for (const [letter, { low, high, words }] of Object.entries(data.axes)) {
    const change = (value) => { sizes[letter] = value; paint(); };
    const { input } = slider(controls, { label: `${letter} ${words}`, min: low, max: high, value: sizes[letter], change });
    input.style.width = "56px";
    input.previousSibling.style.borderBottom = `4px solid ${HUE[letter]}`;
    input.nextSibling.style.minWidth = "0.7em";
  }
  const page = svg(root, "svg", { viewBox: "0 0 832 484", role: "group", "aria-label": "The arrays, to scale" });
  const about = html(root, "p", { class: "about", style: "margin: 4px 0; min-height: 4.4em; border-left: 3px solid #222; padding-left: 10px" });
  const say = html(root, "p", { class: "say", "aria-live": "polite", style: "min-height: 3em" });
  most = total(Object.fromEntries(Object.entries(data.axes).map(([letter, { high }]) => [letter, high])));

  function total(at) {
    const before = { ...sizes };
    Object.assign(sizes, at);
    const parts = {
      parameters: data.arrays.filter((array) => array.kind === "parameter").map((array) => [array.name, count(array.axes)]),
      "multiply-adds": data.products.map((product) => [product.name, count(product.axes)]),
    };
    Object.assign(sizes, before);
    return Object.entries(parts).map(([name, pieces]) => ({ name, pieces, sum: pieces.reduce((sum, [, n]) => sum + n, 0) }));
  }

  // One axis: a coloured edge, with its letter and size beside it.
  function edge(group, axis, x1, y1, x2, y2, tx, ty, anchor) {
    svg(group, "line", { x1, y1, x2, y2, stroke: HUE[axis[0]], "stroke-width": 4, "stroke-linecap": "round" });
    const text = svg(group, "text", { x: tx, y: ty, "text-anchor": anchor });
    svg(text, "tspan", { "font-weight": "bold" }, axis);
    svg(text, "tspan", {}, ` ${size(axis)}`);
  }

  function sheet(group, x, y, rows, columns) {
    let path = "";
    for (let i = 1; i < rows; i++) path += `M${x} ${y + i * cell}h${columns * cell}`;
    for (let j = 1; j < columns; j++) path += `M${x + j * cell} ${y}v${rows * cell}`;
    svg(group, "rect", { class: "sheet", x, y, width: columns * cell, height: rows * cell });
    svg(group, "path", { d: path, stroke: "#c4c4c4", fill: "none", "pointer-events": "none" });
  }

  function array(name, x, y, title) {
    const { axes } = byName[name], sheets = axes.length === 3 ? size("B") : 1;
    const rows = axes.length === 1 ? 1 : size(axes[0]), columns = size(axes.at(-1)), deep = (sheets - 1) * shift;
    const group = svg(page, "g", {
      tabindex: 0, role: "button", style: "cursor: pointer", mouseenter: () => select(name), focus: () => select(name), click: () => select(name),
      keydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); select(name); } },
      "aria-label": `${name}, ${axes.map((axis) => `${axis} ${size(axis)}`).join(" by ")}: ${byName[name].role}`,
    });
    groups[name] = group;
    for (let b = sheets - 1; b >= 0; b--) sheet(group, x + b * shift, y - b * shift, rows, columns);
    svg(group, "text", { x: title.x, y: title.y, "text-anchor": title.anchor, style: "font-weight: bold; font-size: 15px" }, name);
    const bottom = y + rows * cell;
    edge(group, axes.at(-1), x + 2, bottom + 5, x + columns * cell - 2, bottom + 5, x + (columns * cell) / 2, bottom + 22, "middle");
    if (axes.length > 1) edge(group, axes[0], x - 5, y + 2, x - 5, bottom - 2, x - 12, (y + bottom) / 2 + 5, "end");
    if (axes.length > 2) edge(group, "B", x - 4, y - 6, x - 4 + deep, y - 6 - deep, x - 12 + deep / 2, y - 6 - deep / 2, "end");
    return { right: x + columns * cell + deep, middle: y + (rows * cell) / 2 };
  }

  function arrow(x1, x2, y, dash) {
    const head = Math.sign(x2 - x1) * 6;
    svg(page, "path", { d: `M${x1} ${y}H${x2}m${-head} -5l${head} 5l${-head} 5`, stroke: COLOUR.grey, "stroke-width": 1.5, fill: "none", "stroke-dasharray": dash });
  }

  function paint() {
    page.replaceChildren();
    HOLDS.forEach((name, i) => {
      const x = columnsAt[i], { right } = array(name, x, top, { x: x - 12, y: 18, anchor: "start" });
      if (i === 3) return;
      const end = columnsAt[i + 1] - (i === 1 ? 60 : 46), way = end - 9, y = top + 4;
      arrow(right + 6, end, y, "none");
      if (i === 1) arrow(end, right + 6, y + 14, "4 2"); // and back again, one step later
      const columns = size(byName[WEIGHTS[i]].axes[1]), wx = way - (columns * cell) / 2;
      svg(page, "path", { d: `M${way} ${y + (i === 1 ? 14 : 0)}V${weightsTop - 26}`, stroke: COLOUR.line, "stroke-width": 1.5, fill: "none" });
      array(WEIGHTS[i], wx, weightsTop, { x: way, y: weightsTop - 10, anchor: "middle" });
      const wide = size(byName[VECTORS[i]].axes[0]) * cell;
      array(VECTORS[i], way - wide / 2, vectorsTop, { x: way - wide / 2 - 12, y: vectorsTop + 12, anchor: "end" });
    });
    const sums = total({});
    sums.forEach((bar, i) => {
      const y = 424 + i * 32, scale = 590 / most[i].sum;
      let x = 104;
      svg(page, "text", { x: 94, y: y + 16, "text-anchor": "end" }, bar.name);
      bar.pieces.forEach(([name, n], j) => {
        const width = n * scale;
        svg(page, "rect", { x, y, width, height: 22, fill: j % 2 ? "#fff" : "#ececec", stroke: "#777" });
        if (width > 8 * name.length + 6) svg(page, "text", { x: x + width / 2, y: y + 16, "text-anchor": "middle" }, name);
        x += width;
      });
      svg(page, "text", { x: x + 8, y: y + 16, style: "font-weight: bold" }, many(bar.sum));
    });
    tell(sums);
    select(chosen);
  }

  function tell([parameters, work]) {
    const peak = Math.max(...work.pieces.map(([, n]) => n)), share = Math.round((100 * peak) / work.sum);
    const first = work.pieces.filter(([, n]) => n === peak).map(([name]) => name);
    const { T, B, D, H, K } = sizes;
    say.textContent = `${many(parameters.sum)} parameters. One forward pass takes T·B·H·(D + H + K) = ${T}·${B}·${H}·${D + H + K} = ${many(work.sum)} multiply-adds; `
      + (first.length === 3 ? "its three products take a third each." : `the largest share, ${share} %, in ${first.join(" and again in ").replace(/(h|xs|hs) W/g, "$1\u00a0W")}.`);
  }

  function select(name) {
    chosen = name;
    for (const [other, group] of Object.entries(groups))
      for (const rect of group.querySelectorAll(".sheet")) {
        rect.setAttribute("fill", other === name ? "#fff3d6" : byName[other].kind === "parameter" ? "#f4f4f4" : "#fff");
        rect.setAttribute("stroke", other === name ? COLOUR.ink : COLOUR.grey);
        rect.setAttribute("stroke-width", other === name ? 1.8 : 1);
      }
    const { axes, role, line } = byName[name], by = axes.map(size);
    about.replaceChildren();
    html(about, "b", {}, name);
    html(about, "span", {}, `, ${role}`);
    html(about, "br");
    html(about, "span", {}, `Shape (${axes.join(", ")}${axes.length > 1 ? "" : ","}) = (${by.join(", ")}${by.length > 1 ? "" : ","}), ${by.length > 1 ? `${by.join(" × ")} = ` : ""}${many(count(axes))} ${count(axes) === 1 ? "entry" : "entries"}.`);
    html(about, "br");
    html(about, "code", {}, line);
  }
  paint();
}

export default explorable("shapes", draw);
