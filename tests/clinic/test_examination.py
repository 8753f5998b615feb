"""Planted faults, each a net as its owner would bring it: the examination names it, and calls nothing wrong that is right."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlib import bptt, losses
from rnnlib.cells import ElmanParams, elman_step, init_elman, init_gru, init_lstm
from rnnlib.clinic.examination import examine, influence
from rnnlib.unroll import unroll_scan

T, B, D, H, K = 20, 4, 24, 10, 24


class Net:
    """A character model by hand, and its training, to plant faults in."""

    def __init__(self, seed=0, *, T=T, B=B, D=D, H=H, gain=1.0):
        rng = np.random.default_rng(seed)
        ids = rng.integers(0, D, (T + 1, B))
        self.params = init_elman(D, H, D, rng=rng, gain=gain)
        self.params = self.params._replace(h0=0.3 * rng.standard_normal(H), b_h=0.1 * rng.standard_normal(H))
        self.xs, self.targets = np.eye(D)[ids[:-1]], ids[1:]

    @staticmethod
    def run(params, xs, state):
        tape = bptt.forward(params, xs, state)
        return tape.ys, tape.hs[-1]

    loss = staticmethod(losses.softmax_cross_entropy)

    @staticmethod
    def gradient(params, xs, targets, state, window=None):
        tape = bptt.forward(params, xs, state)
        return bptt.backward(params, tape, losses.softmax_cross_entropy_grad(tape.ys, targets), window=window)

    def update(self, params, xs, targets, rate=0.5):
        return ElmanParams(
            *(p - rate * g for p, g in zip(params, self.gradient(params, xs, targets, None), strict=True))
        )

    def examined(self, **changes):
        options = {"loss": self.loss, "gradient": self.gradient, "update": self.update} | changes
        run, params = options.pop("run", self.run), options.pop("params", self.params)
        xs, targets = options.pop("xs", self.xs), options.pop("targets", self.targets)
        return examine(run, params, xs, targets, **options)


def flagged(examination):
    return {*examination.faults, *examination.warnings}


@pytest.mark.parametrize("seed", range(5))
def test_a_net_without_fault_has_none(seed):
    examination = Net(seed).examined()
    assert examination.faults == ()
    assert flagged(examination) <= {"loss_of_guessing", "window_too_short", "memory_short", "jacobians_shrink"}


def as_jax(dtype, init=init_elman, seed=0):
    """A net of JAX's, jitted, in either precision."""
    rng = np.random.default_rng(seed)
    params = init(D, H, K, rng=rng, dtype=dtype)
    ids = rng.integers(0, D, (T + 1, B))
    xs, targets = np.eye(D, dtype=dtype)[ids[:-1]], ids[1:]

    def mean_loss(params, xs, targets, state):
        return losses.softmax_cross_entropy(unroll_scan(params, xs, state)[0], targets)

    gradient = jax.jit(jax.grad(mean_loss))

    def update(params, xs, targets):
        return jax.tree.map(lambda p, g: p - 0.3 * g, params, gradient(params, xs, targets, None))

    options = {"loss": losses.softmax_cross_entropy, "gradient": gradient, "update": update}
    return (jax.jit(unroll_scan), params, xs, targets), options


@pytest.mark.parametrize(("init", "dtype"), [(init_elman, np.float32), (init_lstm, np.float64), (init_gru, np.float32)])
def test_jax_nets_without_fault_have_none(init, dtype):
    net, options = as_jax(dtype, init)
    examination = examine(*net, **options)
    assert examination.faults == ()
    assert {f.name for f in examination.findings if f.severity == "open"} == {"padding"}
    assert examination["hears_all"].severity == examination["gradient_right"].severity == "fine"


def embedding_net(params, ids, state):
    return Net.run(params, np.eye(D)[ids], state)


def test_symbols_are_inputs_too():
    net = Net()
    ids = net.xs.argmax(-1)

    def gradient(params, ids, targets, state):
        return net.gradient(params, np.eye(D)[ids], targets, state, window=4)

    examination = net.examined(run=embedding_net, xs=ids, gradient=gradient, update=None)
    assert examination.faults == ()
    assert "window of 4" in examination["truncated"].says


