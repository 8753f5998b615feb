"""A worker in a sandbox: no network, no files but Python's and rnnlib's, and limits on time, memory, processes and output."""

import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from functools import partial
from typing import Any

import psutil

from rnnlib.coursework.answers import LATE, STOPPED, Answer, plain
from rnnlib.coursework.grading import box, cgroup, watch, wire
from rnnlib.coursework.grading.box import MIB
from rnnlib.coursework.grading.limits import DEFAULT_LIMITS, Limits
from rnnlib.coursework.grading.outputs import line, taken

POLL = 0.05  # seconds between two looks at a worker's processes
START = 60.0  # seconds for a worker's first answer, to nothing
GRACE = 5.0  # seconds more for an answer that is on its way
PATIENCE = 3  # times the seconds that it may work may pass on the clock, for others have the core too
FAIR = (
    0.9  # of its seconds: whoever was stopped with less of a core, and waited for one meanwhile, might have been done
)


class WorkerLostError(Exception):
    """The worker is no more; the message says why, in words for its author."""


class Worker:
    """A process for one learner's code: `with Worker(limits) as worker: worker.run(source)`.

    `spent` are the seconds that it was asked for; `starved` says whether it was stopped for its time without having had a core for it.

    Args:
        limits: see `limits.Limits`.
        sandboxed: whether bubblewrap keeps it from files, network and other processes; without, limits alone are kept.
        bare: a problem set, such as "ps2": what its answers must not use is not there; "" for all of rnnlib.

    Raises:
        RuntimeError: on entering, bubblewrap is wanted and does not work here, or the process does not answer before any of the
            learner's code has run: that is never the learner's fault.
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS, *, sandboxed: bool = True, bare: str = ""):  # noqa: D107
        self.limits, self.sandboxed, self.bare = limits, sandboxed, bare

    def __enter__(self) -> "Worker":
        """Start the process."""
        if self.sandboxed:
            box.require_sandbox()
        self._folder = tempfile.TemporaryDirectory(prefix="worker-", ignore_cleanup_errors=True)
        with box.kernel_filter() as calls, watch.on_a_core() as self._core:
            self._process = subprocess.Popen(
                box.command(self.limits, calls, self.sandboxed, self.bare),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,  # heard at the start alone: later it holds what a pipe holds
                env=box.environment(self._folder.name, self.bare) | (cgroup.session() if self.sandboxed else {}),
                cwd=self._folder.name,
                start_new_session=True,
                pass_fds=calls if self.sandboxed else (),
            )
        for pipe in self._pipes():
            os.set_blocking(pipe.fileno(), False)
        self._ended, self._excess = threading.Event(), ""
        self._worked, self.spent, self.starved = 0.0, 0.0, False
        self._guard = threading.Thread(target=self._watched, daemon=True)
        self._guard.start()
        try:
            self._asked({"source": ""}, START)
        except WorkerLostError as error:
            said = (self._process.stderr.read() or b"").decode("utf-8", "replace").strip()[-300:]
            self.__exit__()
            raise RuntimeError(f"grading: the worker did not start: {said or error}") from error
        return self

    def __exit__(self, *error) -> None:
        """Kill it and all that it started."""
        self._ended.set()
        self._guard.join()
        self._kill()
        self._process.wait()
        watch.leave(self._core)
        for pipe in self._pipes():
            pipe.close()
        self._folder.cleanup()

    def run(self, source: str) -> list[dict[str, Any]]:
        """Run a cell.

        Args:
            source: its source.

        Returns:
            Its outputs, as a notebook stores them, none of which a browser would run.

        Raises:
            WorkerLostError: it ran too long, took too much, or ended the process.
        """
        outputs = self._asked({"source": source}, self.limits.cell).get("outputs")
        return [output for output in map(taken, outputs if isinstance(outputs, list) else ()) if output]

    def define(self, source: str) -> None:
        """Run a cell for what it defines, each statement by itself, and show nothing.

        Args:
            source: its source.

        Raises:
            WorkerLostError: as for `run`.
        """
        self._asked({"needed": source}, self.limits.cell)

    def answer(self, question: str, name: str, inputs: dict[str, Any]) -> Answer:
        """Call a learner's function with the inputs of a Question.

        Args:
            question: the Question's id.
            name: what the learner's function is called.
            inputs: of one case.

        Returns:
            The `Answer`, of dicts, tuples and arrays alone.

        Raises:
            WorkerLostError: as for `run`.
        """
        return self._answer({"question": question, "name": name, "inputs": inputs})

    def measure(self, question: str, program: Any, inputs: dict[str, Any]) -> Answer:
        """Look at the program that another worker made, and run it on the inputs of a Question.

        Args:
            question: the Question's id.
            program: its bytes.
            inputs: of one case.

        Returns:
            The `Answer`, of dicts, tuples and arrays alone.

        Raises:
            WorkerLostError: as for `run`.
        """
        return self._answer({"question": question, "program": program, "inputs": inputs})

    def _answer(self, message):
        message |= {"seconds": self.limits.answer}
        reply = self._asked(message, self.limits.answer + GRACE)  # which it keeps itself, on the clock
        if reply.get("trouble") is not None:
            return Answer(None, None, line(str(reply["trouble"])))
        try:
            return Answer(plain(reply.get("value")), plain(reply.get("inputs")))
        except (TypeError, RecursionError) as error:
            return Answer(None, None, f"It gave back no arrays: {line(str(error), 200)}")

    def _kill(self):
        family = watch.family(self._process.pid)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for process in family:
            with suppress(psutil.Error):
                process.kill()

    def _watched(self):
        """Stop it when it takes too much, also while it is asked nothing."""
        while not self._ended.wait(POLL):
            family = watch.family(self._process.pid)
            self._worked = max(self._worked, watch.worked(family))
            if len(family) > self.limits.processes:
                self._excess = f"It started more than {self.limits.processes} processes."
            elif watch.held(family) > self.limits.memory * MIB:
                self._excess = f"It used more than {self.limits.memory} MiB of memory."
            if self._excess:
                return self._kill()

    def _pipes(self):
        return self._process.stdin, self._process.stdout, self._process.stderr

    def _asked(self, message, seconds):
        """What it replies within so many seconds of a core."""
        began, before = time.monotonic(), (self._worked, watch.busy(self._core))
        in_time = partial(self._in_time, began, before, seconds)
        try:
            self._send(wire.encode(message), in_time)
            reply = wire.decode(self._received(in_time))
        except wire.BrokenFrameError as error:
            raise WorkerLostError("What came back could not be read.") from error
        finally:
            self.spent += time.monotonic() - began
        if not isinstance(reply, dict):
            raise WorkerLostError("What came back could not be read.")
        if str(reply.get("trouble")).startswith(LATE):  # which it found by the clock
            self._note_starved(before, self.limits.answer)
        return reply

    def _send(self, frame, in_time):
        fd = self._process.stdin.fileno()
        while frame:
            in_time()
            if select.select([], [fd], [], POLL)[1]:
                try:
                    frame = frame[os.write(fd, frame) :]
                except BrokenPipeError:
                    raise WorkerLostError(self._excess or "It ended its own process.") from None

    def _received(self, in_time):
        fd, data, wanted = self._process.stdout.fileno(), bytearray(), wire.HEAD.size
        while len(data) < wanted:
            waiting = select.select([fd], [], [], 0)[0]
            in_time(GRACE * bool(waiting))  # what has come is read, however late the reader is
            if not waiting and not select.select([fd], [], [], POLL)[0]:
                continue
            chunk = os.read(fd, min(MIB, wanted - len(data)))
            if not chunk:
                raise WorkerLostError(self._excess or "It ended its own process.")
            data += chunk
            if wanted == wire.HEAD.size == len(data):
                sizes = wire.HEAD.unpack(data)
                if sum(sizes) > self.limits.output * MIB:
                    raise WorkerLostError(f"It sent back more than {self.limits.output} MiB.")
                wanted += sum(sizes)
        return bytes(data)

    def _in_time(self, began, before, seconds, more=0.0):
        """Raise `WorkerLostError` for a worker that has had a core for too long, or waits for too long."""
        used = self._worked - before[0]
        if used > seconds + more or time.monotonic() - began > PATIENCE * seconds + more:
            self._note_starved(before, seconds)
            raise WorkerLostError(f"{STOPPED} {seconds:g} s.")

    def _note_starved(self, before, seconds):
        """It is, if others had its core meanwhile, and it too little of it: neither a sleeper nor a crowd of its own is."""
        worked = self._worked - before[0]
        self.starved |= worked < FAIR * seconds <= watch.busy(self._core) - before[1]
