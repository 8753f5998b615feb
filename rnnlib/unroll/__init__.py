"""Run any cell along a sequence, in JAX: by a Python loop, by `lax.scan`, and with memory for about √T states.

`unroll_loop` is the obvious loop. `unroll_scan` computes the same and leaves in the loop only what has to wait for the state before
it. A step has parts (`rnnlib.cells`): drive(x), what the input says; recur(s), what the state says; advance, the new state from their
sum p_t = drive(x_t) + recur(s_{t-1}); readout. Drive and readout are done for all T · B rows at once, before and after the loop.

scan           the loop, the scan, and the scan with all its states
checkpointed   keeps the state of each chunk only, and runs the chunk again on the way back
recurrence     the scan itself, and its derivative, written down once
checks         what all of them ask of their arguments
"""

from rnnlib.unroll.checkpointed import loss_checkpointed, unroll_checkpointed
from rnnlib.unroll.scan import unroll_loop, unroll_scan, unroll_states

__all__ = ["loss_checkpointed", "unroll_checkpointed", "unroll_loop", "unroll_scan", "unroll_states"]
