"""Grading where no cheat can reach: a learner's code runs in a sandbox and sees inputs alone; judging happens outside, on plain arrays.

    wire          values to bytes and back, without pickle
    worker        the process that holds the learner's code: runs cells, calls functions, trusted with nothing
    box           the command line of bubblewrap, and the kernel's own limits
    sandbox       starts a worker in the box, asks it, and stops it when it takes too long or too much
    grader        a submission's cells and Questions, in order, to outputs and verdicts
    submission    what is taken from a submitted notebook: answers and added cells, nothing else
    preprocessors where nbgrader's own steps are replaced by the two of ours
    seed, records the secret that draws the inputs; the gradings that are done
    nbgrader_api  nbgrader, as this course uses it
    course        what is handed in; release, grade, feedback and grades, for one or all problem sets

`python -m rnnlib.coursework.grading --help` lists the commands; `make release`, `make grade`, `make feedback` and `make grades` call them.
"""
