"""The X-ray of a backward pass: shown inputs that draw what it does, loss by loss and step by step.

With one-hot inputs, one symbol for each step and sequence (D = T B), row (s, b) of dW_xh *is* the error of step s in sequence b; with one
loss at a time it is that loss's. So any backward pass draws its own triangle of squares, and what stands between them can be read off.

    reading      the X-ray itself: `xray` and `XRay`
    reference    the right backward pass of any cell, to compare with
    probe        the net and data that a pass is shown, and how it is asked
    behaviour    is it linear, repeatable, harmless?
    forward      which net it runs: start, resets, the order of gates; variants of the cells
    identify     what it does, put together from
    squares        the triangle, and the shape of what is missing
    parts          the search for the fewest wrong parts
    elman          slope and matrix of an Elman net
    gates          the derivatives of an LSTM's and a GRU's gates (formulas), and what they carry
    sums           how steps, sequences and losses are added up
    words, show  what is said, and how it looks
"""

from rnnlib.clinic.xray.reading import XRay, xray

__all__ = ["XRay", "xray"]
