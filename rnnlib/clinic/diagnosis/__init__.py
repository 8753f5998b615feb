"""Which mistake made this gradient? Every gradient that at most two known causes can make is made, and compared with the one in question.

A cause acts in one of four places. The net may be *another* than the one given (views); the *error* may be bent on its way back, and then
every gradient that it feeds is off (flows: elman, gated); one of the *sums* over time and batch may be spoilt, and then only that parameter
is (sums); and something may be done to the whole gradient *afterwards* (afterwards). The fewest causes that explain all parameters win.

    verdict      the door: `diagnose`, `Diagnosis`, and `wrong_gradient`, which makes what it names
    net          a net with data and start, and what it costs to be right: the tolerance
    flows        the ways back, of any cell: what `elman` and `gated` have in common
    search       the fewest causes
    words        what is said
"""

from rnnlib.clinic.diagnosis.verdict import Diagnosis, diagnose, wrong_gradient

__all__ = ["Diagnosis", "diagnose", "wrong_gradient"]
