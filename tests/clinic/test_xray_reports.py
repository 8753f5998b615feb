"""Backward passes that people published or asked about, re-created: the X-ray says of each what its readers found."""

from functools import partial

import numpy as np
import pytest

from rnnlib import bptt
from rnnlib.cells import LSTMState
from rnnlib.clinic.xray import forward, reference
from tests.clinic import passes
from tests.clinic.passes import clipped, elman, gru, lstm, put, right, shown


def gate_errors(v):
    return {"f": v.df, "i": v.di, "g": v.dg, "o": v.do}


def one_gate_alone(v, letter):
    columns = np.split(v.p.W_hh, 4, axis=1)["ifgo".index(letter)]
    return gate_errors(v)[letter] @ columns.T


def biases_of_the_forget_gate(p, xs, d_ys):
    g = lstm()(p, xs, d_ys)
    _, f, c, _ = np.split(g.b_h, 4)
    return g._replace(b_h=np.concatenate([f, f, c, f]))


def bare(p, xs, d_ys):
    """An LSTM whose h is o c, differentiated rightly."""
    g = reference.gradients(forward.variants.Bare(*p), xs, d_ys[None])
    h0 = LSTMState(g["h0.h"][0], g["h0.c"][0])
    return type(p)(*(g[name][0] for name in p._fields[:-1]), h0)


def gate_slope(letter, change):
    """σ' of one gate alone replaced."""
    return put(slope=lambda v: lambda s: change(s) if s is getattr(v, letter) else s * (1 - s))


ELMAN_REPORTS = {
    # Stack Overflow, December 2014: d_hs[t] @ W_hh.T is read before it is written
    "an error that is not there yet": (elman(cut=lambda t, T: True), "No error is carried from step to step"),
    # oreilly-japan/deep-learning-from-scratch-2, issue 26
    "1 / (1 - h_next ** 2)": (elman(slope=lambda h: 1 / (1 - h**2)), "The slope is 1 / (1 − h²) where 1 − h² belongs."),
    # qixianbiao/RNN, issue 2: h's gradient is not handed on
    "dh not handed on": (elman(back=lambda p: 0 * p.W_hh), "No error is carried from step to step"),
    # VikParuchuri/zero_to_gpt, issue 9: hiddens[1] again at t = 1
    "hiddens[1] at the first step": (
        elman(previous=lambda hs: np.concatenate([hs[1:2], hs[1:-1]])),
        "W_hh pairs the first step's error with h_1 where h_0 belongs.",
    ),
    # a for loop with hs[t-1] at t = 0
    "hs[-1] at the first step": (
        elman(previous=lambda hs: np.concatenate([hs[-1:], hs[1:-1]])),
        "W_hh pairs the first step's error with h_T where h_0 belongs (index −1).",
    ),
    # hanbt/learn_dl, issue 29: the state after, itself and not its slope, on what is carried
    "state_list[k+1].copy()": (None, "On what is carried the slope is h of the step after where 1 − h² belongs."),
    # discuss.pytorch.org, 187917: 1 - h_raw ** 2
    "1 - h_raw ** 2": (None, "The slope is 1 − a² where 1 − h² belongs."),
    # community.deeplearning.ai, 555129: rnn_cell_backward(da_prevt, ...) without da[:, :, t]
    "da[:, :, t] left out": (
        elman(own=lambda t, T: 0.0),
        "No loss is heard at any step: does dL/dy_t enter at step t?",
    ),
    # stats.stackexchange.com, 215723: the Jacobian 1 − tanh²(h)
    "1 - tanh(h)^2": (elman(slope=lambda h: 1 - np.tanh(h) ** 2), "The slope is 1 − tanh(h)² where 1 − h² belongs."),
    # victorzhou.com, Recurrent neural networks for beginners: np.clip(d, -1, 1, out=d); many-to-one
    "many to one, clipped": (
        elman(own=lambda t, T: float(t == T - 1), post=clipped(1)),
        "Large gradients are cut, entry by entry to ±1; what is said here was read off smaller ones. "
        "Only the loss of the last step enters.",
    ),
}


