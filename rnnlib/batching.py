"""Ragged sequences to arrays: padding and masks, buckets of few lengths, batches in a random order, and what all that wastes.

Under `jax.jit` a new shape is a new compilation. Padding all to the longest needs one shape and wastes steps; a shape for each length
wastes none and compiles for ever. Buckets are the middle: few lengths, each sequence padded to the next.
"""

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Int

from rnnlib.validation import require_array, require_size


class Waste(NamedTuple):
    """What a choice of buckets costs."""

    real: int  # steps of the sequences
    padded: int  # steps computed, those of empty rows included
    share: float  # of the computed steps, how many are for nothing: 1 − real / padded
    shapes: int  # compilations


def pad(sequences: Sequence[Any], length: int | None = None) -> tuple[Any, Bool[np.ndarray, "T B"]]:
    """Stack sequences of different lengths, zeros behind: the mask is 1 where there is a step, m_tb = [t < T_b].

    Args:
        sequences: B arrays (T_b, ...), alike but for their lengths.
        length: T, the length to pad to; None for the longest.

    Returns:
        `(padded, mask)`: (T, B, ...), time first, in a type that holds the numbers of all, and (T, B) of booleans.

    Raises:
        ValueError: no sequences, an empty one, one longer than `length`, shapes that disagree behind the first axis.
        TypeError: a sequence that is not an array, a length that is not whole.

    Example:
        >>> padded, mask = pad([np.array([1, 2, 3]), np.array([4])])
        >>> padded.T.tolist(), mask.T.astype(int).tolist()
        ([[1, 2, 3], [4, 0, 0]], [[1, 1, 1], [1, 0, 0]])

    Source: Goodfellow, Bengio, Courville (2016), Deep Learning, section 10.1.
    """
    lengths = _lengths("pad", sequences)
    length = int(lengths.max()) if length is None else length
    require_size("pad", "length", length, least=int(lengths.max()), hint="The longest sequence has to fit.")
    first = sequences[0]
    dtype = reduce(np.promote_types, {sequence.dtype for sequence in sequences})
    padded = np.zeros((length, len(sequences), *first.shape[1:]), dtype)
    for b, sequence in enumerate(sequences):
        if sequence.shape[1:] != first.shape[1:]:
            raise ValueError(
                f"pad: sequences[{b}] must be (T, {', '.join(map(str, first.shape[1:]))}) like sequences[0], got {sequence.shape}. "
                "Only the first axis, time, may differ."
            )
        padded[: len(sequence), b] = sequence
    return padded, np.arange(length)[:, None] < lengths


def buckets(lengths: Sequence[int] | Int[np.ndarray, " N"], count: int) -> tuple[int, ...]:
    """Choose the lengths to pad to so that least is wasted: argmin over e_1 < ... < e_count of Σ_n (min {e ≥ T_n} − T_n).

    Exact, by dynamic programming over the lengths that occur: the best buckets up to a length end in some last bucket, and what lies before
    it is best by itself. O(U² count) for U different lengths.

    Args:
        lengths: T_n of every sequence.
        count: how many buckets, at most; there are fewer where fewer lengths occur.

    Returns:
        The buckets' lengths, ascending; the last is that of the longest sequence.

    Raises:
        ValueError: no lengths, a length or count below 1.
        TypeError: a count that is not whole.

    Example:
        >>> buckets([3, 3, 4, 9, 10], 2)
        (4, 10)

    Source: Bellman (1961), On the approximation of curves by line segments using dynamic programming, Communications of the ACM 4.
    """
    require_size("buckets", "count", count)
    sizes, numbers = np.unique(np.asarray(lengths), return_counts=True)
    if not len(sizes) or sizes[0] < 1:
        raise ValueError(f"buckets: lengths must be 1 or more, got {sizes[0] if len(sizes) else 'none at all'}.")
    many, steps = (np.concatenate([[0], np.cumsum(a)]) for a in (numbers, numbers * sizes))
    U = len(sizes)
    # cost[i, j]: padding when the sizes i ... j are padded to size j
    cost = sizes * (many[1:] - many[:U, None]) - (steps[1:] - steps[:U, None])
    cost = np.where(np.arange(U)[:, None] <= np.arange(U), cost, np.inf)
    best, begins = cost[0], []  # best[j]: least padding of the sizes 0 ... j, with the buckets so far
    for _ in range(min(count, U) - 1):
        options = np.concatenate([[0], best[:-1]])[:, None] + cost  # [i, j]: the last bucket is i ... j
        begins.append(options.argmin(axis=0))
        best = options.min(axis=0)
    edges, j = [U - 1], U - 1
    for begin in reversed(begins):
        j = int(begin[j]) - 1
        if j < 0:
            break
        edges.append(j)
    return tuple(int(sizes[j]) for j in reversed(edges))


