"""Cells that people run in place of the one they mean: other activations, an LSTM without its last tanh, a GRU the other way round."""

import numpy as np

from rnnlib.cells import ElmanParams, GRUParams, LSTMParams


class Logistic(ElmanParams):
    """h' = σ(p)."""

    slope = "h (1 − h)"  # what belongs in the place of 1 − h²

    @staticmethod
    def advance(p, h):
        """Take the step."""
        return 1 / (1 + np.exp(-p)), None

    @staticmethod
    def tangent(d_p, d_h, h, new_h, kept):
        """Return its derivative."""
        return new_h * (1 - new_h) * d_p


class Rectified(ElmanParams):
    """h' = max(p, 0)."""

    slope = "1 if h > 0, else 0"  # what belongs in the place of 1 − h²

    @staticmethod
    def advance(p, h):
        """Take the step."""
        return np.maximum(p, 0), None

    @staticmethod
    def tangent(d_p, d_h, h, new_h, kept):
        """Return its derivative."""
        return (new_h > 0) * d_p


class Linear(ElmanParams):
    """h' = p."""

    slope = "1 (no slope)"  # what belongs in the place of 1 − h²

    @staticmethod
    def advance(p, h):
        """Take the step."""
        return p, None

    @staticmethod
    def tangent(d_p, d_h, h, new_h, kept):
        """Return its derivative."""
        return d_p


class Bare(LSTMParams):
    """h' = o ⊙ c', without tanh."""

    @staticmethod
    def advance(p, state):
        """Take the step."""
        new, kept = LSTMParams.advance(p, state)
        return new._replace(h=kept[3] * new.c), kept

    @staticmethod
    def tangent(d_p, d_state, state, new_state, kept):
        """Return its derivative."""
        d_c = LSTMParams.tangent(d_p, d_state, state, new_state, kept).c
        d_o = np.split(d_p, 4, axis=-1)[3]
        return d_state._replace(h=kept[3] * d_c + new_state.c * kept[3] * (1 - kept[3]) * d_o, c=d_c)


class Turned(GRUParams):
    """h' = z ⊙ n + (1 − z) ⊙ h."""

    @staticmethod
    def advance(p, h):
        """Take the step."""
        return GRUParams.advance(_turned(p), h)

    @staticmethod
    def tangent(d_p, d_h, h, new_h, kept):
        """Return its derivative."""
        return GRUParams.tangent(_turned(d_p), d_h, h, new_h, kept)


def _turned(p):
    r, z, *rest = np.split(p, 4, axis=-1)
    return np.concatenate([r, -z, *rest], axis=-1)


ACTIVATIONS = {"logistic": Logistic, "rectified": Rectified, "linear": Linear}