# --- wiring -----------------------------------------------------------------------------------------------------------


def test_time_and_batch_swapped():
    def run(params, xs, state):
        ys, state = Net.run(params, np.swapaxes(xs, 0, 1), None)
        return np.swapaxes(ys, 0, 1), state

    assert "time_and_batch_swapped" in Net().examined(run=run, gradient=None, update=None).faults


def test_sequences_that_mix():
    def run(params, xs, state):
        ys, state = Net.run(params, xs - xs.mean(1, keepdims=True), state)
        return ys, state

    assert "sequences_mix" in Net().examined(run=run, gradient=None, update=None).faults


@pytest.mark.parametrize("ahead", [1, 3])
def test_the_future_leaks(ahead):
    def run(params, xs, state):
        later = np.concatenate([xs[ahead:], np.zeros_like(xs[:ahead])])
        return Net.run(params, xs + later, state)

    finding = Net().examined(run=run, gradient=None, update=None)["future_leaks"]
    assert f"up to {ahead} earlier steps" in finding.evidence


def test_a_state_that_is_ignored():
    examination = Net().examined(run=lambda params, xs, state: Net.run(params, xs, None), gradient=None, update=None)
    assert "begins anew" in examination["state_not_carried"].says


def test_a_state_that_is_another():
    def run(params, xs, state):
        tape = bptt.forward(params, xs, state)
        return tape.ys, tape.hs[0]

    assert (
        "not what the next step needs"
        in Net().examined(run=run, gradient=None, update=None)["state_returned_wrong"].says
    )


def test_a_state_that_is_never_reset():
    kept = {}

    def run(params, xs, state):
        start = kept.get("h") if np.shape(kept.get("h")) == (xs.shape[1], H) else None
        ys, kept["h"] = Net.run(params, xs, start)
        return ys, kept["h"]

    assert "state_never_reset" in Net().examined(run=run, gradient=None, update=None).faults


def test_dropout_left_on():
    rng = np.random.default_rng(0)

    def run(params, xs, state):
        return Net.run(params, xs * (rng.random(xs.shape) > 0.3), state)

    examination = Net().examined(run=run, gradient=None, update=None)
    assert "not_deterministic" in examination.warnings
    assert not {"time_and_batch_swapped", "sequences_mix", "future_leaks"} & flagged(examination)


@pytest.mark.parametrize(
    ("lag", "name"), [(0, "targets_not_shifted"), (-1, "targets_shifted_back"), (1, "targets_ahead")]
)
def test_targets(lag, name):
    net = Net()
    targets = np.roll(net.xs.argmax(-1), -lag, axis=0)
    examination = net.examined(targets=targets, gradient=None, update=None)
    assert (name in examination.faults) == (lag != 1)
    assert examination[name]


def masked(freeze=True, choose=True):
    """A padded batch and its net: with or without a frozen state, and choosing or multiplying."""
    net = Net()
    mask = (np.arange(T)[:, None] < np.array([T, T - 3, T - 7, 5])).astype(float)

    def run(params, xs, state):
        xs = np.where(mask[..., None] > 0, xs, 0) if choose else xs * mask[..., None]
        h, ys = np.broadcast_to(params.h0, (B, H)) if state is None else state, []
        for x, m in zip(xs, mask[: len(xs)], strict=False):
            new = np.tanh(params.drive(x) + params.recur(h))
            m = m[:, None]
            h = np.where(m > 0, new, h) if choose else m * new + (1 - m) * h
            ys.append(params.readout(h))
        return np.stack(ys), h

    def run_leaky(params, xs, state):
        h, ys = np.broadcast_to(params.h0, (B, H)) if state is None else state, []
        for x in xs:
            h = np.tanh(params.drive(x) + params.recur(h))
            ys.append(params.readout(h))
        return np.stack(ys), h

    def loss(ys, targets):
        kept = np.where(mask[..., None] > 0, ys, 0) if choose else ys
        return losses.softmax_cross_entropy(kept, targets, mask / mask.sum())

    return net, {"run": run if freeze else run_leaky, "loss": loss, "mask": mask, "gradient": None, "update": None}


