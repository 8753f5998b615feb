"""What was measured, kept as records in stored/ and written out as RESULTS.md: `make results`.

records     what a record is, where it is measured into and where it is kept
markdown    tables, sources and quotations as text
checks      gradients, mistakes, graded submissions, explorables, chapters: what `make test` and the exactness part of `make bench` found
speed       time and memory beside other libraries: `make bench`
learning    truncation, text, real tasks, Hessian-free training: `make experiments` and what the chapters print
"""

from tests.results import checks, learning, speed

TITLE = """# What was measured

Written by `make results` from records in the repository; no figure here is typed by hand. Each table names the command that
measures it again, and the machine and the seeds where its record holds them. `make results KEEP="tests bench"` first keeps what the
last `make test` and `make bench` measured. Times and memory depend on the machine; what else the course says of a result is asserted
there, or in the tests.
"""


def page() -> str:
    """Write RESULTS.md, from what is stored."""
    parts = [
        checks.gradients(),
        speed.steps(),
        speed.products(),
        speed.memory(),
        speed.compilation(),
        learning.truncation(),
        learning.text(),
        learning.tasks(),
        learning.gates(),
        learning.hessian_free(),
        checks.coursework(),
        checks.explorables(),
        checks.chapters(),
    ]
    return "\n".join([TITLE, *parts])
