"""The clinic: what is wrong with a gradient, or with the function that makes it, anybody's, said by name.

catalogue      the mistakes that are known: what the code does, how it looks, why it happens, how to mend it
explanations   what each does to a gradient, and the search for the fewest that explain one
diagnosis      a gradient and the net it belongs to, to a verdict in words
xray           a backward pass, shown what draws its own picture: which loss reaches which step, and by what slope and matrix
"""

from rnnlib.clinic.catalogue import CATALOGUE, Mistake
from rnnlib.clinic.diagnosis import Diagnosis, diagnose, wrong_gradient
from rnnlib.clinic.xray import XRay, xray

__all__ = ["CATALOGUE", "Diagnosis", "Mistake", "XRay", "diagnose", "wrong_gradient", "xray"]