def on_what_is_carried(slope):
    """A pass whose carried error gets a slope of its own, a function of (hs, a, t)."""

    def backward(p, xs, d_ys, everywhere=False):
        tape, nxt, deltas = bptt.forward(p, xs), 0.0, np.zeros((*xs.shape[:2], len(p.h0)))
        a = xs @ p.W_xh + tape.hs[:-1] @ p.W_hh + p.b_h
        for t in reversed(range(len(xs))):
            own, here = d_ys[t] @ p.W_hy.T, slope(tape.hs, a, t)
            deltas[t] = own * (here if everywhere else 1 - tape.hs[t + 1] ** 2) + nxt * here
            nxt = deltas[t] @ p.W_hh.T
        W_hh, W_xh = (sum(x.T @ e for x, e in zip(left, deltas, strict=True)) for left in (tape.hs[:-1], xs))
        return right(p, xs, d_ys)._replace(
            W_xh=W_xh, W_hh=W_hh, b_h=deltas.sum((0, 1)), h0=(deltas[0] @ p.W_hh.T).sum(0)
        )

    return backward


SPECIAL = {
    "state_list[k+1].copy()": on_what_is_carried(lambda hs, a, t: hs[min(t + 2, len(hs) - 1)]),
    "1 - h_raw ** 2": partial(on_what_is_carried(lambda hs, a, t: 1 - a[t] ** 2), everywhere=True),
}


@pytest.mark.parametrize("report", ELMAN_REPORTS)
def test_reports_of_elman_nets(report):
    backward, says = ELMAN_REPORTS[report]
    assert says in shown(backward or SPECIAL[report]).message


