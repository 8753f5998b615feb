"""A recurrence without the wait: along time by associative scans, and across sequences by many devices.

One step after another, T steps have a depth of T. Maps s ↦ A s + b can be composed in any grouping, so a scan of them has a depth of
log₂ T, for more work. What is linear in the state is such a scan at once: a linear recurrence, and the backward pass of any cell, whose
errors are carried by Jacobians that the forward pass has fixed. What is not, the forward pass of tanh, is a few of them: Newton's method.

scan       linear recurrences, with resets inside
backward   backpropagation through time of any cell, as one scan
newton     the states of any cell: DEER, and quasi-DEER with a diagonal in place of the Jacobian
elk        the same with damping: each iteration is a Kalman smoother
devices    one gradient from many devices, or many processes
"""

from rnnlib.parallel.backward import Backward, parallel_backward
from rnnlib.parallel.devices import sharded_gradient
from rnnlib.parallel.elk import elk
from rnnlib.parallel.newton import Solved, deer, quasi_deer
from rnnlib.parallel.scan import linear_loop, linear_scan

__all__ = [
    "Backward",
    "Solved",
    "deer",
    "elk",
    "linear_loop",
    "linear_scan",
    "parallel_backward",
    "quasi_deer",
    "sharded_gradient",
]
