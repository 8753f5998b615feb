// What was predicted in this chapter, and what came.

function draw(data, root) {
  const kept = () => { try { return JSON.parse(localStorage.getItem("predictions")) ?? {}; } catch { return {}; } };
  const say = html(root, "p", { class: "say", "aria-live": "polite" });
  const table = html(root, "table");

  function show() {
    const mine = Object.entries(kept()).filter(([key]) => key.startsWith(data.chapter + "/")).map(([, entry]) => entry);
    const missed = mine.filter((entry) => !entry.right).length;
    say.textContent = mine.length ? `${mine.length} predicted, ${missed ? `${missed} of them to read again` : "all as it came"}.` : "No prediction made yet: the questions above wait.";
    table.replaceChildren();
    for (const [tag, cells] of [["th", ["", "question", "you said", "it is"]], ...mine.map((e) => ["td", [e.right ? "✓" : "✗", e.question, e.guess, e.answer]])]) {
      const row = html(table, "tr");
      cells.forEach((text) => html(row, tag, { style: "text-align: left" }, text));
    }
  }
  const listen = () => (root.isConnected ? show() : window.removeEventListener("predicted", listen)); // its cell was run again
  window.addEventListener("predicted", listen);
  show();
}

export default explorable("predictions", draw);
