"""The clinic: what is wrong with a gradient, with the function that makes it, or with a training, anybody's, said by name.

catalogue      the mistakes that are known: what the code does, how it looks, why it happens, how to mend it
diagnosis      a gradient and the net it belongs to, to a verdict in words: the fewest mistakes that explain it
xray           a backward pass, shown what draws its own picture: which loss reaches which step, and by what slope and matrix
adapters       nets of torch, flax and Keras, and dicts of arrays, to parameters of `cells` and back
examination    a net that does not train, examined from outside: `examine`, and `influence`, which loss hears which step
"""

from rnnlib.clinic import adapters
from rnnlib.clinic.catalogue import CATALOGUE, Entry
from rnnlib.clinic.diagnosis import Diagnosis, diagnose, wrong_gradient
from rnnlib.clinic.examination import Examination, Finding, Influence, examine, influence
from rnnlib.clinic.xray import XRay, xray

__all__ = [
    "CATALOGUE",
    "Diagnosis",
    "Entry",
    "Examination",
    "Finding",
    "Influence",
    "XRay",
    "adapters",
    "diagnose",
    "examine",
    "influence",
    "wrong_gradient",
    "xray",
]