def test_a_mask_that_freezes_the_state():
    net, options = masked()
    examination = net.examined(**options)
    assert not {"padding_leaks", "padding_nan"} & flagged(examination)
    assert examination["padding_ignored"]


def test_padding_that_leaks_into_the_last_state():
    net, options = masked(freeze=False)
    assert "last state moves" in net.examined(**options)["padding_leaks"].evidence


def test_nan_in_padding_spreads_through_a_product():
    net, options = masked(choose=False)
    assert "padding_nan" in net.examined(**options).warnings


# --- gradients and training -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 2, 7])
def test_windows_show_themselves(window):
    net = Net()
    examination = net.examined(gradient=lambda *data: net.gradient(*data, window=window), update=None)
    assert f"window of {window}." in examination["truncated"].says


def chunks(length):
    def gradient(params, xs, targets, state):
        total = None
        for begin in range(0, len(xs), length):
            piece = slice(begin, begin + length)
            tape = bptt.forward(params, xs[piece], state)
            d_ys = losses.softmax_cross_entropy_grad(tape.ys, targets[piece]) * (len(tape.ys) / len(xs))
            grads, state = bptt.backward(params, tape, d_ys), tape.hs[-1]
            total = grads if total is None else ElmanParams(*(a + b for a, b in zip(total, grads, strict=True)))
        return total

    return gradient


@pytest.mark.parametrize("length", [3, 5, 8])
def test_chunks_show_themselves(length):
    assert f"chunks of {length}." in Net().examined(gradient=chunks(length), update=None)["truncated"].says


def test_a_detach_in_jax_shows_itself():
    """The carry is stopped at every step: nothing is heard but one's own."""
    (run, params, xs, targets), options = as_jax(np.float64)

    def mean_loss(params, xs, targets, state):
        def step(h, x):
            y, h = jax.vmap(elman_step, (None, 0, 0))(params, x, jax.lax.stop_gradient(h))
            return h, y

        return losses.softmax_cross_entropy(jax.lax.scan(step, jnp.tile(params.h0, (B, 1)), xs)[1], targets)

    examination = examine(run, params, xs, targets, **options | {"gradient": jax.jit(jax.grad(mean_loss))})
    assert "window of 1." in examination["truncated"].says


def test_narrow_inputs_are_traced_one_step_at_a_time():
    """The adding problem has two inputs a step: no row for each step, so the others are silenced."""
    rng = np.random.default_rng(0)
    params = init_elman(2, 6, 1, rng=rng)._replace(b_h=rng.standard_normal(6))
    xs, targets = rng.random((12, 3, 2)), rng.standard_normal((12, 3, 1))

    def gradient(params, xs, targets, state):
        tape = bptt.forward(params, xs, state)
        return bptt.backward(params, tape, losses.squared_error_grad(tape.ys, targets), window=3)

    assert influence(Net.run, params, xs, targets, loss=losses.squared_error, gradient=gradient).reach == "window of 3"


def test_one_loss_at_the_end():
    net = Net()

    def gradient(params, xs, targets, state):
        tape = bptt.forward(params, xs, state)
        d_ys = np.zeros_like(tape.ys)
        d_ys[-1] = losses.softmax_cross_entropy_grad(tape.ys[-1:], targets[None])[0]
        return bptt.backward(params, tape, d_ys, window=6)

    def loss(ys, targets):
        return losses.softmax_cross_entropy(ys[-1:], targets[None])

    examination = net.examined(targets=net.targets[-1], loss=loss, gradient=gradient, update=None)
    assert "6" in examination["truncated"].says


