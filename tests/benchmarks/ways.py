"""One training step of the same net, in every way that is compared: forward, softmax cross-entropy at each step, backward, SGD.

Each way is a function of a `Task` that returns a step: a function without arguments, which trains once and returns the loss. Ways of other
libraries import them on the call, so that one which is not installed is missed only there.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from rnnlib import bptt, losses
from rnnlib.cells import ElmanParams, init_elman, init_lstm

RATE = 0.1


class Task(NamedTuple):
    params: NamedTuple
    xs: np.ndarray  # (T, B, D)
    targets: np.ndarray  # (T, B)


def task(H, B, T, D, init=init_elman):
    rng = np.random.default_rng(0)
    xs = rng.standard_normal((T, B, D)).astype(np.float32)
    return Task(init(D, H, D, rng=rng, gain=0.5, dtype=np.float32), xs, rng.integers(0, D, (T, B)))


def per_step_gradient(params, tape, d_ys):
    """Backward with every product inside the loop over time."""
    g = ElmanParams(*(np.zeros_like(p) for p in params))
    carried = np.zeros_like(tape.hs[0])
    for t in reversed(range(len(d_ys))):
        delta = (d_ys[t] @ params.W_hy.T + carried) * (1 - tape.hs[t + 1] ** 2)
        carried = delta @ params.W_hh.T
        terms = (tape.xs[t].T @ delta, tape.hs[t].T @ delta, delta.sum(0), tape.hs[t + 1].T @ d_ys[t], d_ys[t].sum(0))
        for total, term in zip(g, terms, strict=False):  # all but h0
            total += term
    g.h0[:] = carried.sum(0)
    return g


def numpy_way(forward, backward, task):
    params = task.params

    def step():
        nonlocal params
        tape = forward(params, task.xs)
        loss = losses.softmax_cross_entropy(tape.ys, task.targets)
        grads = backward(params, tape, losses.softmax_cross_entropy_grad(tape.ys, task.targets))
        params = ElmanParams(*(p - np.float32(RATE) * g for p, g in zip(params, grads, strict=True)))
        return float(loss)

    return step


def jax_way(outputs, task):
    """Any JAX form: `outputs(params, xs)` to (T, B, K)."""
    import jax
    import jax.numpy as jnp
    import optax

    optimiser = optax.sgd(RATE)

    @partial(jax.jit, donate_argnums=(0, 1))
    def update(params, moments, xs, targets):
        def objective(params):
            return losses.softmax_cross_entropy(outputs(params, xs), targets)

        loss, grads = jax.value_and_grad(objective)(params)
        changes, moments = optimiser.update(grads, moments)
        return optax.apply_updates(params, changes), moments, loss

    params = jax.tree.map(jnp.array, task.params)
    moments, xs, targets = optimiser.init(params), jnp.asarray(task.xs), jnp.asarray(task.targets)

    def step():
        nonlocal params, moments
        params, moments, loss = update(params, moments, xs, targets)
        return float(loss)

    return step


def rnnlib_scan(task):
    from rnnlib.unroll import unroll_scan

    return jax_way(lambda params, xs: unroll_scan(params, xs)[0], task)


def naive_scan(task):
    """Every product inside the step, and the derivative that JAX finds by itself."""
    import jax
    import jax.numpy as jnp

    def outputs(p, xs):
        def step(h, x):
            h = jnp.tanh(x @ p.W_xh + h @ p.W_hh + p.b_h)
            return h, h @ p.W_hy + p.b_y

        return jax.lax.scan(step, jnp.broadcast_to(p.h0, (xs.shape[1], p.h0.size)), xs)[1]

    return jax_way(outputs, task)


def flax_linen(task):
    from flax import linen

    p = task.params
    net = linen.RNN(linen.SimpleCell(features=p.h0.size), time_major=True)
    readout = linen.Dense(p.b_y.size)
    cell = {"i": {"kernel": p.W_xh, "bias": p.b_h}, "h": {"kernel": p.W_hh}}
    variables = {"net": {"params": {"cell": cell}}, "readout": {"params": {"kernel": p.W_hy, "bias": p.b_y}}}

    def outputs(variables, xs):
        return readout.apply(variables["readout"], net.apply(variables["net"], xs))

    return jax_way(outputs, Task(variables, task.xs, task.targets))


def flax_nnx(task):
    from flax import nnx

    p, rngs = task.params, nnx.Rngs(0)
    (D, H), K = p.W_xh.shape, p.b_y.size
    net = nnx.RNN(nnx.SimpleCell(D, H, rngs=rngs), time_major=True, rngs=rngs)
    readout = nnx.Linear(H, K, rngs=rngs)
    net.cell.dense_i.kernel[...], net.cell.dense_i.bias[...], net.cell.dense_h.kernel[...] = p.W_xh, p.b_h, p.W_hh
    readout.kernel[...], readout.bias[...] = p.W_hy, p.b_y
    model, weights, rest = nnx.split((net, readout), nnx.Param, ...)

    def outputs(weights, xs):
        net, readout = nnx.merge(model, weights, rest)
        return readout(net(xs, initial_carry=np.zeros((xs.shape[1], H), np.float32)))

    return jax_way(outputs, Task(weights, task.xs, task.targets))


def torch_net(kind, task):
    """torch.nn.RNN or torch.nn.LSTM; on the GPU (cuDNN) where JAX runs on one."""
    import jax
    import torch

    device = "cuda" if jax.default_backend() == "gpu" and torch.cuda.is_available() else "cpu"
    p, (D, H), K = task.params, (len(task.params.W_xh), len(task.params.W_hh)), task.params.b_y.size
    net, readout = getattr(torch.nn, kind)(D, H).to(device), torch.nn.Linear(H, K).to(device)
    values = (p.W_xh.T, p.W_hh.T, p.b_h, 0 * p.b_h, p.W_hy.T, p.b_y)
    weights = [*net.parameters(), *readout.parameters()]
    with torch.no_grad():
        for weight, value in zip(weights, values, strict=True):
            weight.copy_(torch.tensor(value))
    net.bias_hh_l0.requires_grad_(False)  # one bias, as the others have
    optimiser = torch.optim.SGD([weight for weight in weights if weight.requires_grad], lr=RATE)
    xs, targets = torch.tensor(task.xs, device=device), torch.tensor(task.targets, device=device).flatten()

    def step():
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(readout(net(xs)[0]).reshape(-1, K), targets)
        loss.backward()
        optimiser.step()
        return loss.item()

    return step


def pytensor_scan(task):
    import pytensor
    import pytensor.tensor as pt

    weights = [pytensor.shared(a, name=name, shape=a.shape) for name, a in task.params._asdict().items()]
    W_xh, W_hh, b_h, W_hy, b_y, h0 = weights
    xs = pytensor.shared(task.xs, shape=task.xs.shape)
    start = pt.repeat(h0[None], task.xs.shape[1], axis=0)
    result = pytensor.scan(lambda x, h: pt.tanh(x @ W_xh + h @ W_hh + b_h), sequences=[xs], outputs_info=[start])
    hs = result[0] if isinstance(result, tuple) else result
    ys = (hs @ W_hy + b_y).reshape((-1, task.params.b_y.size))
    chosen = pt.special.log_softmax(ys, axis=-1)[np.arange(task.targets.size), task.targets.ravel()]
    loss = -chosen.mean()
    rate = np.float32(RATE)
    updates = [(w, w - rate * g) for w, g in zip(weights, pytensor.grad(loss, weights), strict=True)]
    update = pytensor.function([], loss, updates=updates)
    return lambda: float(update())


ELMAN = {
    "rnnlib": rnnlib_scan,
    "JAX scan, all in the step": naive_scan,
    "NumPy, hoisted": partial(numpy_way, bptt.forward, bptt.backward),
    "NumPy, per step": partial(numpy_way, bptt.forward_per_step, per_step_gradient),
    "torch.nn.RNN": partial(torch_net, "RNN"),
    "flax.linen.RNN": flax_linen,
    "flax.nnx.RNN": flax_nnx,
    "PyTensor scan": pytensor_scan,
}
LSTM = {"rnnlib": rnnlib_scan, "torch.nn.LSTM": partial(torch_net, "LSTM")}

small, middling, long, wide = (32, 1, 50, 32), (100, 32, 100, 100), (256, 32, 200, 64), (512, 64, 100, 128)
CASES = [(ELMAN, init_elman, size) for size in (small, middling, long, wide)]  # sizes are H, B, T, D = K
CASES += [(LSTM, init_lstm, size) for size in (small, middling, long)]
