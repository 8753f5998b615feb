"""Real data to arrays. What reads a file says what was wrong with it; nothing is downloaded.

text          characters: a text, its alphabet, one-hot vectors, strips side by side
source        Python source with the class of each character
files         what a file is, and text as it was written
collections   tagged sentences, piano rolls, digits
"""

from rnnlib.datasets.collections import Digits, Sentence, digits, iob, piano_roll
from rnnlib.datasets.source import CLASSES, Code, line_starts, source_code, token_classes
from rnnlib.datasets.text import decode, encode, one_hot, streams, text

__all__ = [
    "CLASSES",
    "Code",
    "Digits",
    "Sentence",
    "decode",
    "digits",
    "encode",
    "iob",
    "line_starts",
    "one_hot",
    "piano_roll",
    "source_code",
    "streams",
    "text",
    "token_classes",
]
