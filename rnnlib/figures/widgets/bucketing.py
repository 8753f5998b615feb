"""Real lengths in buckets: what is computed for nothing, and how many shapes are compiled."""

from collections.abc import Sequence

import numpy as np

from rnnlib import batching
from rnnlib.figures.widgets.explorable import Explorable, script


class Bucketing(Explorable):
    """Real lengths in buckets: what is computed for nothing, and how many shapes are compiled."""

    _esm = script("bucketing")


def bucketing(lengths: Sequence[int] | np.ndarray) -> Bucketing:
    """Choose the number of buckets and the rows of a batch, and see what is padded, what rows stay empty, and how many shapes there are.

    Args:
        lengths: the steps of every sequence.

    Returns:
        The explorable: for 1 to 16 buckets their lengths and how many sequences each holds, and the waste for batches of 1 to 256 rows,
        all of it from `rnnlib.batching`. The page draws.

    Raises:
        ValueError: no lengths, or one below 1.

    Example:
        >>> [choice["edges"] for choice in bucketing([3, 3, 4, 9, 10]).data["choices"]]
        [[10], [4, 10], [3, 4, 10], [3, 4, 9, 10]]

    Source: Khomenko et al. (2016), Accelerating recurrent neural network training using sequence bucketing, arXiv 1708.05604.
    """
    rows = [2**k for k in range(9)]
    most = min(16, len(np.unique(np.asarray(lengths)))) or 1  # no lengths at all: let `buckets` say so
    edges = [batching.buckets(lengths, count) for count in range(1, most + 1)]
    data = {
        "counts": np.bincount(lengths).tolist(),
        "rows": rows,
        "choices": [
            {
                "edges": list(each),
                "held": np.bincount(np.searchsorted(each, lengths)).tolist(),
                "waste": [batching.waste(lengths, each, B)._asdict() for B in rows],
            }
            for each in edges
        ],
    }
    alt = (
        "Left, a histogram of lengths with the buckets' edges; middle, the sequences sorted by length under the staircase that they are "
        "padded to, with empty rows; right, the share of wasted steps against the number of buckets. Move buckets and rows."
    )
    return Bucketing(data=data, alt=alt)
