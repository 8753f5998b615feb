// What every explorable shares: making elements, sliders and buttons, colours, number formats. Each script defines `draw(data, root)`
// and ends in `export default explorable("name", draw);`.

const COLOUR = { blue: "#0072B2", orange: "#D55E00", green: "#009E73", pink: "#CC79A7", sky: "#56B4E9", yellow: "#E69F00", grey: "#8a8a8a", ink: "#222", line: "#d0d0d0" };

const STYLE = `
.explorable { font: 14px/1.45 system-ui, sans-serif; color: #222; background: #fff; border: 1px solid #d0d0d0; border-radius: 8px; padding: 12px 14px; max-width: 860px; box-sizing: border-box; }
.explorable svg { display: block; width: 100%; height: auto; }
.explorable svg text { font: 13px system-ui, sans-serif; fill: #222; }
.explorable .controls { display: flex; flex-wrap: wrap; gap: 6px 18px; align-items: center; margin: 4px 0; }
.explorable label { display: inline-flex; gap: 8px; align-items: center; }
.explorable input[type=range] { width: 190px; accent-color: #0072B2; }
.explorable button { font: inherit; padding: 2px 10px; border: 1px solid #8a8a8a; border-radius: 6px; background: #fff; color: #222; cursor: pointer; }
.explorable button[aria-pressed=true] { background: #0072B2; border-color: #0072B2; color: #fff; }
.explorable :focus-visible { outline: 3px solid #E69F00; outline-offset: 2px; }
.explorable output { font-variant-numeric: tabular-nums; min-width: 3.5em; }
.explorable table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
.explorable td, .explorable th { padding: 2px 8px; text-align: right; border-bottom: 1px solid #e6e6e6; }
.explorable .say { margin: 6px 0 0; min-height: 1.45em; }
`;

// A child element; `attrs` with a function value is an event listener, `text` its content.
function make(parent, namespace, tag, attrs = {}, text = undefined) {
  const node = namespace ? document.createElementNS(namespace, tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attrs)) {
    if (typeof value === "function") node.addEventListener(key, value);
    else node.setAttribute(key, value);
  }
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}
const svg = (parent, tag, attrs, text) => make(parent, "http://www.w3.org/2000/svg", tag, attrs, text);
const html = (parent, tag, attrs, text) => make(parent, null, tag, attrs, text);

// A labelled slider of whole positions; `show(value)` writes the value beside it, `change(value)` is called at each move.
function slider(parent, { label, min, max, value, show = String, change }) {
  const box = html(parent, "label");
  html(box, "span", {}, label);
  const input = html(box, "input", { type: "range", min, max, step: 1, value, "aria-label": label });
  const output = html(box, "output", {}, show(value));
  const tell = () => input.setAttribute("aria-valuetext", (output.textContent = show(+input.value)));
  input.addEventListener("input", () => { tell(); change(+input.value); });
  tell();
  return { input, set(next) { input.value = next; tell(); } };
}

// A row of buttons of which one is pressed; `change(name)` is called when another is.
function choice(parent, { label, names, value, change }) {
  const box = html(parent, "div", { class: "controls", role: "group", "aria-label": label });
  html(box, "span", {}, label);
  const buttons = names.map((name) => html(box, "button", { type: "button", click: () => { press(name); change(name); } }, name));
  const press = (name) => buttons.forEach((button, i) => button.setAttribute("aria-pressed", names[i] === name));
  press(value);
  return { press };
}

// A minus sign of the same width as the plus, and no negative zero.
function number(value, digits = 2) {
  const text = Math.abs(value).toFixed(digits);
  return (value < 0 && +text !== 0 ? "−" : "") + text;
}

// White at 0, orange up to +limit, violet down to −limit: matplotlib's PuOr_r.
function signed(value, limit) {
  const share = Math.max(-1, Math.min(1, value / (limit || 1)));
  const [r, g, b] = share >= 0 ? [179, 88, 6] : [84, 39, 136];
  const mix = (end) => Math.round(247 + (end - 247) * Math.abs(share));
  return `rgb(${mix(r)}, ${mix(g)}, ${mix(b)})`;
}

function explorable(name, draw) {
  return {
    render({ model, el }) {
      const root = html(el, "div", { class: `explorable explorable-${name}`, role: "group", "aria-label": model.get("alt") });
      // JupyterLab takes arrows and Enter for its own shortcuts, unless the focused element itself says no.
      root.addEventListener("focusin", (event) => { event.target.dataset.lmSuppressShortcuts = "true"; });
      html(root, "style", {}, STYLE);
      draw(model.get("data"), root);
    },
  };
}
