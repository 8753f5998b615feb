"""Problem sets: what they ask, how an answer is judged, and how a class is graded.

questions      a Question: inputs drawn from a seed, the right answer, the mistakes it can name; `check`
answers        what a learner's function returned, or how it failed
verdicts       an answer held against the right one, array by array, in words
problem_sets   the Questions of ps1 to ps6
handout        a problem set as learners get it, without its solutions
grading        nbgrader's course, each submission judged from outside a sandbox
"""