def waste(lengths: Sequence[int] | Int[np.ndarray, " N"], edges: Sequence[int], B: int = 1) -> Waste:
    """Count the steps that buckets compute for nothing: padding behind sequences, and empty rows in the last batch of each bucket.

    Args:
        lengths: T_n of every sequence.
        edges: the buckets' lengths, ascending.
        B: sequences in a batch.

    Returns:
        `Waste`.

    Raises:
        ValueError: a sequence longer than the last bucket, buckets that are not ascending, B below 1.
        TypeError: B that is not whole.

    Example:
        >>> waste([3, 3, 4, 9, 10], (4, 10))
        Waste(real=29, padded=32, share=0.09375, shapes=2)

    Source: the definition.
    """
    require_size("waste", "B", B)
    lengths = np.asarray(lengths)
    held = np.bincount(_bucket_of("waste", lengths, edges), minlength=len(edges))
    padded = int((-(-held // B) * B * np.asarray(edges)).sum())
    return Waste(int(lengths.sum()), padded, 1 - float(lengths.sum() / padded), int((held > 0).sum()))


def batches(columns: Sequence[Sequence[Any]], B: int, *, edges: Sequence[int], key: jax.Array) -> Iterator[tuple]:
    """Go once through ragged data in a random order: batches of B sequences of one bucket, padded to its length.

    Every batch has one of `len(edges)` shapes. Where a bucket runs out, the last batch is filled with empty rows, whose mask is all zeros.

    Args:
        columns: what belongs to each sequence, such as inputs and targets: lists of N arrays (T_n, ...), of the same lengths in each.
        B: sequences in a batch.
        edges: the buckets' lengths, ascending, as from `buckets`.
        key: of `jax.random`; the order is another for every key.

    Yields:
        A tuple of arrays (T, B, ...), one for each column, and the mask (T, B).

    Raises:
        ValueError: columns that disagree, an empty sequence, one longer than the last bucket.
        TypeError: a column that holds something else than arrays, a key that is none.

    Example:
        >>> xs = [np.full(n, n) for n in (3, 3, 4, 9, 10)]
        >>> sorted(padded.shape for padded, mask in batches([xs], 2, edges=(4, 10), key=jax.random.key(0)))
        [(4, 2), (4, 2), (10, 2)]

    Source: Khomenko et al. (2016), Accelerating recurrent neural network training using sequence bucketing, arXiv 1708.05604.
    """
    require_size("batches", "B", B)
    if not isinstance(key, jax.Array):
        raise TypeError(f"batches: key must be a JAX key, got {type(key).__name__}. Try jax.random.key(0).")
    lengths = _lengths("batches", columns[0])
    for other in columns[1:]:
        _agree("batches", lengths, other)
    where = _bucket_of("batches", lengths, edges)
    return _batches(columns, B, edges, where, np.random.default_rng(np.asarray(jax.random.key_data(key))))


def _batches(columns, B, edges, where, rng):
    order = rng.permutation(len(where))
    members = [order[where[order] == k] for k in range(len(edges))]
    chunks = [(k, rows[i : i + B]) for k, rows in enumerate(members) for i in range(0, len(rows), B)]
    for c in rng.permutation(len(chunks)):
        k, rows = chunks[c]
        arrays = [pad([column[n] for n in rows], edges[k]) for column in columns]
        empty = B - len(rows)
        filled = [
            np.pad(a, [(0, 0), (0, empty)] + [(0, 0)] * (a.ndim - 2)) for a in (*(a for a, _ in arrays), arrays[0][1])
        ]
        yield tuple(filled)


def _lengths(where, sequences):
    if len(sequences) == 0:
        raise ValueError(f"{where}: sequences must be one or more, got none.")
    for b, sequence in enumerate(sequences):
        require_array(where, **{f"sequences[{b}]": sequence})
        if sequence.ndim == 0 or len(sequence) == 0:
            raise ValueError(
                f"{where}: sequences[{b}] must have at least one step, got {sequence.shape}. Leave it out."
            )
    return np.array([len(sequence) for sequence in sequences])


def _agree(where, lengths, other):
    other = _lengths(where, other)
    if len(other) != len(lengths):
        raise ValueError(f"{where}: columns must hold the same sequences, got {len(lengths)} and {len(other)} of them.")
    if (other != lengths).any():
        n = int(np.argmax(other != lengths))
        raise ValueError(
            f"{where}: columns must agree in length, got {lengths[n]} and {other[n]} steps for sequence {n}. "
            "Is a target missing, or was one column shifted?"
        )


def _bucket_of(where, lengths, edges):
    if len(edges) == 0 or (np.diff(edges) <= 0).any():
        raise ValueError(f"{where}: edges must be ascending lengths, got {tuple(edges)}. Try buckets(lengths, 4).")
    if len(lengths) == 0:
        raise ValueError(f"{where}: lengths must be those of one sequence or more, got none.")
    if max(lengths) > edges[-1]:
        n = int(np.argmax(lengths))
        raise ValueError(
            f"{where}: sequence {n} has {lengths[n]} steps, more than the last bucket's {edges[-1]}. Cut it, or add a bucket."
        )
    return np.searchsorted(edges, lengths)
