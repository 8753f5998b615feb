"""Grading where no cheat can reach: a learner's code runs in a sandbox and sees inputs alone; judging happens outside, on plain arrays.

    wire          values to bytes and back, without pickle
    pupil         the process that holds the learner's code: runs cells, calls functions, trusted with nothing
    sandbox       starts a pupil, asks it, and stops it when it takes too long or too much
    grader        a submission's cells and Questions, in order, to outputs and verdicts
    submission    what is taken from a submitted notebook: answers and added cells, nothing else
    preprocessors where nbgrader's own steps are replaced by the two of ours
    seed, records the secret that draws the inputs; the gradings that are done
    course        folders; release, grade, feedback and grades, for one or all problem sets

`python -m rnnlib.grading --help` lists the commands; `make release`, `make grade`, `make feedback` and `make grades` call them.
"""
