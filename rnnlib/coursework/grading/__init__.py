"""Grading where no cheat can reach: a learner's code runs in a sandbox and sees inputs alone; judging happens outside, on plain arrays.

    wire          values to bytes and back, without pickle
    worker        the process that holds the learner's code: runs cells, calls functions, trusted with nothing
    box           the command line of bubblewrap, and the kernel's own limits
    seccomp       the calls that the kernel refuses in the box
    cgroup        a control group for each submission, where systemd gives one
    watch         what a worker's processes take, and which core is theirs
    sandbox       starts a worker in the box, asks it, and stops it when it takes too long or too much
    grader        a submission's cells and Questions, in order, to outputs and verdicts
    submission    what is taken from a submitted notebook: answers and added cells, nothing else
    preprocessors where nbgrader's own steps are replaced by ours
    editions      which programs a grade depends on
    seed, records the secret that draws the inputs; the gradings that are done
    nbgrader_api  nbgrader, as this course uses it
    course        what is handed in; release and grade, for one or all problem sets
    remarks       what an instructor should look at
    pages, export feedback for each student; grades as tables
    platforms     to and from a learning platform

`python -m rnnlib.coursework.grading --help` lists the commands; `make release`, `make grade`, `make feedback` and `make grades` call them.
"""
