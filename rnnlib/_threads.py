"""NumPy's matrix products take one thread in a notebook of the course.

A small product is over before a second thread has woken up, and on busy cores the two wait for each other: chapter 03 trains in 19 s with
one thread and in 18 s with two while both cores are idle; while they are busy, as Binder's often are, in 21 s and in over 170.

`import rnnlib` calls `settle`, because every chapter imports rnnlib, whichever way it was opened. It acts in a notebook's kernel, for all
that runs there, and nowhere else: a script that imports rnnlib keeps its threads. Whoever has said how many is left alone: one of
`CHOICES` in the environment of the kernel wins, as in `OPENBLAS_NUM_THREADS=2 make lab`.
"""

import os
import sys

CHOICES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def settle() -> None:
    """In a notebook's kernel, one BLAS thread, unless the environment says how many."""
    if in_kernel() and not any(name in os.environ for name in CHOICES):
        one_blas_thread()


def in_kernel() -> bool:
    """Whether this process is a notebook's kernel. Finding out imports nothing."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return get_ipython is not None and hasattr(get_ipython(), "kernel")


def one_blas_thread() -> None:
    """From now on the matrix products of NumPy and SciPy take one thread.

    Example:
        >>> from threadpoolctl import threadpool_info
        >>> one_blas_thread()
        >>> {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
        {1}

    Source: threadpoolctl's README, "Setting the Maximum Size of Thread-Pools".
    """
    import numpy  # noqa: F401 - its BLAS must be there before it can be told
    from threadpoolctl import threadpool_limits

    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # for a BLAS that is loaded later, such as SciPy's
    threadpool_limits(1, user_api="blas")
