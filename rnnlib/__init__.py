"""The shared package of a course on backpropagation through time.

Every array is time-major. The letters of the axes, used in all signatures and comments:

    T   time steps            B   sequences in a batch
    D   inputs a step         H   hidden units            K   outputs a step

and the network that most of the course is about, the Elman net, is

    h_t = tanh(x_t W_xh + h_{t-1} W_hh + b_h)        y_t = h_t W_hy + b_y        t = 1 ... T

Each room is one noun, a module or a small folder: `from rnnlib import bptt, cells, losses`.

    by hand, NumPy alone    bptt  losses  gradcheck
    a net and its data      cells  starts  tasks  datasets  batching
    along time, in JAX      unroll  truncation  dynamics  online
    at once, not in turn    parallel
    training                train  checkpoints
    second order            curvature  cg  quadratic  hessian_free
    for all of them         validation

That is the core. Beside it, and never imported by it: `figures`, how things are shown; `clinic`, what is wrong with a gradient or a
training, anybody's; `coursework`, problem sets and grading. Where to put a new line is in CONTRIBUTING.md; tests/test_rooms.py holds who
may import whom.
"""

__version__ = "0.1.0"

from rnnlib import _threads

_threads.settle()