@pytest.mark.parametrize("bug", ["W_hh_not_transposed", "tanh_slope_misplaced"])
def test_a_wrong_gradient(bug):
    from rnnlib.clinic import wrong_gradient

    net = Net()

    def gradient(params, xs, targets, state):
        d_ys = losses.softmax_cross_entropy_grad(bptt.forward(params, xs, state).ys, targets)
        return wrong_gradient((bug,), params, xs, d_ys)

    examination = net.examined(gradient=gradient, update=None)
    assert "heard_wrong" in examination.faults
    assert "gradient_differs" in examination.warnings


@pytest.mark.parametrize(("factor", "name"), [(T, "gradient_scaled"), (-1, "gradient_uphill")])
def test_a_scaled_gradient(factor, name):
    net = Net()
    examination = net.examined(
        gradient=lambda *data: ElmanParams(*(factor * g for g in net.gradient(*data))), update=None
    )
    assert f"{factor:.4g} times" in examination[name].says


def clipped(threshold, *, by_value):
    net = Net()

    def gradient(params, xs, targets, state):
        grads = net.gradient(params, xs, targets, state)
        norm = np.sqrt(sum((g**2).sum() for g in grads))
        if by_value:
            return ElmanParams(*(np.clip(g, -threshold, threshold) for g in grads))
        return ElmanParams(*(g * min(1, threshold / norm) for g in grads))

    return gradient


def test_clipping_that_always_binds():
    assert "0.01" in Net().examined(gradient=clipped(0.01, by_value=False), update=None)["clipping_binds"].says
    assert (
        "±0.001" in Net().examined(gradient=clipped(0.001, by_value=True), update=None)["clipping_by_value_binds"].says
    )


def test_clipping_that_does_not_bind_is_fine():
    examination = Net().examined(gradient=clipped(100, by_value=False), update=None)
    assert examination["no_clip_binds"].severity == "fine"


def test_a_parameter_that_never_moves():
    net = Net()

    def gradient(params, xs, targets, state):
        return net.gradient(params, xs, targets, state)._replace(h0=np.zeros(H))

    def update(params, xs, targets):
        return net.update(params, xs, targets)._replace(b_h=params.b_h)

    examination = net.examined(gradient=gradient, update=update)
    assert "b_h, h0" in examination["parameters_still"].says


@pytest.mark.parametrize(("rate", "name"), [(500.0, "update_too_large"), (1e-7, "update_too_small")])
def test_the_size_of_updates(rate, name):
    net = Net()
    assert name in net.examined(update=lambda *data: net.update(*data, rate=rate)).warnings


def test_uphill_cannot_learn_by_heart():
    net = Net()
    assert "cannot_learn_by_heart" in net.examined(update=lambda *data: net.update(*data, rate=-0.05)).faults


def test_training_that_runs_away():
    net = Net()

    def update(params, xs, targets):
        return ElmanParams(*(p * 10 for p in params))

    assert {"runs_away", "cannot_learn_by_heart"} & flagged(net.examined(update=update))


# --- the net as it stands ---------------------------------------------------------------------------------------------


def test_saturated_units():
    net = Net()
    examination = net.examined(params=net.params._replace(W_xh=net.params.W_xh * 50))
    assert "units_saturated" in examination.warnings


def test_dead_units():
    def run(params, xs, state):
        h, ys = np.zeros((xs.shape[1], H)) if state is None else state, []
        for x in xs:
            h = np.maximum(params.drive(x) + params.recur(h), 0)
            ys.append(params.readout(h))
        return np.stack(ys), h

    net = Net()
    dead = net.params._replace(b_h=np.where(np.arange(H) < 5, -100.0, 0.1))
    assert "5 of 10 units are dead" in net.examined(run=run, params=dead, gradient=None, update=None)["units_dead"].says


def linear_net(gain):
    """Examine a net without tanh, whose states grow by `gain` at each step."""
    net = Net()
    params = net.params._replace(W_hh=gain * np.linalg.qr(net.params.W_hh)[0], W_xh=0.01 * net.params.W_xh)
    params = params._replace(h0=0 * params.h0, b_h=0 * params.b_h)

    def linear(params, xs, state):
        h, ys = np.zeros((xs.shape[1], H)) if state is None else state, []
        for x in xs:
            h = params.drive(x) + params.recur(h)
            ys.append(params.readout(h))
        return np.stack(ys), h

    return examine(linear, params, net.xs * 0.01)


