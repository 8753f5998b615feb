"""Is this gradient right? Differences as the judge, and a comparison that names the parameter that is wrong. NumPy alone.

differences   the gradient by central differences, along random directions, by complex steps
judge         whether differences can judge a loss: float64 throughout, the same at two calls, no kink
frozen        the function that a truncated gradient is the gradient of
comparison    two gradients held against each other, parameter by parameter
trees         parameters of any nesting, taken apart and put together
"""

from rnnlib.gradcheck.comparison import Comparison, Row, compare
from rnnlib.gradcheck.differences import complex_step, directional_check, finite_differences
from rnnlib.gradcheck.frozen import frozen_prefix

__all__ = [
    "Comparison",
    "Row",
    "compare",
    "complex_step",
    "directional_check",
    "finite_differences",
    "frozen_prefix",
]
