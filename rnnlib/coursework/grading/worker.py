"""The process that a learner's code lives in: it runs cells, and calls functions with inputs that it is given.

It is trusted with nothing. It gets the sources of cells and the inputs of Questions, and whatever it sends back is data to be judged.
Started by `sandbox`, with the limits as JSON in its only argument; frames of `wire` come in on stdin and go out on stdout.
"""

import ast
import base64
import json
import os
import sys
from contextlib import suppress

from rnnlib.coursework.grading import wire

SHOWN = 20_000  # characters of a text that are kept
SHAPED = {"text/plain", "image/png"}  # nothing that a browser would run


def main() -> None:
    """Answer one frame after another until stdin ends."""
    limits = json.loads(sys.argv[1])
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nowhere, fd)  # what a learner's code prints past Python goes nowhere
    _limit(limits)
    shell = _shell()
    while message := _receive(requests):
        try:
            serve = next(serve for name, serve in SERVED.items() if name in message)
            reply = serve(shell, message)
            frame = wire.encode(reply)
        except BaseException as error:  # sys.exit included: the next question is another one
            frame = wire.encode({"trouble": f"It could not be asked: {type(error).__name__}", "value": None})
        replies.write(frame)
        replies.flush()


def cut(text: str) -> str:
    """Shorten what a cell shows, and make it text that can be stored."""
    shown = text[:SHOWN].encode("utf-8", "replace").decode()  # half of a surrogate pair is no text
    return shown + ("\n... (cut off)" if len(text) > SHOWN else "")


def _receive(stream):
    head = stream.read(wire.HEAD.size)
    if len(head) < wire.HEAD.size:
        return None
    return wire.decode(head + stream.read(sum(wire.HEAD.unpack(head))), classes=True)


def _limit(limits):
    """Set the kernel's own limits, which nothing that follows can raise."""
    with suppress(ImportError):  # not a Unix
        import resource

        for name, limit in limits.items():
            with suppress(ValueError, OSError):
                resource.setrlimit(getattr(resource, name), (limit, limit))


def _shell():
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    return InteractiveShell.instance(config=config)


def _ran(shell, message):
    """Run a cell; give back its outputs as a notebook stores them."""
    from IPython.utils.capture import capture_output

    with capture_output() as captured:
        shell.run_cell(message["source"])
    outputs = [
        {"output_type": "stream", "name": name, "text": cut(text)}
        for name, text in (("stdout", captured.stdout), ("stderr", captured.stderr))
        if text
    ]
    return {"outputs": outputs + [_shown(output.data) for output in captured.outputs]}


def _defined(shell, message):
    """Run each statement of a cell by itself: one that fails, for want of what is withheld, takes no answer with it."""
    from IPython.utils.capture import capture_output

    source = shell.transform_cell(message["needed"])
    name = shell.compile.cache(source)
    for statement in ast.parse(source).body:
        with capture_output(), suppress(Exception, SystemExit):
            exec(compile(ast.Module([statement], []), name, "exec"), shell.user_ns)
    return {}


def _shown(data):
    data = {mime: content for mime, content in data.items() if mime in SHAPED}
    if isinstance(data.get("image/png"), bytes):
        data["image/png"] = base64.b64encode(data["image/png"]).decode()
    return {"output_type": "display_data", "data": data, "metadata": {}}


def _answered(shell, message):
    """Call a learner's function with the inputs of a Question, or make the program that it asks for."""
    from rnnlib.coursework import asking

    id, function = message["question"], shell.user_ns.get(message["name"])
    if not callable(function):
        return {"value": None, "inputs": None, "trouble": f"There is no function {message['name']}."}
    way = asking.make if id in asking.PROGRAMS else asking.ask
    return way(id, function, message["inputs"], seconds=message["seconds"])._asdict()


def _measured(shell, message):
    """Run a program that another worker made of a learner's function."""
    from rnnlib.coursework import asking

    given = (message[name] for name in ("question", "program", "inputs"))
    return asking.measure(*given, seconds=message["seconds"])._asdict()


SERVED = {"source": _ran, "needed": _defined, "program": _measured, "name": _answered}  # by what is in a request

if __name__ == "__main__":
    main()
