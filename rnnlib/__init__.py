"""The shared package of a course on backpropagation through time.

Every array is time-major. The letters of the axes, used in all signatures and comments:

    T   time steps            B   sequences in a batch
    D   inputs a step         H   hidden units            K   outputs a step

and the network that most of the course is about, the Elman net, is

    h_t = tanh(x_t W_xh + h_{t-1} W_hh + b_h)        y_t = h_t W_hy + b_y        t = 1 ... T

Each module is one noun: `from rnnlib import bptt, cells, losses`.
"""

__version__ = "0.1.0"
