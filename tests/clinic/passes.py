"""Backward passes as people write them: plain loops with the faults that were reported in public, re-created."""

from types import SimpleNamespace

import numpy as np

from rnnlib import bptt
from rnnlib.cells import ElmanParams, GRUParams, LSTMParams, LSTMState
from rnnlib.clinic import xray


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def elman(
    slope=lambda h: 1 - h**2,
    slope_carried=None,
    back=None,
    carry="=",
    cut=lambda t, T: False,
    own=lambda t, T: 1.0,
    post=lambda g, p: g,
    start=None,
    previous=lambda hs: hs[:-1],
    readout=lambda p: p.W_hy.T,
    bias="delta",
):
    """A pass of an Elman net, with a fault in one of its lines."""

    def backward(p, xs, d):
        T, B = xs.shape[:2]
        tape = bptt.forward(p, xs) if start is None else bptt.forward(p, xs, start(B, len(p.h0), p))
        hs, nxt, deltas, d_hs = (
            tape.hs,
            np.zeros((B, len(p.h0))),
            np.zeros((T, B, len(p.h0))),
            np.zeros_like(tape.hs[1:]),
        )
        W = p.W_hh.T if back is None else back(p)
        for t in reversed(range(T)):
            if cut(t, T):
                nxt = 0 * nxt
            mine = own(t, T) * (d[t] @ readout(p))
            d_hs[t] = mine + nxt
            if slope_carried is None:
                deltas[t] = d_hs[t] * slope(hs[t + 1])
            else:
                deltas[t] = mine * slope(hs[t + 1]) + nxt * slope_carried(hs[t + 1])
            nxt = {"+=": nxt, "=": 0.0, "d_h": 0.0}[carry] + (d_hs[t] if carry == "d_h" else deltas[t]) @ W
        for_bias = {"delta": deltas, "d_h": d_hs}[bias]
        g = ElmanParams(
            np.einsum("tbd,tbh->dh", xs, deltas),
            np.einsum("tbg,tbh->gh", previous(hs), deltas),
            for_bias.sum((0, 1)),
            np.einsum("tbh,tbk->hk", hs[1:], d),
            d.sum((0, 1)),
            nxt.sum(0),
        )
        return post(g, p)

    return backward


def lstm(line=lambda v: None, after=lambda v: None, start=None, order="ifgo", back=None):
    """A pass of an LSTM as a loop over steps; `line` changes the errors of a step's gates, `after` what goes on to the step before."""

    def backward(p, xs, d):
        T, B, H = len(xs), xs.shape[1], p.W_hy.shape[0]
        h, c = (np.tile(s, (B, 1)) for s in p.h0) if start is None else start(B, H)
        tape = []
        for x in xs:
            a = x @ p.W_xh + h @ p.W_hh + p.b_h
            i, f, o = (sigmoid(a[:, k * H : (k + 1) * H]) for k in (0, 1, 3))
            g, c_prev, h_prev = np.tanh(a[:, 2 * H : 3 * H]), c, h
            c = f * c + i * g
            h = o * np.tanh(c)
            tape.append(SimpleNamespace(x=x, i=i, f=f, g=g, o=o, c=c, c_prev=c_prev, h=h, h_prev=h_prev))
        G = {name: np.zeros_like(w) for name, w in p._asdict().items() if name != "h0"}
        dh_next, dc_next = np.zeros((B, H)), np.zeros((B, H))
        for t in reversed(range(T)):
            v = tape[t]
            v.p, v.t, v.dc_next, v.dh_next = p, t, dc_next, dh_next
            v.dh = d[t] @ p.W_hy.T + dh_next
            v.dc = v.dh * v.o * (1 - np.tanh(v.c) ** 2) + dc_next
            v.slope = lambda s: s * (1 - s)
            v.tslope = lambda s: 1 - s**2
            v.prev, v.seen = v.c_prev, np.tanh(v.c)
            line(v)
            v.do = v.dh * v.seen * v.slope(v.o)
            v.df = v.dc * v.prev * v.slope(v.f)
            v.di = v.dc * v.g * v.slope(v.i)
            v.dg = v.dc * v.i * v.tslope(v.g)
            delta = np.concatenate([getattr(v, f"d{name}") for name in order], axis=1)
            G["W_xh"] += v.x.T @ delta
            G["W_hh"] += v.h_prev.T @ delta
            G["b_h"] += delta.sum(0)
            G["W_hy"] += v.h.T @ d[t]
            G["b_y"] += d[t].sum(0)
            right = np.concatenate([v.di, v.df, v.dg, v.do], axis=1)
            v.dh_prev, v.dc_prev = right @ (p.W_hh.T if back is None else back(p, H)), v.dc * v.f
            after(v)
            dh_next, dc_next = v.dh_prev, v.dc_prev
        return LSTMParams(**G, h0=LSTMState(dh_next.sum(0), dc_next.sum(0)))

    return backward