LSTM_REPORTS = {
    # CaptainE/RNN-LSTM-in-numpy, issue 1: df = sigmoid(f) * df, without derivative=True, of a gate that is a σ already
    "sigmoid(f[t]) * df": (
        lstm(gate_slope("f", passes.sigmoid)),
        "The error of the forget gate has σ(f) (σ itself, not its derivative) where f (1 − f) belongs.",
    ),
    # the same issue: dh_next and dC_next are never set
    "dh_next, dC_next never set": (
        lstm(after=put(dh_prev=lambda v: 0 * v.dh, dc_prev=lambda v: 0 * v.dc)),
        "No error is carried from step to step",
    ),
    # cthorey/CS231, issue 1: dnext_c = where += belongs
    "dnext_c = o * (1 - tanh ** 2) * dnext_h": (
        lstm(put(dc=lambda v: v.dh * v.o * (1 - np.tanh(v.c) ** 2))),
        "dc is not carried: step t lacks f_{t+1} dc_{t+1}.",
    ),
    # apache/mxnet, issue 4057: the same, and 1 - exp(tanh(c))
    "dht * dot * (1 - exp(tanCt))": (
        lstm(put(dc=lambda v: v.dh * v.o * (1 - np.exp(np.tanh(v.c))))),
        "The errors of the input gate, the forget gate and the candidate have 1 − exp(tanh(c)) where 1 − tanh(c)² belongs. "
        "dc is not carried",
    ),
    # hanbt/learn_dl, issue 53: the input and the output gate's biases get the forget gate's
    "bi_grad = delta_f_list[t]": (biases_of_the_forget_gate, "b_h is another sum."),
    # nicodjimenez/lstm, issues 7, 9 and 47: h = o * s, without tanh
    "h = s * o": (bare, "Its h is o c where o tanh(c) belongs. The rest is right."),
    # community.deeplearning.ai, 22398: the forget gate's derivative with the new cell
    "dft with c_next": (
        lstm(put(prev=lambda v: v.c)),
        "The error of the forget gate has c_t where c_{t−1} belongs.",
    ),
    "1 - np.tanh(cct) ** 2 of a tanh": (
        lstm(put(tslope=lambda v: lambda s: 1 - np.tanh(s) ** 2)),
        "The error of the candidate has 1 − tanh(g)² (a tanh of a tanh) where 1 − g² belongs.",
    ),
    "tanh(c) squashed once more": (
        lstm(put(dc=lambda v: v.dh * v.o * (1 - np.tanh(np.tanh(v.c)) ** 2) + v.dc_next)),
        "1 − tanh(tanh(c))² (a tanh of a tanh) where 1 − tanh(c)² belongs.",
    ),
    "dh not handed on": (lstm(after=put(dh_prev=lambda v: 0 * v.dh)), "dh is not carried"),
    "σ of all gates": (lstm(put(slope=lambda v: lambda s: s)), "The error of the output gate has o (σ itself"),
    "f forgotten on the way": (
        lstm(after=put(dc_prev=lambda v: v.dc)),
        "What is carried along c has dc_{t+1} where f_{t+1} dc_{t+1} belongs.",
    ),
    "dh_prev of one gate alone": (
        lstm(after=put(dh_prev=lambda v: sum(one_gate_alone(v, letter) for letter in "ifg"))),
        "What the output gate sends back to h lacks δ_o W_o.T.",
    ),
    "blocks in another order": (
        lstm(order="ifog"),
        "The gates' order in the gradients has i, f, o, g where i, f, g, o belongs.",
    ),
    "not transposed": (
        lstm(back=lambda p, H: np.concatenate(np.split(p.W_hh, 4, axis=1))),
        "Between steps it multiplies by W_hh where W_hh.T belongs.",
    ),
    "tanh(c) left out of do": (
        lstm(put(seen=lambda v: v.c)),
        "The error of the output gate has c where tanh(c) belongs.",
    ),
}
GRU_REPORTS = {
    # ooples/AiDotNet, pull request 722: dH * z where the cell asks for 1 - z, or the other way round
    "the direct path the other way round": (
        gru(after=put(dh_prev=lambda v: v.through + v.dh * (1 - v.z))),
        "What is carried along h itself has (1 − z) dh_{t+1} where z dh_{t+1} belongs.",
    ),
    "the direct path left out": (
        gru(after=put(dh_prev=lambda v: v.through)),
        "dh, along h itself, is not carried: step t lacks z dh_{t+1}.",
    ),
    "only the direct path": (gru(after=put(dh_prev=lambda v: v.dh * v.z)), "dh is not carried"),
    "the reset gate left out on the way back": (
        gru(after=put(dh_prev=lambda v: v.dh * v.z + np.hstack([v.dr, v.dz, v.dn]) @ v.p.W_hh.T)),
        "What the candidate sends back to h has δ_n W_n.T without r where (r δ_n) W_n.T belongs.",
    ),
    # the vignette of the R package rnn, GRU units: dz from the wrong difference
    "dz = n - h": (
        gru(put(gap=lambda v: v.n - v.h_prev)),
        "The error of the update gate has its derivative with the other sign",
    ),
    "z for 1 - z": (
        gru(put(let=lambda v: v.z)),
        "The errors of the reset gate and the candidate have z where 1 − z belongs.",
    ),
    "dr with h": (
        gru(put(heard=lambda v: v.h_prev)),
        "The error of the reset gate has h_{t−1} where h_{t−1} W_n + b_n belongs.",
    ),
    "b_n forgotten in dr": (
        gru(put(heard=lambda v: v.h_prev @ v.Wn)),
        "The error of the reset gate has h_{t−1} W_n (without b_n) where h_{t−1} W_n + b_n belongs.",
    ),
}


@pytest.mark.parametrize("report", LSTM_REPORTS)
def test_reports_of_lstms(report):
    backward, says = LSTM_REPORTS[report]
    for seed in (0, 1):
        x = shown(backward, seed, cell="lstm")
        assert says in x.message, x


@pytest.mark.parametrize("report", GRU_REPORTS)
def test_reports_of_grus(report):
    backward, says = GRU_REPORTS[report]
    for seed in (0, 1):
        x = shown(backward, seed, cell="gru")
        assert says in x.message, x


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_gated_nets_are_truncated_too(cell):
    cut = put(
        dh_prev=lambda v: 0 * v.dh if v.t_of_cut else v.dh_prev, dc_prev=lambda v: 0 * v.dh if v.t_of_cut else v.dc_prev
    )
    if cell == "lstm":

        def after(v):
            v.t_of_cut = v.t % 3 == 0
            cut(v)

        backward = lstm(after=after)
    else:
        calls = iter(range(10**9))

        def after(v):
            if next(calls) % 6 in (2, 5):  # six steps a call, from the last to the first
                v.dh_prev = 0 * v.dh

        backward = gru(after=after)
    x = shown(backward, cell=cell)
    assert x.message.startswith("Truncated to chunks of 3 steps."), x
