"""What a solver leaves along each axis: the polynomial of conjugate gradients on a spectrum, beside that of gradient descent."""

import numpy as np

from rnnlib.figures.widgets.explorable import Explorable, script
from rnnlib.validation import require_size

AXES, STEPS = 24, 8


class Polynomial(Explorable):
    """What a solver leaves along each axis: the polynomial of conjugate gradients on a spectrum, beside that of gradient descent."""

    _esm = script("polynomial")


def polynomial() -> Polynomial:
    """Choose a spectrum, its condition κ and the steps, and see how conjugate gradients bend a polynomial through it.

    After i steps the residual along an axis of curvature c is P(c) times what it was, with P(0) = 1 and degree i. Gradient descent's
    best is (1 − 2c / (a + b))^i, with a and b the largest and smallest curvature; that of conjugate gradients is ∏ (1 − c / zero).

    Returns:
        The explorable. For each spectrum of 24 curvatures and each κ the `polynomial_zeros` of up to 8 steps are embedded; the page
        multiplies them out.

    Example:
        >>> [len(zeros) for zeros in polynomial().data["zeros"]["three clusters"][0]][:4]
        [0, 1, 2, 3]

    Source: Nocedal and Wright (2006), Numerical Optimization, section 5.1, "Rate of convergence".
    """
    conditions = [3, 10, 30, 100, 1000]
    curvatures = {name: [spectrum(name, condition) for condition in conditions] for name in SPECTRA}
    data = {
        "conditions": conditions,
        "curvatures": {name: [_six_digits(each) for each in row] for name, row in curvatures.items()},
        "zeros": {
            name: [[_six_digits(polynomial_zeros(each, steps)) for steps in range(STEPS + 1)] for each in row]
            for name, row in curvatures.items()
        },
    }
    alt = (
        "Left, a polynomial that is one at curvature zero, a dot on it at each of 24 curvatures: what conjugate gradients leave there; "
        "gradient descent's beside it. Right, what is left of the fall by steps, for both. Choose a spectrum; move κ and the steps."
    )
    return Polynomial(data=data, alt=alt)


SPECTRA = ("spread evenly", "three clusters", "a few steep", "evenly in powers")


def spectrum(name: str, condition: float) -> np.ndarray:
    """Lay 24 curvatures between 1/κ and 1, both included.

    Args:
        name: one of `SPECTRA`; "a few steep": 21 in the lowest part, three steep ones far above them.
        condition: κ, above 1.

    Returns:
        (24,), rising.

    Raises:
        ValueError: another name.

    Example:
        >>> spectrum("spread evenly", 10.0)[[0, -1]].tolist()
        [0.1, 1.0]
    """
    low, near = 1 / condition, np.linspace(-0.02, 0.02, AXES // 3)
    middle = (1 + low) / 2
    spectra = {
        "spread evenly": np.linspace(low, 1, AXES),
        "three clusters": np.concatenate([low * (1 + near - near[0]), middle + near * (1 - low), 1 + near - near[-1]]),
        "a few steep": np.concatenate([np.linspace(low, low + 0.15 * (1 - low), AXES - 3), low + (1 - low) * np.array([0.55, 0.8, 1])]),
        "evenly in powers": np.geomspace(low, 1, AXES),
    }  # fmt: skip
    if name not in spectra:
        raise ValueError(f"spectrum: name must be one of {', '.join(SPECTRA)}, got {name!r}.")
    return spectra[name]


def polynomial_zeros(curvatures: np.ndarray, steps: int, b: np.ndarray | None = None) -> np.ndarray:
    """Return the zeros of conjugate gradients' polynomial: after i steps the residual along an axis of curvature c is ∏ (1 − c / zero) b.

    They are the eigenvalues of A within the space of b, A b, ... A^(i−1) b (Ritz values), found by Lanczos' process.

    Args:
        curvatures: (N,), the eigenvalues of A, above zero.
        steps: i; where fewer solve the system, there are fewer zeros.
        b: (N,), the right-hand side along the axes; None for the same along each.

    Returns:
        At most i zeros, rising, between the smallest and the largest curvature.

    Raises:
        ValueError: a negative number of steps.

    Example:
        >>> [polynomial_zeros(np.array([1.0, 3.0]), steps).round(6).tolist() for steps in (1, 2)]
        [[2.0], [1.0, 3.0]]

    Source: Golub and Van Loan (2013), Matrix Computations, sections 10.1 and 11.3.
    """
    require_size("polynomial_zeros", "steps", steps, least=0)
    b = np.ones(len(curvatures)) if b is None else b
    Q, alphas, betas = [b / np.linalg.norm(b)], [], []
    for _ in range(min(steps, len(curvatures))):
        w = curvatures * Q[-1]
        alphas.append(w @ Q[-1])
        for q in (*Q, *Q):  # twice: rounding is left nothing
            w = w - (q @ w) * q
        betas.append(np.linalg.norm(w))
        if betas[-1] < 1e-10 * curvatures.max():  # nothing new: the space is used up
            break
        Q.append(w / betas[-1])
    inner = betas[: len(alphas) - 1]
    return np.linalg.eigvalsh(np.diag(alphas) + np.diag(inner, 1) + np.diag(inner, -1)) if alphas else np.zeros(0)


def _six_digits(values):
    """As JSON takes them, and short: significant digits, for the smallest curvatures count most."""
    return [float(f"{value:.6g}") for value in values]