def gru(line=lambda v: None, after=lambda v: None, turned=False):
    """A pass of a GRU as a loop over steps."""

    def backward(p, xs, d):
        T, B, H = len(xs), xs.shape[1], len(p.h0)
        h, tape = np.tile(p.h0, (B, 1)), []
        (Wr, Wz, Wn), (br, bz, bn) = np.split(p.W_hh, 3, axis=1), np.split(p.b_h, 3)
        for x in xs:
            xr, xz, xn = np.split(x @ p.W_xh, 3, axis=1)
            r, z = sigmoid(xr + h @ Wr + br), sigmoid(xz + h @ Wz + bz)
            z = 1 - z if turned else z
            n_h = h @ Wn + p.b_n
            n, h_prev = np.tanh(xn + bn + r * n_h), h
            h = (1 - z) * n + z * h
            tape.append(SimpleNamespace(x=x, r=r, z=z, n=n, n_h=n_h, h_prev=h_prev, h=h))
        G = {name: np.zeros_like(w) for name, w in p._asdict().items() if name != "h0"}
        dh_next = np.zeros((B, H))
        for t in reversed(range(T)):
            v = tape[t]
            v.p, v.Wn = p, Wn
            v.dh = d[t] @ p.W_hy.T + dh_next
            v.gap, v.let, v.heard = v.h_prev - v.n, 1 - v.z, v.n_h
            v.slope = lambda s: s * (1 - s)
            v.tslope = lambda s: 1 - s**2
            line(v)
            v.dz = v.dh * v.gap * v.slope(v.z) * (-1 if turned else 1)
            v.dn = v.dh * v.let * v.tslope(v.n)
            v.dr = v.dn * v.heard * v.slope(v.r)
            driven, fed = np.hstack([v.dr, v.dz, v.dn]), np.hstack([v.dr, v.dz, v.r * v.dn])
            G["W_xh"] += v.x.T @ driven
            G["W_hh"] += v.h_prev.T @ fed
            G["b_h"] += driven.sum(0)
            G["b_n"] += (v.r * v.dn).sum(0)
            G["W_hy"] += v.h.T @ d[t]
            G["b_y"] += d[t].sum(0)
            v.dh_prev = v.dh * v.z + fed @ p.W_hh.T
            v.through = fed @ p.W_hh.T
            after(v)
            dh_next = v.dh_prev
        return GRUParams(**G, h0=dh_next.sum(0))

    return backward


def put(**values):
    """A changed line: `put(dc=lambda v: ...)` sets v.dc."""

    def line(v):
        for name, value in values.items():
            setattr(v, name, value(v))

    return line


def shown(backward, seed=0, **sizes):
    return xray(backward, rng=np.random.default_rng(seed), **sizes)


def right(p, xs, d_ys):
    return bptt.backward(p, bptt.forward(p, xs), d_ys)


def bent(**changes):
    """The right gradient, but for some parameters: name to a function of (gradients, params, xs, d_ys)."""

    def backward(p, xs, d_ys):
        g = right(p, xs, d_ys)
        return g._replace(**{name: change(g, p, xs, d_ys) for name, change in changes.items()})

    return backward


def each(g, change):
    return ElmanParams(*map(change, g))


def norm(g):
    return np.sqrt(sum((x**2).sum() for x in g))


def clipped(value):
    return lambda g, p: each(g, lambda x: np.clip(x, -value, value))
