"""A backward pass that keeps few states and runs the steps between them again: what it holds, and what it costs."""

from itertools import pairwise

from rnnlib.figures.widgets.explorable import Explorable, script
from rnnlib.validation import require_size


class Checkpointing(Explorable):
    """A backward pass that keeps few states and runs the steps between them again: what it holds, and what it costs."""

    _esm = script("checkpointing")


def checkpointing(T: int = 400) -> Checkpointing:
    """Cut T steps into chunks, go back through them, and see which states are kept, what is run again, and the most that is held at once.

    Args:
        T: time steps, at most 1000; the chunks offered are its divisors.

    Returns:
        The explorable: for each chunk length, a `checkpoint_schedule` for each of three ways. The page adds up.

    Raises:
        ValueError: T outside 1 ... 1000.
        TypeError: T that is not whole.

    Example:
        >>> checkpointing(T=12).data["chunks"]
        [1, 2, 3, 4, 6, 12]

    Source: Griewank and Walther (2008), Evaluating Derivatives, chapter 12.
    """
    require_size("checkpointing", "T", T, most=1000)
    chunks = [chunk for chunk in range(1, T + 1) if T % chunk == 0]
    ways = {way: [checkpoint_schedule(T, chunk, way) for chunk in chunks] for way in _CUTS}
    alt = (
        "Above, the steps from 1 to T: diamonds for the states that are kept, a frame around the chunk in hand, an arrow over steps that "
        "are run again. Below, the most that is held at once, and the steps run, against the length of a chunk. Move the sliders."
    )
    return Checkpointing(data={"T": T, "chunks": chunks, "ways": ways}, alt=alt)


def checkpoint_schedule(T: int, chunk: int, way: str = "one level") -> dict[str, list[list[int]]]:
    """Plan a backward pass over T steps that works on one stretch of them at a time, from the last to the first.

    The forward pass keeps the states between the pieces it is cut into. Each stretch is then run again from the nearest state kept before
    it; where pieces are cut once more, this keeps further states.

    Args:
        T: time steps.
        chunk: the longest stretch to be worked on at once.
        way: "one level" cuts every `chunk` steps; "halving" cuts in the middle, and each half again; "keep everything" does not cut.

    Returns:
        `{"stretches": [[start, stop, since], ...], "kept": [[step, first, last], ...]}`. In order of work: each stretch holds steps
        start + 1 ... stop, for which the net was run again from the state after step `since`; since = stop where nothing was. Kept
        states, counted from 0 for h0, each with the first and the last stretch, by number, during which it has to be there.

    Raises:
        ValueError: a chunk outside 1 ... T, a way that is none of the three.
        TypeError: sizes that are not whole.

    Example:
        >>> checkpoint_schedule(T=6, chunk=3)
        {'stretches': [[3, 6, 3], [0, 3, 0]], 'kept': [[0, 0, 1], [3, 0, 0]]}

    Source: Chen, Xu, Zhang, Guestrin (2016), arXiv 1604.06174, section 4; Griewank and Walther (2008), chapter 12.
    """
    require_size("checkpoint_schedule", "T", T)
    require_size("checkpoint_schedule", "chunk", chunk, most=T, hint="T is a single chunk.")
    if way not in _CUTS:
        raise ValueError(f"checkpoint_schedule: way must be one of {list(_CUTS)}, got {way!r}.")
    stretches, kept = [], []

    def back(start, stop, since):  # since None: the forward pass has just been here
        pieces = list(pairwise([start, *_CUTS[way](start, stop, chunk), stop]))
        if len(pieces) == 1:
            stretches.append([start, stop, start if since is None else since])
            return
        first = len(stretches)
        for begin, end in reversed(pieces):
            back(begin, end, since if end == stop else begin)
            if begin > start:
                kept.append([begin, first, len(stretches) - 1])

    back(0, T, T if way == "keep everything" else None)
    return {"stretches": stretches, "kept": sorted([[0, 0, len(stretches) - 1], *kept])}


_CUTS = {
    "keep everything": lambda start, stop, chunk: [],
    "one level": lambda start, stop, chunk: range(start + chunk, stop, chunk),
    "halving": lambda start, stop, chunk: [(start + stop) // 2] if stop - start > chunk else [],
}
