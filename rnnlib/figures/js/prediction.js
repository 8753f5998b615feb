// A question that is answered before the answer is shown. The guess is kept by the browser, and `predictions` lists it at the chapter's end.

const KEPT = "predictions";
const kept = () => { try { return JSON.parse(localStorage.getItem(KEPT)) ?? {}; } catch { return {}; } };

function keep(key, entry) {
  const all = kept();
  if (entry) all[key] = entry; else delete all[key];
  try { localStorage.setItem(KEPT, JSON.stringify(all)); } catch { /* a page that may keep nothing works all the same */ }
  window.dispatchEvent(new CustomEvent("predicted"));
}

function draw(data, root) {
  html(root, "p", { class: "say" }, data.question);
  const answers = html(root, "div", { class: "controls", role: "group", "aria-label": "your prediction" });
  const say = html(root, "p", { class: "say", "aria-live": "polite" });
  const again = html(html(root, "div", { class: "controls" }), "button", { type: "button", click: () => { keep(data.key, null); show(null); (field ?? buttons[0]).focus(); } }, "ask me again");
  const commit = (guess, right) => { keep(data.key, { question: data.question, guess, right, answer: data.answer }); show({ guess, right }); again.focus(); };
  let buttons = [], field = null;
  if (data.choices.length) {
    answers.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key], at = buttons.indexOf(document.activeElement);
      if (!step || at < 0) return;
      event.preventDefault();
      buttons[(at + step + buttons.length) % buttons.length].focus();
    });
    buttons = data.choices.map((text) => html(answers, "button", { type: "button", click: () => commit(text, text === data.answer) }, text));
  } else {
    field = html(answers, "input", { type: "number", step: "any", "aria-label": "a number" });
    const judge = () => field.value !== "" && commit(field.value, Math.abs(+field.value - +data.answer) <= data.tolerance);
    field.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); judge(); } });
    buttons = [html(answers, "button", { type: "button", click: judge }, "that is my guess")];
  }

  function show(entry) {
    for (const button of buttons) {
      button.disabled = Boolean(entry);
      button.setAttribute("aria-pressed", Boolean(entry) && (button.textContent === entry.guess || !data.choices.length));
    }
    if (field) field.disabled = Boolean(entry);
    again.disabled = !entry;
    again.style.visibility = entry ? "visible" : "hidden";
    say.textContent = entry ? `${entry.right ? "✓ Yes" : `✗ You said ${entry.guess}. It is ${data.answer}`}. ${data.why}` : "Choose first: the answer comes after.";
  }
  show(kept()[data.key] ?? null);
}

export default explorable("prediction", draw);
