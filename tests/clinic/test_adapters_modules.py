"""Modules of torch as people bring them: embeddings, several layers, batch first, states of their own. `make adapters` runs all of it."""

import re

import numpy as np
import pytest

from rnnlib import losses
from rnnlib.cells import ElmanParams, GRUParams, LSTMParams, LSTMState, init_elman, init_gru, init_lstm
from rnnlib.clinic import adapters, examine, influence, xray
from rnnlib.clinic.xray import reference

T, B, D, H, K = 6, 3, 4, 5, 4
RNG = np.random.default_rng(0)
XS, D_YS = RNG.standard_normal((T, B, D)), RNG.standard_normal((T, B, K))
V = 12  # symbols
IDS = RNG.integers(0, V, (T + 1, B))
CELLS = {"RNN": (ElmanParams, init_elman), "LSTM": (LSTMParams, init_lstm), "GRU": (GRUParams, init_gru)}


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="torch is not installed: `make adapters` installs it beside the course")


def module(torch, forward, /, **parts):
    """A module of these parts with this forward."""

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for name, part in parts.items():
                setattr(self, name, part)

    Net.forward = forward
    return Net()


def outputs(params, xs=XS, state=None):
    return reference.run(params, xs, state).hs[1:] @ params.W_hy + params.b_y


def gradients(params, state=None):
    grads = {name: g[0] for name, g in reference.gradients(params, XS, D_YS[None], state).items()}
    h0 = grads.pop("h0", None)
    return type(params)(**grads, h0=h0) if h0 is not None else params._replace(**lstm(grads))


def lstm(grads):
    return {name: g for name, g in grads.items() if "." not in name} | {"h0": LSTMState(grads["h0.h"], grads["h0.c"])}


def same(found, wanted, tolerance=1e-10):
    assert type(found) is type(wanted)
    for name, a, b in zip(wanted._fields, found, wanted, strict=True):
        np.testing.assert_allclose(np.stack([*a]), np.stack([*b]), atol=tolerance, err_msg=name)


def drawn(name, sizes=(D, H, K)):
    """Parameters of which nothing is zero."""
    params = CELLS[name][1](*sizes, rng=np.random.default_rng(1))
    rng = np.random.default_rng(2)
    h0 = tuple(rng.standard_normal(sizes[1]) for _ in "hc")
    arrays = {n: rng.standard_normal(a.shape) for n, a in params._asdict().items() if n.startswith("b")}
    return params._replace(**arrays, h0=LSTMState(*h0) if name == "LSTM" else h0[0])


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_class_that_is_called_as_a_layer_is(torch, name, dtype):
    layer = getattr(torch.nn, name)(D, H, batch_first=True)
    net = module(torch, lambda self, x: self.fc(self.rnn(x)[0]), rnn=layer, fc=torch.nn.Linear(H, K))
    type(net).__name__ = name
    net.to(getattr(torch, dtype))
    params, tolerance = adapters.params(net), {"float32": 1e-5, "float64": 1e-10}[dtype]
    ys = net(torch.as_tensor(XS.astype(dtype)).swapaxes(0, 1)).swapaxes(0, 1)
    np.testing.assert_allclose(ys.detach().numpy(), outputs(params), atol=tolerance)
    (ys * torch.as_tensor(D_YS.astype(dtype))).sum().backward()
    wanted = gradients(params)
    zero = LSTMState(np.zeros(H), np.zeros(H)) if name == "LSTM" else np.zeros(H)
    same(adapters.gradient(net), wanted._replace(h0=zero), 10 * tolerance)  # it begins at zero, whatever h0 would say
    same(adapters.backward(net)(params, XS, D_YS), wanted._replace(h0=zero), 10 * tolerance)


@pytest.mark.parametrize("name", CELLS)
def test_all_parameters_and_a_state_go_in_and_all_gradients_come_out(torch, name):
    params, net = drawn(name), (getattr(torch.nn, name)(2, 3), torch.nn.Linear(3, 7))  # of other sizes
    state = reference.like(params.h0, tuple(RNG.standard_normal((B, H)) for _ in reference.leaves(params.h0)))
    for start in (None, state):
        ys, last = adapters.run(*net)(params, XS, start)
        trace = reference.run(params, XS, start)
        np.testing.assert_allclose(ys, outputs(params, XS, start), atol=1e-12)
        for a, b in zip(reference.leaves(last), trace.states[-1], strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)
        same(adapters.backward(*net)(params, XS, D_YS, start), gradients(params, start))
    assert adapters.params(*net).W_xh.shape[0] == 2  # the net itself is as it was


