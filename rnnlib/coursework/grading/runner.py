"""Where the programs run that learners' functions were made into: a box in which none of their own code ever is."""

from typing import Any

from rnnlib.coursework.answers import Answer
from rnnlib.coursework.grading.limits import Limits
from rnnlib.coursework.grading.sandbox import Worker, WorkerLostError

UNRUN = "Its program could not be run."


class Runner:
    """A worker for the programs that learners' functions were made into, in which none of their own code runs; started when it is needed.

    Args:
        limits: see `limits.Limits`.
        sandboxed: see `sandbox.Worker`.
    """

    def __init__(self, limits: Limits, sandboxed: bool):  # noqa: D107
        self.limits, self.sandboxed, self.starved, self._before, self._worker = limits, sandboxed, False, 0.0, None

    @property
    def spent(self) -> float:
        """Seconds that all programs so far have taken."""
        return self._before + (self._worker.spent if self._worker else 0.0)

    def __enter__(self) -> "Runner":
        """Wait for the first program."""
        return self

    def __exit__(self, *error) -> None:
        """End the worker, if there is one."""
        if self._worker:
            self.starved, self._before = self.starved or self._worker.starved, self.spent
            self._worker.__exit__()
        self._worker = None

    def measure(self, question: str, program: Any, inputs: dict[str, Any]) -> Answer:
        """Do as `Worker.measure`; a program that ends the worker is told so, and the next one gets another.

        Args:
            question: the Question's id.
            program: its bytes.
            inputs: of one case.

        Returns:
            The `Answer`.
        """
        try:
            self._worker = self._worker or Worker(self.limits, sandboxed=self.sandboxed).__enter__()
            return self._worker.measure(question, program, inputs)
        except WorkerLostError as error:
            self.__exit__()
            return Answer(None, None, f"{UNRUN} {error}")
