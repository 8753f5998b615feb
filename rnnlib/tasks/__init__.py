"""Invented sequences, each made to need a long memory, and the criterion by which a paper calls it solved.

A task makes `Sequences`, ready for `losses`, from T, B and `rng`; it reads no file.

    sequences    what a task makes, and what counts as `missed`
    marked       one answer at the end, made of two marked inputs: adding, multiplication, xor
    symbols      one answer at the end, what was seen among symbols that don't matter: temporal_order, permutation, first_bit
    words        a word again after a pause: memorisation, copy
    balancing    nothing random: influence_balancing, and its network
"""

from rnnlib.tasks.balancing import influence_balancing, influence_loss, influence_step
from rnnlib.tasks.marked import adding, multiplication, xor
from rnnlib.tasks.sequences import Sequences, missed
from rnnlib.tasks.symbols import first_bit, permutation, temporal_order
from rnnlib.tasks.words import copy, memorisation

__all__ = [
    "Sequences",
    "adding",
    "copy",
    "first_bit",
    "influence_balancing",
    "influence_loss",
    "influence_step",
    "memorisation",
    "missed",
    "multiplication",
    "permutation",
    "temporal_order",
    "xor",
]