@pytest.mark.parametrize("name", CELLS)
def test_a_state_dict_and_its_gradients(torch, name):
    net = module(torch, None, rnn=getattr(torch.nn, name)(D, H), fc=torch.nn.Linear(H, K)).double()
    params = adapters.params(net)
    same(adapters.params(net.state_dict()), params)
    mine = drawn(name)
    again = adapters.into(mine, net.state_dict())
    net.load_state_dict({key: torch.as_tensor(np.array(value)) for key, value in again.items()})
    same(adapters.params(net)._replace(h0=mine.h0), mine)
    hs, _ = net.rnn(torch.as_tensor(XS))
    (net.fc(hs) * torch.as_tensor(D_YS)).sum().backward()
    same(adapters.gradient({key: p.grad for key, p in net.named_parameters()}), adapters.gradient(net))


@pytest.mark.parametrize("shape", [(H,), (1, H), (1, 1, H)])
def test_a_first_state_that_is_trained_is_h0(torch, shape):
    def forward(self, xs):
        first = self.h0.reshape(1, 1, -1).expand(1, xs.shape[1], -1).contiguous()
        return self.fc(self.rnn(xs, first)[0])

    parts = {"rnn": torch.nn.GRU(D, H), "fc": torch.nn.Linear(H, K), "h0": torch.nn.Parameter(torch.randn(shape))}
    net = module(torch, forward, **parts).double()
    params = adapters.params(net)
    np.testing.assert_array_equal(params.h0, net.h0.detach().numpy().ravel())
    (net(torch.as_tensor(XS)) * torch.as_tensor(D_YS)).sum().backward()
    same(adapters.gradient(net), gradients(params))
    mine = drawn("GRU", (3, 7, 2))
    assert xray(adapters.backward(net), cell="gru", rng=RNG).right
    ys, _ = adapters.run(net)(mine, XS[..., :3], None)
    np.testing.assert_allclose(ys, outputs(mine, XS[..., :3]), atol=1e-12)
    mine = drawn("GRU")
    same(adapters.params(adapters.into(mine, net)), mine)


def test_one_frozen_bias_of_the_two_is_no_zero(torch):
    rnn, linear = torch.nn.GRU(D, H).double(), torch.nn.Linear(H, K).double()
    params = adapters.params(rnn, linear)
    rnn.bias_ih_l0.requires_grad_(False)
    (linear(rnn(torch.as_tensor(XS))[0]) * torch.as_tensor(D_YS)).sum().backward()
    found, wanted = adapters.gradient(rnn, linear), gradients(params)
    np.testing.assert_allclose(found.b_h[: 2 * H], wanted.b_h[: 2 * H], atol=1e-10)
    np.testing.assert_allclose(found.b_n, wanted.b_n, atol=1e-10)


def language_model(torch, cut=False):
    """Symbols in, an embedding, two layers, a readout; the state is made anew where there is none."""

    def forward(self, ids, state=None):
        if state is None:
            state = torch.zeros(2, ids.shape[1], H)
        ys = []
        for step in self.embedding(ids):
            out, state = self.rnn(step[None], state.detach() if cut else state)
            ys.append(self.fc(out))
        return torch.cat(ys), state

    parts = {"embedding": torch.nn.Embedding(V, D), "rnn": torch.nn.GRU(D, H, num_layers=2)}
    return module(torch, forward, **parts, fc=torch.nn.Linear(H, V))


def examined(net):
    run, backward, params = adapters.run(net), adapters.backward(net), adapters.as_dict(net)

    def gradient(params, xs, targets, state):
        return backward(params, xs, losses.softmax_cross_entropy_grad(run(params, xs, state)[0], targets), state)

    return run, params, gradient


@pytest.mark.parametrize(("cut", "reach", "fault"), [(False, "full", ()), (True, "window of 1", ("truncated",))])
def test_a_net_without_a_counterpart_is_examined_as_it_is(torch, cut, reach, fault):
    torch.manual_seed(0)
    net = language_model(torch, cut)
    run, params, gradient = examined(net)
    loss = losses.softmax_cross_entropy
    assert influence(run, params, IDS[:-1], IDS[1:], loss=loss, gradient=gradient).reach == reach
    examination = examine(run, params, IDS[:-1], IDS[1:], loss=loss, gradient=gradient)
    assert "state_carried" in {finding.name for finding in examination.findings}
    assert {*fault} <= {*examination.faults, *examination.warnings}
    assert "truncated" in fault or "truncated" not in {*examination.faults, *examination.warnings}


