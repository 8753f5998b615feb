"""Nets of torch, flax, Keras and plain dicts: brought over, they give the same outputs and gradients. `make adapters` runs all of it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rnnlib.cells import ElmanParams, GRUParams, LSTMParams, init_elman, init_gru, init_lstm
from rnnlib.clinic import adapters, xray
from rnnlib.clinic.xray import reference

os.environ.setdefault("KERAS_BACKEND", "jax")
T, B, D, H, K = 4, 2, 3, 5, 2
INITS = {ElmanParams: init_elman, LSTMParams: init_lstm, GRUParams: init_gru}
RNG = np.random.default_rng(0)
XS, D_YS = RNG.standard_normal((T, B, D)), RNG.standard_normal((T, B, K))


def library(name):
    return pytest.importorskip(name, reason=f"{name} is not installed: `make adapters` installs it beside the course")


def drawn(cell):
    params, rng = INITS[cell](D, H, K, rng=np.random.default_rng(1)), np.random.default_rng(2)
    return params._replace(b_h=rng.standard_normal(params.b_h.shape), b_y=rng.standard_normal(K))


def ours(params):
    """Our outputs, and our gradients of Σ d_ys · y, by name."""
    trace = reference.run(params, XS)
    grads = reference.gradients(params, XS, D_YS[None])
    return trace.hs[1:] @ params.W_hy + params.b_y, {name: g[0] for name, g in grads.items()}


def same(grads, params, tolerance=1e-10):
    for name, wanted in ours(params)[1].items():
        if not name.startswith("h0"):
            np.testing.assert_allclose(
                getattr(grads, name), wanted, rtol=tolerance, atol=tolerance * (1 + np.abs(wanted).max())
            )


# ---------- plain dicts


def karpathy(params):
    """As in min-char-rnn: W @ x, and biases that are columns."""
    names = {"Wxh": params.W_xh.T, "Whh": params.W_hh.T, "Why": params.W_hy.T}
    return names | {"bh": params.b_h[:, None], "by": params.b_y[:, None]}


def goodfellow(params):
    return {"U": params.W_xh, "W": params.W_hh, "V": params.W_hy, "b": params.b_h, "c": params.b_y}


@pytest.mark.parametrize("form", [karpathy, goodfellow, lambda params: params._asdict()])
def test_a_dict_comes_over_and_goes_back(form):
    params = drawn(ElmanParams)
    theirs = form(params)
    found = adapters.params(theirs)
    assert isinstance(found, ElmanParams)
    for a, b in zip(found, params, strict=True):
        np.testing.assert_array_equal(a, b)
    again = adapters.into(params, {name: np.zeros_like(array) for name, array in theirs.items()})
    assert all(np.array_equal(again[name], theirs[name]) for name in theirs if name != "h0")
    gradient = adapters.gradient(form(reference_gradient(params)))
    np.testing.assert_allclose(gradient.W_hh, ours(params)[1]["W_hh"])


def reference_gradient(params):
    return ElmanParams(**ours(params)[1])


def test_gates_of_a_dict_may_come_in_another_order():
    params = drawn(LSTMParams)
    turned = {
        name: np.concatenate([np.split(array, 4, axis=-1)[k] for k in (0, 1, 3, 2)], axis=-1)
        for name, array in (("W_xh", params.W_xh), ("W_hh", params.W_hh), ("b_h", params.b_h))
    }
    found = adapters.params(turned | {"W_hy": params.W_hy, "b_y": params.b_y}, gates="ifog")
    assert isinstance(found, LSTMParams)
    np.testing.assert_array_equal(found.W_hh, params.W_hh)


def test_what_no_shape_tells_is_asked_for():
    square = {"Wxh": np.eye(4), "Whh": np.arange(16.0).reshape(4, 4), "Why": np.eye(4)}
    with pytest.raises(ValueError, match="Say transposed=True for W @ x"):
        adapters.params(square)
    np.testing.assert_array_equal(adapters.params(square, transposed=True).W_hh, square["Whh"].T)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("net", "says"),
    [
        (
            {"Wxh": np.ones((3, 5)), "foo": np.ones(2)},
            "the dict lacks W_hh, W_hy. Not recognised: foo. Try these names.",
        ),
        ({"Wxh": np.ones((3, 5)), "Whh": np.ones((5, 10)), "Why": np.ones((5, 2))}, r"Whh must be \(H, H\)"),
        ({"Wxh": np.ones((3, 20)), "Whh": np.ones((5, 20)), "Why": np.ones((4, 2))}, r"W_x must have shape \(3, 16\)"),
    ],
)
def test_a_dict_that_is_no_net_is_told(net, says):
    with pytest.raises(ValueError, match=says):
        adapters.params(net)


@pytest.mark.bad_input
def test_other_things_are_no_nets():
    with pytest.raises(TypeError, match="a net must be one of torch, flax or Keras, or a dict of arrays, got int"):
        adapters.params(3)
    with pytest.raises(ValueError, match="params must be ElmanParams, as the net is, got GRUParams"):
        adapters.into(drawn(GRUParams), karpathy(drawn(ElmanParams)))
    with pytest.raises(TypeError, match="only a torch net can be run as it is, got dict"):
        adapters.run(karpathy(drawn(ElmanParams)))


# ---------- torch


def torch_net(cell, **options):
    torch = library("torch")
    kind = {ElmanParams: "RNN", LSTMParams: "LSTM", GRUParams: "GRU"}[cell]
    rnn = getattr(torch.nn, kind)(D, H, **options).double()
    return rnn, torch.nn.Linear(H, K).double()


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("cell", INITS)
def test_torch_gives_the_same_outputs_and_gradients(cell, batch_first):
    torch = library("torch")
    rnn, linear = torch_net(cell, batch_first=batch_first)
    params, xs = adapters.params(rnn, linear), torch.as_tensor(XS)
    ys = linear(rnn(xs.swapaxes(0, 1) if batch_first else xs)[0])
    ys = ys.swapaxes(0, 1) if batch_first else ys
    np.testing.assert_allclose(ys.detach().numpy(), ours(params)[0], atol=1e-12)
    (ys * torch.as_tensor(D_YS)).sum().backward()
    same(adapters.gradient(rnn, linear), params)
    mine = drawn(cell)
    adapters.into(mine, rnn, linear)
    for a, b in zip(adapters.params(rnn, linear)[:-1], mine[:-1], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-15)
    ys, _ = adapters.run(rnn, linear)(mine, XS, None)
    np.testing.assert_allclose(ys, ours(mine)[0], atol=1e-12)
    assert xray(adapters.backward(rnn, linear), cell=kind(cell), rng=RNG).right


def kind(cell):
    return {LSTMParams: "lstm", GRUParams: "gru"}.get(cell, "elman")


@pytest.mark.parametrize("cell", INITS)
def test_torch_cells_and_nets_without_biases(cell):
    torch = library("torch")
    single = getattr(torch.nn, {ElmanParams: "RNNCell", LSTMParams: "LSTMCell", GRUParams: "GRUCell"}[cell])(D, H)
    linear = torch.nn.Linear(H, K)
    assert xray(adapters.backward(single, linear), cell=kind(cell), rng=RNG).right
    bare, _ = torch_net(cell, bias=False)
    params = adapters.params(bare, linear)
    assert not params.b_h.any()
    with pytest.raises(ValueError, match=r"the net has no place for b_h, which is not zero. Try bias=True"):
        adapters.into(drawn(cell), bare, linear)


def test_a_module_of_ones_own_is_searched_and_run():
    torch = library("torch")

    class Tagger(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.out = torch.nn.LSTM(D, H, batch_first=True), torch.nn.Linear(H, K)

        def forward(self, xs, state=None):
            hs, state = self.rnn(xs, state)
            return self.out(hs), state

    net = Tagger()
    params = adapters.params(net)
    run = adapters.run(net)
    ys, state = run(params, XS, None)
    np.testing.assert_allclose(ys, ours(params)[0], atol=1e-6)
    later, _ = run(params, XS, state)
    assert not np.allclose(ys, later)
    assert xray(adapters.backward(net), cell="lstm", rng=RNG).right


@pytest.mark.bad_input
def test_torch_nets_without_a_counterpart_are_refused_in_words():
    torch = library("torch")
    linear = torch.nn.Linear(H, K)
    for options, says in {
        ("num_layers", 2): "num_layers must be 1, got 2. Look at one layer at a time",
        ("bidirectional", True): "bidirectional must be False, got True. Look at each direction by itself",
        ("nonlinearity", "relu"): "nonlinearity must be 'tanh', got 'relu'",
    }.items():
        with pytest.raises(ValueError, match=re.escape(says)):
            adapters.params(torch.nn.RNN(D, H, **dict([options])), linear)
    with pytest.raises(ValueError, match=r"the net must hold one nn.Linear with 5 inputs, got none"):
        adapters.params(torch.nn.RNN(D, H))
    with pytest.raises(ValueError, match="the net must hold one recurrent layer, got none"):
        adapters.params(linear, linear)


# ---------- flax


@pytest.mark.parametrize(
    ("name", "cell"),
    [("SimpleCell", ElmanParams), ("OptimizedLSTMCell", LSTMParams), ("LSTMCell", LSTMParams), ("GRUCell", GRUParams)],
)
def test_linen_gives_the_same_outputs_and_gradients(name, cell):
    nn, jax = library("flax.linen"), library("jax")

    class Net(nn.Module):
        @nn.compact
        def __call__(self, xs):
            return nn.Dense(K, param_dtype=float)(nn.RNN(getattr(nn, name)(H, param_dtype=float), time_major=True)(xs))

    with jax.enable_x64(True):
        net = Net()
        tree = net.init(jax.random.key(0), XS)
        params = adapters.params(tree)
        np.testing.assert_allclose(net.apply(tree, XS), ours(params)[0], atol=1e-12)
        grads = jax.grad(lambda tree: (net.apply(tree, XS) * D_YS).sum())(tree)
        same(adapters.gradient(grads), params)
        mine = drawn(cell)
        again = adapters.into(mine, tree)
        np.testing.assert_allclose(net.apply(again, XS), ours(mine)[0], atol=1e-12)


@pytest.mark.parametrize(
    ("name", "cell"),
    [("SimpleCell", ElmanParams), ("OptimizedLSTMCell", LSTMParams), ("LSTMCell", LSTMParams), ("GRUCell", GRUParams)],
)
def test_nnx_gives_the_same_outputs(name, cell):
    nnx, jax = library("flax.nnx"), library("jax")
    jax.config.update("jax_enable_x64", False)  # as its users have it; the tests of this file do not ask for more
    net, linear = getattr(nnx, name)(D, H, rngs=nnx.Rngs(0)), nnx.Linear(H, K, rngs=nnx.Rngs(1))
    params = adapters.params(net, linear)
    rnn = nnx.RNN(net, time_major=True)
    np.testing.assert_allclose(linear(rnn(XS.astype(np.float32))), ours(params)[0], atol=1e-5)
    mine = drawn(cell)
    adapters.into(mine, net, linear)
    np.testing.assert_allclose(linear(rnn(XS.astype(np.float32))), ours(mine)[0], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "cell"),
    [("SimpleCell", ElmanParams), ("OptimizedLSTMCell", LSTMParams), ("LSTMCell", LSTMParams), ("GRUCell", GRUParams)],
)
def test_nnx_gives_the_same_gradients(name, cell):
    nnx, jax = library("flax.nnx"), library("jax")

    def loss(net, linear):
        return (linear(nnx.RNN(net, time_major=True)(XS)) * D_YS).sum()

    with jax.enable_x64(True):
        net = getattr(nnx, name)(D, H, dtype=float, param_dtype=float, rngs=nnx.Rngs(0))
        linear = nnx.Linear(H, K, param_dtype=float, rngs=nnx.Rngs(1))
        params, grads = adapters.params(net, linear), nnx.grad(loss, argnums=(0, 1))(net, linear)
        assert isinstance(params, cell)
        found = adapters.gradient(grads)
        if cell is GRUParams:  # it has no bias inside of the reset gate, and so no gradient of it
            assert not found.b_n.any()
            found = found._replace(b_n=ours(params)[1]["b_n"])
        same(found, params)
        with pytest.raises(
            ValueError, match=r"keeps no gradients, got .*\. Hand over what nnx\.grad or jax\.grad returned"
        ):
            adapters.gradient(net, linear)


def test_a_tree_comes_back_as_it_was():
    nn, jax = library("flax.linen"), library("jax")
    whole = nn.RNN(nn.GRUCell(H)).init(jax.random.key(0), XS)
    linear = nn.Dense(K).init(jax.random.key(1), np.ones((1, H)))
    again = adapters.into(adapters.params(whole, linear), whole, linear)
    assert jax.tree.structure(again) == jax.tree.structure((whole, linear))
    assert jax.tree.all(jax.tree.map(np.array_equal, again, (whole, linear)))


@pytest.mark.bad_input
def test_flax_nets_without_a_counterpart_are_refused_in_words():
    nn, nnx, jax = library("flax.linen"), library("flax.nnx"), library("jax")

    class Reader(nn.Module):
        @nn.compact
        def __call__(self, ids):
            return nn.Dense(K)(nn.RNN(nn.GRUCell(H))(nn.Embed(7, D)(ids)))

    both = nn.Bidirectional(nn.RNN(nn.GRUCell(H)), nn.RNN(nn.GRUCell(H)))
    rngs = nnx.Rngs(0)
    out = nnx.Linear(H, K, rngs=rngs)
    for net, says in (
        ((Reader(),), "a module of linen keeps no parameters, got Reader. Hand over its variables"),
        ((Reader().init(jax.random.key(0), np.zeros((2, 4), int)),), "alone, got Embed_0/embedding too."),
        (
            (both.init(jax.random.key(0), XS),),
            "must hold one recurrent cell of flax, got forward_rnn/cell, backward_rnn",
        ),
        ((nn.RNN(nn.MGUCell(H)).init(jax.random.key(0), XS),), "must hold one recurrent cell of flax, got none."),
        ((nn.RNN(nn.GRUCell(H)).init(jax.random.key(0), XS),), "must hold one readout with 5 inputs, got none."),
        ((nnx.SimpleCell(D, H, activation_fn=nnx.relu, rngs=rngs), out), "must have activation_fn=tanh, got relu."),
        ((nnx.SimpleCell(D, H, residual=True, rngs=rngs), out), "must have residual=False, got True."),
    ):
        with pytest.raises((TypeError, ValueError), match=re.escape(says)):
            adapters.params(*net)


# ---------- Keras


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras's own
@pytest.mark.parametrize(("name", "cell"), [("SimpleRNN", ElmanParams), ("LSTM", LSTMParams), ("GRU", GRUParams)])
def test_keras_gives_the_same_outputs(name, cell):
    keras, jax = library("keras"), library("jax")
    jax.config.update("jax_numpy_rank_promotion", "allow")  # Keras's own layers rely on it
    layer = getattr(keras.layers, name)(H, return_sequences=True)
    net = keras.Sequential([keras.Input((None, D)), layer, keras.layers.TimeDistributed(keras.layers.Dense(K))])
    batch_first = XS.swapaxes(0, 1).astype(np.float32)
    for params in (adapters.params(net), drawn(cell)):
        adapters.into(params, net)
        np.testing.assert_allclose(np.asarray(net(batch_first)).swapaxes(0, 1), ours(params)[0], atol=1e-5)
        np.testing.assert_allclose(adapters.params(net).W_hh, params.W_hh, atol=1e-6)


@pytest.mark.bad_input
def test_keras_nets_without_a_counterpart_are_refused_in_words():
    keras, jax = library("keras"), library("jax")
    jax.config.update("jax_numpy_rank_promotion", "allow")
    for options, says in {
        ("reset_after", False): "must have reset_after=True, got False",
        ("activation", "relu"): "must have activation='tanh', got 'relu'",
    }.items():
        net = keras.Sequential([keras.Input((None, D)), keras.layers.GRU(H, **dict([options])), keras.layers.Dense(K)])
        with pytest.raises(ValueError, match=says):
            adapters.params(net)
    with pytest.raises(ValueError, match="the model must hold one of SimpleRNN, LSTM, GRU, got Dense"):
        adapters.params(keras.Sequential([keras.Input((None, D)), keras.layers.Dense(K)]))


EVERY_STEP = {"return_sequences": True}


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras's own
@pytest.mark.parametrize(("name", "cell"), [("SimpleRNN", ElmanParams), ("LSTM", LSTMParams), ("GRU", GRUParams)])
@pytest.mark.parametrize("wrapped", [False, True])
def test_keras_gives_the_same_gradients(name, cell, wrapped):
    """In float32, which Keras computes in on JAX, whatever it is told."""
    keras, jax = library("keras"), library("jax")
    jax.config.update("jax_numpy_rank_promotion", "allow")
    layer = getattr(keras.layers, f"{name}Cell" if wrapped else name)(H, **({} if wrapped else EVERY_STEP))
    layer = keras.layers.RNN(layer, **EVERY_STEP) if wrapped else layer
    net = keras.Sequential([keras.Input((None, D)), layer, keras.layers.Dense(K)])
    params, xs, d_ys = adapters.params(net), *(a.swapaxes(0, 1).astype(np.float32) for a in (XS, D_YS))
    assert isinstance(params, cell)

    def loss(values):
        ys, _ = net.stateless_call(values, [v.value for v in net.non_trainable_variables], xs)
        return (ys * d_ys).sum()

    grads = jax.grad(loss)([v.value for v in net.trainable_variables])
    same(adapters.gradient(net, grads=grads), params, 1e-5)
    same(adapters.gradient(layer, net.layers[-1], grads=grads), params, 1e-5)


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras's own
@pytest.mark.bad_input
def test_keras_nets_whose_readout_or_inputs_are_more_are_refused_in_words():
    keras, jax = library("keras"), library("jax")
    jax.config.update("jax_numpy_rank_promotion", "allow")
    layers = keras.layers
    sure = keras.Sequential([keras.Input((None, D)), layers.LSTM(H), layers.Dense(K, activation="softmax")])
    with pytest.raises(ValueError, match=r"must be linear, got activation='softmax'\. A softmax belongs into the loss"):
        adapters.params(sure)
    reader = keras.Sequential([keras.Input((None,)), layers.Embedding(7, D), layers.LSTM(H), layers.Dense(K)])
    with pytest.raises(ValueError, match=r"readout alone, got .*embedding.* too\. Hand over these two"):
        adapters.params(reader)
    assert adapters.params(*reader.layers[-2:]).W_xh.shape == (D, 4 * H)
    with pytest.raises(ValueError, match=r"lstm\w* must have been built\. Call the model once"):
        adapters.params(layers.LSTM(H), layers.Dense(K))
    with pytest.raises(
        ValueError, match=r"those of its 5 trainable variables, in their order, got none\. Try gradient"
    ):
        adapters.gradient(*reader.layers[-2:])


# ---------- as README has it


def test_what_readme_shows_is_what_comes():
    library("torch")
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    code, shown = re.search(r"```python\n(import torch\n.*?)```\n+```text\n(.*?)```", readme, re.DOTALL).groups()
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert ran.stdout == shown


def test_no_library_is_imported_before_its_net_is_there():
    code = "import sys; from rnnlib.clinic import adapters; print([m for m in ('torch', 'flax', 'keras', 'jax') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.bad_input
def test_which_of_u_and_w_is_the_state_s_is_told_by_their_shapes():
    params = drawn(ElmanParams)
    theirs = {"W": params.W_xh, "U": params.W_hh, "V": params.W_hy}  # as many papers on gates have it
    np.testing.assert_array_equal(adapters.params(theirs).W_hh, params.W_hh)
    with pytest.raises(ValueError, match=r"of U \(4, 4\) and W \(4, 4\) either may be the state's matrix."):
        adapters.params({"W": np.eye(4), "U": np.eye(4), "V": np.ones((4, 2))})


@pytest.mark.bad_input
def test_a_state_dict_of_several_layers_is_refused_in_words():
    layer = {"weight_ih": np.ones((5, 3)), "weight_hh": np.eye(5)}
    readout = {"fc.weight": np.ones((2, 5)), "fc.bias": np.ones(2)}
    stacked = {f"rnn.{name}_l{k}": array for name, array in layer.items() for k in (0, 1)}
    with pytest.raises(ValueError, match=r"must hold one layer, .* got rnn.weight_ih_l1, rnn.weight_hh_l1."):
        adapters.params(stacked | readout)
    with pytest.raises(ValueError, match=r"must hold one layer, .* got decoder, encoder."):
        adapters.params({f"{place}.{name}_l0": a for place in ("encoder", "decoder") for name, a in layer.items()})
    with pytest.raises(ValueError, match=r"must hold one readout with 5 inputs, got none."):
        adapters.params({f"rnn.{name}_l0": array for name, array in layer.items()})
