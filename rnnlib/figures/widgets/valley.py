"""A quadratic valley: gradient descent against conjugate gradients, and where damping moves their goal."""

import numpy as np

from rnnlib.figures.widgets.explorable import Explorable, script


class Valley(Explorable):
    """A quadratic valley: gradient descent against conjugate gradients, and where damping moves their goal."""

    _esm = script("valley")


def valley() -> Valley:
    """Choose the condition κ of a valley, the damping λ and the iterations, and see how far each method has come.

    Both minimise ½ θᵀ A θ + ½ λ ‖θ − start‖² from the start, where A = diag(1, 1/κ), drawn at an angle.

    Returns:
        The explorable. For each κ (1 to 300) and λ (0 to 10) are embedded the `lowest_point`, the first two steps of `conjugate_path`, and
        `descent_factor`; the page raises that to the power of the iterations, which is `descent_path`.

    Example:
        >>> valley().data["factors"][0][0]  # a round bowl without damping: one step is enough
        0.0

    Source: Shewchuk (1994), An introduction to the conjugate gradient method without the agonizing pain, sections 6 to 8.
    """
    start = np.array([1.5, 4.0])  # along the steep axis, along the flat one
    conditions = [1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0, 70.0, 100.0, 150.0, 200.0, 300.0]
    dampings = [0.0, *(round(digit * 10.0**power, 4) for power in range(-4, 1) for digit in (1, 2, 5)), 10.0]
    pairs = [[(np.diag([1.0, 1 / condition]), damping) for damping in dampings] for condition in conditions]
    data = {
        "start": start.tolist(),
        "angle": 25,
        "conditions": conditions,
        "dampings": dampings,
        "lowest": [[lowest_point(A, start, damping).round(7).tolist() for A, damping in row] for row in pairs],
        "conjugate": [
            [conjugate_path(A, start, damping, 2)[1:].round(7).tolist() for A, damping in row] for row in pairs
        ],
        "factors": [[descent_factor(A, damping) for A, damping in row] for row in pairs],
    }
    alt = (
        "Left, the contours of a valley with two paths from one start: gradient descent's zigzag, and conjugate gradients' two straight "
        "steps; a dotted curve of where damping moves their goal. Right, their distances to it by iteration. Move κ, λ and iterations."
    )
    return Valley(data=data, alt=alt)


def lowest_point(A: np.ndarray, start: np.ndarray, damping: float = 0.0) -> np.ndarray:
    """Minimise ½ θᵀ A θ + ½ λ ‖θ − start‖²: θ = λ (A + λI)⁻¹ start, from the minimum at λ = 0 to the start at λ = ∞.

    Args:
        A: (N, N), symmetric positive definite.
        start: (N,), where the damping holds on to.
        damping: λ, 0 or more.

    Returns:
        (N,), the lowest point.

    Example:
        >>> lowest_point(np.diag([1.0, 0.25]), np.array([1.0, 1.0]), 0.25).tolist()
        [0.2, 0.5]

    Source: Nocedal and Wright (2006), Numerical Optimization, section 10.3.
    """
    return damping * np.linalg.solve(A + damping * np.eye(len(start)), start)


def descent_factor(A: np.ndarray, damping: float = 0.0) -> float:
    """Return what gradient descent's best rate leaves of the distance at each step: (κ' − 1) / (κ' + 1), κ' the condition of A + λI.

    Args:
        A: (N, N), symmetric positive definite.
        damping: λ, 0 or more.

    Returns:
        The factor, from 0 for a round bowl to almost 1.

    Example:
        >>> round(descent_factor(np.diag([1.0, 0.01])), 4)  # κ = 100
        0.9802

    Source: derived in chapter 12; compare Nocedal and Wright (2006), section 3.3, for exact line search.
    """
    low, high = np.linalg.eigvalsh(A)[[0, -1]]
    return float((high - low) / (high + low + 2 * damping))


def descent_path(A: np.ndarray, start: np.ndarray, damping: float = 0.0, steps: int = 100) -> np.ndarray:
    """Go down ½ θᵀ A θ + ½ λ ‖θ − start‖² by gradient descent at its best constant rate, 2 / (largest + smallest eigenvalue of A + λI).

    Args:
        A: (N, N), symmetric positive definite.
        start: (N,), where it begins.
        damping: λ, 0 or more.
        steps: how many.

    Returns:
        (steps + 1, N), the start included.

    Example:
        >>> descent_path(np.diag([3.0, 1.0]), np.array([1.0, 1.0]), steps=2).tolist()
        [[1.0, 1.0], [-0.5, 0.5], [0.25, 0.25]]

    Source: derived in chapter 12; compare Nocedal and Wright (2006), section 3.3, for exact line search.
    """
    low, high = np.linalg.eigvalsh(A)[[0, -1]]
    rate, path = 2 / (low + high + 2 * damping), [np.asarray(start, float)]
    for _ in range(steps):
        path.append(path[-1] - rate * (A @ path[-1] + damping * (path[-1] - start)))
    return np.array(path)


def conjugate_path(A: np.ndarray, start: np.ndarray, damping: float = 0.0, steps: int = 2) -> np.ndarray:
    """Go down ½ θᵀ A θ + ½ λ ‖θ − start‖² by conjugate gradients.

    Args:
        A: (N, N), symmetric positive definite.
        start: (N,), where it begins.
        damping: λ, 0 or more.
        steps: how many; it stays where it is once it has arrived.

    Returns:
        (steps + 1, N), the start included.

    Example:
        >>> conjugate_path(np.diag([3.0, 1.0]), np.array([1.0, 1.0])).round(6).tolist()[-1]
        [0.0, 0.0]

    Source: Nocedal and Wright (2006), algorithm 5.2.
    """
    damped, path = A + damping * np.eye(len(start)), [np.asarray(start, float)]
    residual = direction = -A @ start
    enough = 1e-24 * (residual @ residual)
    for _ in range(steps):
        if residual @ residual <= enough:  # arrived: the rest is rounding
            path.append(path[-1])
            continue
        pushed, before = damped @ direction, residual @ residual
        length = before / (direction @ pushed)
        path.append(path[-1] + length * direction)
        residual = residual - length * pushed
        direction = residual + residual @ residual / before * direction
    return np.array(path)
