"""The net under examination: the caller's own functions, asked with arrays and answered in NumPy."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rnnlib.gradcheck import trees
from rnnlib.validation import require_array


class NeedsError(Exception):
    """A check can't be made with what was given; the text says what it would need."""


class Patient(NamedTuple):
    """A net, its data, and whatever else of its training was given."""

    run: Callable  # run(params, xs, state) -> (ys, state)
    params: Any  # a pytree of arrays
    xs: np.ndarray  # (T, B, D), or symbols (T, B)
    targets: Any  # an array (T, B, ...), or (B, ...)
    loss: Callable | None  # loss(ys, targets) -> a number
    gradient: Callable | None  # gradient(params, xs, targets, state) -> a pytree like params
    update: Callable | None  # update(params, xs, targets) -> params
    state: Any  # where to start; None for the net's own beginning
    mask: np.ndarray | None  # (T, B), 1 where a step counts
    noise: float = 0.0  # how far the outputs of two runs on the same inputs are apart

    @property
    def T(self) -> int:  # noqa: N802
        """Steps."""
        return len(self.xs)

    @property
    def B(self) -> int:  # noqa: N802
        """Sequences."""
        return self.xs.shape[1]

    @property
    def symbolic(self) -> bool:
        """Whether the inputs are symbols, integers, rather than vectors."""
        return self.xs.dtype.kind in "iu"

    def need(self, *names: str) -> None:
        """Raise `NeedsError` where one of these was not given."""
        missing = [f"{name}=" for name in names if getattr(self, name) is None]
        if missing:
            raise NeedsError(f"it would need {' and '.join(missing)}")

    def outputs(self, xs=None, *, params=None, state=...) -> tuple[np.ndarray, Any]:
        """Run the net: outputs in float64, and the state it returns, as it is."""
        xs, params = self.xs if xs is None else xs, self.params if params is None else params
        returned = self.run(params, xs.copy(), self.state if state is ... else state)
        if not (isinstance(returned, tuple) and len(returned) == 2):
            hint = "Try lambda params, xs, state: (ys, state), with None for a state that is not returned."
            raise TypeError(f"examine: run must return (ys, state), got {type(returned).__name__}. {hint}")
        return _real("run's ys", returned[0]), returned[1]

    def loss_of(self, ys: np.ndarray, targets=None) -> float:
        """Score outputs; in the precision that the net computes in."""
        self.need("loss", "targets")
        value = _real("the loss", self.loss(ys.astype(self.precision), self.targets if targets is None else targets))
        if value.size != 1:
            raise ValueError(f"examine: loss must return one number, got shape {value.shape}. Try its mean or its sum.")
        return float(value.reshape(()))

    def gradient_of(self, xs=None, targets=None, *, params=None, state=...) -> list[np.ndarray]:
        """Ask for the gradient: a list of arrays, in the order of `leaves`."""
        self.need("gradient", "targets")
        returned = self.gradient(
            self.params if params is None else params,
            (self.xs if xs is None else xs).copy(),
            self.targets if targets is None else targets,
            self.state if state is ... else state,
        )
        leaves, structure = trees.flatten(returned)
        names, given = trees.names(structure), trees.flatten(self.params)[0]
        if [np.shape(leaf) for leaf in leaves] != [np.shape(leaf) for leaf in given]:
            raise ValueError(
                f"examine: gradient must return a pytree like params ({', '.join(self.names)}), got {', '.join(names)}."
            )
        return [_real(name, leaf) for name, leaf in zip(names, leaves, strict=True)]

    @property
    def leaves(self) -> list[np.ndarray]:
        """The parameters as arrays."""
        return [np.asarray(leaf) for leaf in trees.flatten(self.params)[0]]

    @property
    def names(self) -> list[str]:
        """The parameters' names."""
        return trees.names(trees.flatten(self.params)[1])

    def moved(self, direction: list[np.ndarray], step: float) -> Any:
        """Give the parameters θ + step · direction, each leaf in its own precision."""
        leaves, structure = trees.flatten(self.params)
        pairs = zip(leaves, direction, strict=True)
        return trees.unflatten(structure, [(np.asarray(p) + step * d).astype(np.asarray(p).dtype) for p, d in pairs])

    @property
    def precision(self) -> type:
        """The floating-point type of the parameters."""
        kinds = [leaf.dtype for leaf in self.leaves if leaf.dtype.kind == "f"]
        return np.float64 if kinds and all(kind == np.float64 for kind in kinds) else np.float32

    @property
    def step(self) -> float:
        """ε for central differences: about the cube root of the precision."""
        return 1e-5 if self.precision is np.float64 else 1e-2

    @property
    def blur(self) -> float:
        """What rounding may do to an output, relative to its size."""
        return 1e-9 if self.precision is np.float64 else 1e-4

    def other_inputs(self, rng: np.random.Generator) -> np.ndarray:
        """Give inputs of the same kind, size and spread, different at every step: other numbers, or other symbols."""
        if self.symbolic:
            symbols = np.unique(self.xs)
            if len(symbols) == 1:
                raise NeedsError("it would need inputs of more than one symbol")
            place = np.searchsorted(symbols, self.xs)
            return symbols[(place + rng.integers(1, len(symbols), self.xs.shape)) % len(symbols)].astype(self.xs.dtype)
        spread = float(self.xs.std()) or 1.0
        return (self.xs + spread * rng.standard_normal(self.xs.shape)).astype(self.xs.dtype)


def require_patient(patient: Patient) -> None:
    """Raise for what nothing can be asked of.

    Raises:
        TypeError: inputs that are no array, a run that can't be called.
        ValueError: inputs without time and batch, or empty; a mask of another shape.
    """
    if not callable(patient.run):
        hint = "Try lambda params, xs, state: (ys, state)."
        raise TypeError(f"examine: run must be a function, got {type(patient.run).__name__}. {hint}")
    require_array("examine", xs=patient.xs)
    wanted = "(T, B) of symbols" if patient.symbolic else "(T, B, D)"
    if patient.xs.ndim < 2 or (patient.xs.ndim < 3 and not patient.symbolic) or 0 in patient.xs.shape:
        raise ValueError(f"examine: xs must be {wanted}, time first, none of them 0, got {patient.xs.shape}.")
    if patient.mask is not None and np.shape(patient.mask) != patient.xs.shape[:2]:
        raise ValueError(f"examine: mask must be (T, B) = {patient.xs.shape[:2]}, got {np.shape(patient.mask)}.")


def _real(what, value):
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        hint = "Try clinic.adapters for a torch, flax or Keras net."
        raise TypeError(f"examine: {what} must be an array of numbers: {error} {hint}") from error
