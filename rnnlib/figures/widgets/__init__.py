"""Explorables: figures that answer to the reader's hand.

Python computes once, in plain functions; JavaScript draws, and computes what has to follow the hand. Nothing is asked of the kernel
afterwards, so an explorable lives on in an exported page.
"""

from rnnlib.figures.widgets.array_shapes import ArrayShapes, array_counts, array_shapes
from rnnlib.figures.widgets.bucketing import Bucketing, bucketing
from rnnlib.figures.widgets.checkpointing import Checkpointing, checkpoint_schedule, checkpointing
from rnnlib.figures.widgets.deer_iterations import DeerIterations, deer_errors, deer_iterations
from rnnlib.figures.widgets.epsilon_error import EpsilonError, epsilon_error
from rnnlib.figures.widgets.error_flow import ErrorFlow, error_flow
from rnnlib.figures.widgets.explorable import Explorable
from rnnlib.figures.widgets.forget_gate import ForgetGate, forget_gate, half_life, kept_by_cells, kept_by_elman
from rnnlib.figures.widgets.gradient_lags import GradientLags, gradient_lags
from rnnlib.figures.widgets.online_bias import OnlineBias, online_bias
from rnnlib.figures.widgets.prediction import Prediction, Predictions, predict, predictions
from rnnlib.figures.widgets.truncation_window import (
    TruncationWindow,
    living_from,
    misled_neuron,
    path_values,
    truncation_window,
)
from rnnlib.figures.widgets.unrolled_graph import UnrolledGraph, unrolled_graph
from rnnlib.figures.widgets.valley import Valley, conjugate_path, descent_factor, descent_path, lowest_point, valley
from rnnlib.figures.widgets.xrays import XRays, xrays

__all__ = [
    "ArrayShapes",
    "Bucketing",
    "Checkpointing",
    "DeerIterations",
    "EpsilonError",
    "ErrorFlow",
    "Explorable",
    "ForgetGate",
    "GradientLags",
    "OnlineBias",
    "Prediction",
    "Predictions",
    "TruncationWindow",
    "UnrolledGraph",
    "Valley",
    "XRays",
    "array_counts",
    "array_shapes",
    "bucketing",
    "checkpoint_schedule",
    "checkpointing",
    "conjugate_path",
    "deer_errors",
    "deer_iterations",
    "descent_factor",
    "descent_path",
    "epsilon_error",
    "error_flow",
    "forget_gate",
    "gradient_lags",
    "half_life",
    "kept_by_cells",
    "kept_by_elman",
    "living_from",
    "lowest_point",
    "misled_neuron",
    "online_bias",
    "path_values",
    "predict",
    "predictions",
    "truncation_window",
    "unrolled_graph",
    "valley",
    "xrays",
]