@pytest.mark.bad_input
def test_a_net_without_a_counterpart_is_told_what_to_do(torch):
    nn = torch.nn
    stacked = language_model(torch)
    with pytest.raises(
        ValueError, match=r"num_layers must be 1, got 2. .* Examine it as it is: run\(net\) takes as_dict"
    ):
        adapters.params(stacked)
    embedded = module(torch, None, emb=nn.Embedding(K, D), rnn=nn.RNN(D, H), fc=nn.Linear(H, K))
    with pytest.raises(
        ValueError, match=r"a recurrent layer and its readout alone, got emb.weight too. Hand over these two"
    ):
        adapters.params(embedded)
    deep = module(torch, None, rnn=nn.RNN(D, H), a=nn.Linear(H, 8), b=nn.Linear(8, K))
    with pytest.raises(ValueError, match=re.escape("must hold one nn.Linear with 5 inputs, got a (5, 8), b (8, 4).")):
        adapters.params(deep)
    own = module(torch, None, i2h=nn.Linear(D + H, H), h2o=nn.Linear(H, K))
    with pytest.raises(ValueError, match=r"must hold one recurrent layer, got none\. Cells of your own"):
        adapters.params(own)
    with pytest.raises(ValueError, match=r"params must be named as the net's own, .*, got emb"):
        adapters.run(stacked)({"emb": np.zeros((K, D))}, IDS, None)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda ys: ys[-1], "Does it answer at the last step alone?"),
        (lambda ys: ys.reshape(T * B, K), "Are they flattened?"),
        (lambda ys: ys.swapaxes(0, 1), "Are time and batch swapped? Try batch_first=True."),
    ],
)
def test_outputs_of_another_shape_are_told_what_to_do(torch, answer, says):
    net = module(
        torch, lambda self, x: answer(self.fc(self.rnn(x)[0])), rnn=torch.nn.RNN(D, H), fc=torch.nn.Linear(H, K)
    )
    with pytest.raises(ValueError, match=re.escape(says)):
        adapters.run(net)(adapters.params(net), XS, None)


@pytest.mark.bad_input
def test_a_forward_that_wants_more_is_told_how_to_get_it(torch):
    parts = {"rnn": torch.nn.RNN(D, H), "fc": torch.nn.Linear(H, K)}
    net = module(torch, lambda self, x, lengths: self.fc(self.rnn(x)[0]) * lengths, **parts)
    with pytest.raises(ValueError, match=r"got lengths too. Try forward=lambda net, xs, state: net\(xs, lengths\)"):
        adapters.run(net)
    run = adapters.run(net, forward=lambda net, xs, state: net(xs, 2.0))
    params = adapters.params(net)
    np.testing.assert_allclose(run(params, XS, None)[0], 2 * outputs(params), atol=1e-12)
    net = module(torch, lambda self, x: self.fc(self.rnn(x)[0]), **parts)
    with pytest.raises(ValueError, match="forward must take a state to start from one, got forward"):
        adapters.run(net)(params, XS, np.zeros((B, H)))


def test_a_training_that_cuts_is_shown_by_its_own_forward(torch):
    rnn, linear = torch.nn.RNN(D, H, batch_first=True), torch.nn.Linear(H, K)

    def chunks(rnn, linear, xs, state):
        ys = []
        for chunk in xs.split(3, dim=1):
            hs, state = rnn(chunk, state)
            ys.append(linear(hs))
            state = state.detach()
        return torch.cat(ys, dim=1), state

    seen = xray(adapters.backward(rnn, linear, forward=chunks), rng=np.random.default_rng(0))
    assert "chunks of 3" in seen.message


def test_numbers_of_16_bits_come_over(torch):
    net = torch.nn.GRU(D, H).bfloat16(), torch.nn.Linear(H, K).bfloat16()
    params = adapters.params(*net)
    assert params.W_xh.dtype == np.float32
    np.testing.assert_allclose(adapters.run(*net)(params, XS, None)[0], outputs(params), atol=1e-6)
