"""Export chapters to build/site, explorables alive without a kernel: `python .ci/site.py notebooks/*.ipynb`.

The pages need no network. Formulas are typeset by MathJax from its CDN where it can be reached, and stay readable LaTeX where not.
"""

import json
import re
import sys
from html import escape, unescape
from pathlib import Path

import nbformat
from jinja2 import DictLoader
from nbconvert import HTMLExporter

ROOT = Path(__file__).parents[1]
SITE = ROOT / "build" / "site"
VIEW, STATE = (f"application/vnd.jupyter.widget-{part}+json" for part in ("view", "state"))

# nbconvert's page, without require.js and Mermaid, and not waiting for MathJax; code that JupyterLab folds is folded here too.
TEMPLATE = """{% extends 'lab/index.html.j2' %}
{% block html_head_js_requirejs %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block html_head_js_mathjax %}{{ super() | replace('<script src', '<script async src') }}{% endblock %}
{% block input_group %}
{%- set folded = cell.metadata.get('jupyter', {}).get('source_hidden') -%}
{{ '<details><summary style="cursor: pointer">code</summary>' if folded }}{{ super() }}{{ '</details>' if folded }}
{% endblock %}"""

# An anywidget's own script, run on its stored state by the least of a model.
WIDGET = """<div></div><script type="application/json">%s</script><script type="module">
for (const source of document.querySelectorAll("script[type='application/json']:not([data-seen])")) {
  if (source.dataset.seen) continue; // another explorable's script took it while this one waited
  source.dataset.seen = true;
  const el = source.previousElementSibling, state = JSON.parse(source.textContent), heard = {};
  const model = {
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; (heard["change:" + name] ?? []).forEach((listener) => listener()); },
    on: (event, listener) => { (heard[event] ??= []).push(listener); },
    off: (event, listener) => { heard[event] = (heard[event] ?? []).filter((other) => listener && other !== listener); },
    save_changes: () => {},
  };
  const module = URL.createObjectURL(new Blob([state._esm], { type: "text/javascript" }));
  const { default: widget } = await import(module);
  const { initialize, render } = typeof widget === "function" ? await widget() : widget;
  await initialize?.({ model });
  await render({ model, el });
}</script>"""

INDEX = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Backpropagation through time</title>
<body style="font: 18px/1.6 system-ui, sans-serif; max-width: 40em; margin: 3em auto; padding: 0 1em">
<h1>Backpropagation through time</h1><ul style="list-style: none; padding: 0">%s</ul>"""


def export(path: Path) -> str:
    """Write one chapter's page; return its title."""
    notebook = nbformat.read(path, as_version=4)
    widgets = notebook.metadata.pop("widgets", {}).get(STATE, {}).get("state", {})
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = relink(cell.source)
        for output in cell.get("outputs", []):
            if "data" in output:
                output.data = portable(output, widgets)
    exporter = HTMLExporter(template_file="course.html.j2", extra_loaders=[DictLoader({"course.html.j2": TEMPLATE})])
    title = re.search(r"^# (.+)", notebook.cells[0].source, re.M)[1]
    notebook.metadata.title = title
    page, _ = exporter.from_notebook_node(notebook)
    (SITE / path.with_suffix(".html").name).write_text(page, encoding="utf-8")
    return title


def portable(output, widgets):
    """One output's data as a page without a kernel can show it: images with their alt text, anywidgets alive, others as text."""
    data = dict(output.data)
    widget = widgets.get(data.pop(VIEW, {}).get("model_id"), {})
    if widget.get("model_module") == "anywidget":
        return {"text/html": WIDGET % json.dumps(widget["state"]).replace("</", "<\\/")}
    if widget.get("model_name") == "HBoxModel":  # a progress bar of tqdm: as text, where it ended
        parts = [
            widgets[child.removeprefix("IPY_MODEL_")]["state"].get("value") for child in widget["state"]["children"]
        ]
        return {"text/plain": " ".join(unescape(part) for part in parts if isinstance(part, str))}
    if "image/png" in data:
        alt = output.metadata.get("image/png", {}).get("alt", data.get("text/plain", ""))
        return {"text/html": f'<img alt="{escape(alt)}" src="data:image/png;base64,{data["image/png"]}">'}
    if "text/markdown" in data:
        data["text/markdown"] = relink(data["text/markdown"])
    return data


def relink(markdown):
    """Links to chapters go to their pages, links to other files of the repository to the files."""
    markdown = re.sub(r"(\]\([\w.-]+)\.ipynb\b", r"\1.html", markdown)
    return markdown.replace("](../", "](../../")


if __name__ == "__main__":
    SITE.mkdir(parents=True, exist_ok=True)
    titles = {path.stem: export(path) for path in map(Path, sys.argv[1:])}
    items = "".join(f'<li><a href="{name}.html">{escape(title)}</a></li>' for name, title in titles.items())
    (SITE / "index.html").write_text(INDEX % items, encoding="utf-8")
    print(f"{len(titles)} chapters in {SITE.relative_to(ROOT)}/index.html")
