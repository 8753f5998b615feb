"""Is this gradient right? Central differences as the judge, and a comparison that names the parameter that is wrong.

differences   a gradient from values of the loss alone; what a truncated gradient is the gradient of
comparison    two gradients, parameter by parameter
trees         nested parameters to a list of arrays and back
"""

from rnnlib.gradcheck.comparison import Comparison, Row, compare
from rnnlib.gradcheck.differences import finite_differences, frozen_prefix

__all__ = ["Comparison", "Row", "compare", "finite_differences", "frozen_prefix"]
