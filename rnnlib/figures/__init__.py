"""How things are shown: figures with their lesson and alt text, diagrams, coloured source, programs read aloud, explorables.

`plt.style.use("rnnlib.figures.course")` is the course's style.

    plotting    a figure with its caption and alt text; signed matrices
    diagrams    the unrolled graph, its paths and their values, drawn in one call
    layout      where its nodes lie, for the static graph and the explorable
    highlight   Python source in colour
    jaxprs      the program that JAX traced, read in words
    xray        the triangle of squares of a backward pass: which loss reaches which step
    widgets     the explorables; their scripts are in js/
"""

from rnnlib.figures.plotting import heatmap, show

__all__ = ["heatmap", "show"]
