"""What the kernel refuses in the box: calls that outlive it, reach into another process, or hold memory that nobody counts.

A filter is a program for the kernel's own small machine, classic BPF: it sees the number of a call, the machine's architecture and the
arguments, and answers allow or an error. `bwrap --seccomp FD` reads it.
"""

import errno
import platform
import struct

# x86_64, aarch64. A note in the kernel's keyrings would wait for the next student: without these three calls nobody writes or reads
# one, so that no session keyring of its own is needed.
REFUSED = {
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "userfaultfd": (323, 282),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "shmget": (29, 194),  # System V's memory, semaphores and queues outlive who made them
    "semget": (64, 190),
    "msgget": (68, 186),
    "memfd_create": (
        319,
        279,
    ),  # files that are memory, whose size nobody sees once they are closed and a page is mapped
    "memfd_secret": (447, 447),
    "sched_setaffinity": (203, 122),  # a worker keeps to its core
}
SOCKET, MMAP = (41, 198), (9, 222)
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above; AUDIT_ARCH_...
X32 = 0x40000000  # the same calls under other numbers
AF_UNIX, MAP_SHARED, MAP_ANONYMOUS = 1, 1, 0x20

LOAD, AND, EQUAL, AT_LEAST, RETURN = (
    0x20,
    0x54,
    0x15,
    0x35,
    0x06,
)  # BPF_LD|W|ABS, ALU|AND|K, JMP|JEQ|K, JMP|JGE|K, RET|K
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # where seccomp_data holds them; of an argument its lower half comes first
ALLOW, ERROR, KILL = 0x7FFF0000, 0x00050000, 0x80000000


def program(machine: str = "") -> bytes:
    """Assemble the filter.

    Args:
        machine: as `platform.machine` names it; this one's without.

    Returns:
        The instructions, 8 bytes each; none for a machine whose numbers are not known here.

    Example:
        >>> len(program("x86_64")) // 8, program("riscv64")
        (34, b'')

    Source: Linux, Documentation/userspace-api/seccomp_filter.rst; struct sock_filter in include/uapi/linux/filter.h.
    """
    if (machine or platform.machine()) not in ARCHITECTURES:
        return b""
    column, audited = ARCHITECTURES[machine or platform.machine()]
    ends = {"allow": ALLOW, "refuse": ERROR | errno.EPERM, "unreachable": ERROR | errno.ENETUNREACH, "kill": KILL}
    shared = MAP_SHARED | MAP_ANONYMOUS  # memory that has no file, and stays when its pages are given up
    checks = [
        (LOAD, ARCHITECTURE),
        (EQUAL, audited, "", "kill"),
        (LOAD, NUMBER),
        (AT_LEAST, X32, "refuse", ""),
        *((EQUAL, numbers[column], "refuse", "") for numbers in REFUSED.values()),
        (EQUAL, SOCKET[column], "its family", ""),
        (EQUAL, MMAP[column], "", "allow"),
        (LOAD, ARGUMENTS + 8 * 3),
        (AND, shared),
        (EQUAL, shared, "refuse", "allow"),
        (LOAD, ARGUMENTS),
        (EQUAL, AF_UNIX, "allow", "unreachable"),
    ]
    labels = {"its family": len(checks) - 2} | {name: len(checks) + i for i, name in enumerate(ends)}
    steps = [*checks, *((RETURN, end) for end in ends.values())]
    return b"".join(_assembled(at, labels, *step) for at, step in enumerate(steps))


def _assembled(at, labels, code, number, true="", false=""):
    """One instruction; a jump counts from the next."""
    jumps = [labels[label] - at - 1 if label else 0 for label in (true, false)]
    return struct.pack("=HBBI", code, *jumps, number)
