"""Training: many steps of an optimiser in one compiled call, with a history, safe to interrupt.

`start` makes a learner: parameters, the optimiser's state, the carried state. A trainer is a compiled `along(learner, *data) ->
(learner, losses)`, many updates in a row: `updates` makes one from any loss, `stretch` from a truncation on a long stream. `train` calls
it on one stretch of data after another and writes the history. `accumulate` adds up gradients over batches of different shapes.

Three promises: an update that would make the loss or the parameters infinite or NaN is not taken, and training stops there; an
interrupt keeps all updates made so far; no second copy of the learner is held, because the new one is written over the old (it is
donated: go on with what comes back).

trainers       the learner, and what makes many updates of it
loop           `train`, its history, its interrupts
accumulation   one gradient from many batches
"""

from rnnlib.train.accumulation import accumulate
from rnnlib.train.loop import Row, Trained, interrupts_wait, train
from rnnlib.train.trainers import Learner, Trainer, start, stretch, updates

__all__ = [
    "Learner",
    "Row",
    "Trained",
    "Trainer",
    "accumulate",
    "interrupts_wait",
    "start",
    "stretch",
    "train",
    "updates",
]
