"""What a worker shows of a cell, made anew of what its process sent."""

from typing import Any

from rnnlib.coursework.grading.submission import BASE64
from rnnlib.coursework.grading.worker import cut


def line(text: str, most: int = 500) -> str:
    """Make one line of what a worker says: text that can be stored, and nothing that a terminal obeys or that looks like a line of ours."""
    shown = " ".join(text[: 2 * most].encode("utf-8", "replace").decode().split())
    return "".join(one if one.isprintable() else "\ufffd" for one in shown)[:most]


def taken(output: Any) -> dict[str, Any] | None:
    """Take of an output what `worker` makes: text, or a picture that is base64 and nothing else. None where there is neither."""
    if not isinstance(output, dict):
        return None
    name, text, data = output.get("name"), output.get("text"), output.get("data")
    if output.get("output_type") == "stream" and name in ("stdout", "stderr") and isinstance(text, str):
        return {"output_type": "stream", "name": name, "text": cut(text)}
    if output.get("output_type") != "display_data" or not isinstance(data, dict):
        return None
    kept = {"text/plain": cut(data["text/plain"])} if isinstance(data.get("text/plain"), str) else {}
    if isinstance(picture := data.get("image/png"), str) and BASE64.fullmatch(picture):
        kept["image/png"] = picture
    return {"output_type": "display_data", "data": kept, "metadata": {}} if kept else None