@pytest.mark.parametrize(("gain", "name"), [(0.2, "jacobians_shrink"), (4.0, "jacobians_stretch")])
def test_jacobians(gain, name):
    assert f"spectral radius {gain:.2g}" in linear_net(gain)[name].evidence


@pytest.mark.parametrize(
    ("gain", "name", "pace"),
    [(0.4, "memory_short", r"halves every 0\.[6-9] "), (1.3, "memory_explodes", r"doubles every 2\.[4-9] ")],
)
def test_memory_says_how_fast_it_fades_or_grows(gain, name, pace):
    examination = linear_net(gain)
    assert name in examination.warnings, examination
    assert re.search(pace, examination[name].evidence), examination[name]


def test_nan_is_placed():
    net = Net()
    xs = net.xs.copy()
    xs[7, 2, 1] = np.nan
    examination = net.examined(run=lambda p, xs, s: (p.readout(np.tanh(p.drive(xs))), None), xs=xs, gradient=None)
    assert "step 8, sequence 3" in examination["inputs_not_finite"].evidence


def test_an_explosion_is_placed():
    def run(params, xs, state):
        ys = np.ones((*xs.shape[:2], K))
        ys[11:] = np.inf
        return ys, None

    assert "step 12, sequence 1" in Net().examined(run=run, gradient=None, update=None)["outputs_not_finite"].evidence


def test_the_first_loss():
    net = Net()
    loud = net.params._replace(W_hy=net.params.W_hy * 50)
    assert "loss_above_guessing" in net.examined(params=loud).warnings
    assert "log K = 3.178" in net.examined()["loss_of_guessing"].evidence


# --- what is asked for, and what fails --------------------------------------------------------------------------------


def test_what_is_not_given_is_asked_for():
    net = Net()
    examination = examine(net.run, net.params, net.xs)
    assert examination["by_heart"].severity == "open"
    assert examination["by_heart"].evidence == "it would need update= and loss= and targets="


def test_a_function_that_fails_is_a_finding():
    def gradient(*data):
        raise RuntimeError("shapes (3,) and (4,) not aligned")

    examination = Net().examined(gradient=gradient, update=None)
    assert examination["gradient"].severity == "open"
    assert "RuntimeError: shapes (3,) and (4,) not aligned" in examination["gradient"].evidence


@pytest.mark.bad_input
def test_bad_input():
    net = Net()
    with pytest.raises(
        ValueError, match=r"examine: xs must be \(T, B, D\), time first, none of them 0, got \(20, 24\)"
    ):
        examine(net.run, net.params, net.xs[:, 0])
    with pytest.raises(ValueError, match=r"examine: mask must be \(T, B\) = \(20, 4\), got \(4, 20\)"):
        examine(net.run, net.params, net.xs, mask=np.ones((4, 20)))
    with pytest.raises(TypeError, match="examine: run must be a function, got ElmanParams"):
        examine(net.params, net.run, net.xs)
    with pytest.raises(TypeError, match=r"examine: run must return \(ys, state\), got ndarray"):
        examine(lambda params, xs, state: net.run(params, xs, state)[0], net.params, net.xs)


def test_nothing_of_the_caller_is_changed():
    net = Net()
    before = [*(p.copy() for p in net.params), net.xs.copy(), net.targets.copy()]
    net.examined()
    for a, b in zip(before, [*net.params, net.xs, net.targets], strict=True):
        np.testing.assert_array_equal(a, b)


def test_it_prints_as_text_and_as_a_table():
    examination = Net().examined()
    assert str(examination).splitlines()[0].startswith("0 wrong, ")
    assert examination._repr_html_().count("<tr>") == len(examination.findings) + 1
    with pytest.raises(KeyError, match="the finding must be one of finite, deterministic"):
        examination["no_such"]
