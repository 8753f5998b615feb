"""How much one submission may take."""

from typing import NamedTuple


class Limits(NamedTuple):
    """How much one submission may take."""

    cell: float = 60.0  # seconds of a core that a cell may take; three times as many on the clock
    answer: float = 20.0  # seconds a call of an answer may take
    total: float = 600.0  # seconds in all, without judging
    memory: int = 2048  # MiB resident, of all its processes
    processes: int = 64
    output: int = 16  # MiB sent back in one reply
    files: int = 256  # MiB of temporary files


DEFAULT_LIMITS = Limits()
