"""Unrolled graphs: every number that an Elman net computes is a node, every use of it an edge, and a gradient is a sum over paths.

Plain Python over tuples, slow on purpose: what `bptt.backward` does in a few matrix products can be followed here edge by edge.

graph     nodes, edges and local derivatives; the paths, their values and their number
drawing   the graph on paper, some of its paths lit; a scan and its derivative
"""

from rnnlib.figures.diagrams.drawing import draw, scan_and_derivative
from rnnlib.figures.diagrams.graph import Edge, Graph, Node, count_paths, path_value, paths, unrolled_graph

__all__ = [
    "Edge",
    "Graph",
    "Node",
    "count_paths",
    "draw",
    "path_value",
    "paths",
    "scan_and_derivative",
    "unrolled_graph",
]
