"""Unrolled graphs: every number that an Elman net computes is a node, every use of it an edge, and a gradient is a sum over paths.

Plain Python over tuples, slow on purpose: what `bptt.backward` does in a few matrix products can be followed here edge by edge.

graph     a node for every number, an edge for every use, with its local derivative
layers    the same of whole arrays, for an Elman net or one with a cell
paths     the paths, their values and their number; the sweep that sums them
drawing   the graph on paper, in one call for every chapter
look      what is lit, swept, struck, thick, dimmed and written there
steps     one step of an Elman net, with its shapes
scans     a scan and its derivative
"""

from rnnlib.figures.diagrams.drawing import draw
from rnnlib.figures.diagrams.graph import Edge, Graph, Node, unrolled_graph
from rnnlib.figures.diagrams.layers import layers
from rnnlib.figures.diagrams.paths import arrows, count_paths, path_value, paths, total_derivatives
from rnnlib.figures.diagrams.scans import scan_and_derivative
from rnnlib.figures.diagrams.steps import elman_step

__all__ = [
    "Edge",
    "Graph",
    "Node",
    "arrows",
    "count_paths",
    "draw",
    "elman_step",
    "layers",
    "path_value",
    "paths",
    "scan_and_derivative",
    "total_derivatives",
    "unrolled_graph",
]
