"""The clinic: what is wrong with a gradient, anybody's, said by name.

catalogue      the mistakes that are known: what the code does, how it looks, why it happens, how to mend it
explanations   what each does to a gradient, and the search for the fewest that explain one
diagnosis      a gradient and the net it belongs to, to a verdict in words
"""

from rnnlib.clinic.catalogue import CATALOGUE, Mistake
from rnnlib.clinic.diagnosis import Diagnosis, diagnose, wrong_gradient
from rnnlib.clinic.examination import Examination, Finding, Influence, examine, influence

__all__ = [
    "CATALOGUE",
    "Diagnosis",
    "Examination",
    "Finding",
    "Influence",
    "Mistake",
    "diagnose",
    "examine",
    "influence",
    "wrong_gradient",
]
