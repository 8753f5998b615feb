import json
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnlib import batching, bptt, clinic, dynamics, parallel
from rnnlib.cells import ElmanParams, elman_step, init_elman
from rnnlib.figures import diagrams, layout, widgets
from tests.strategies import problem


@given(*[st.integers(1, 5)] * 5)
def test_array_counts_are_those_of_real_arrays(T, B, D, H, K):
    p = problem(T, B, D, H, K)
    tape = bptt.forward(p.params, p.xs)
    counts = widgets.array_counts(T, B, D, H, K)
    assert counts["parameters"] == {name: array.size for name, array in p.params._asdict().items()}
    real = {**tape._asdict(), "a": tape.hs[1:]}  # a has the shape of the states that it becomes
    assert counts["data"] == {name: array.size for name, array in real.items()}
    products = {
        "xs W_xh": multiply_adds(tape.xs, p.params.W_xh),
        "h W_hh": multiply_adds(tape.hs[:-1], p.params.W_hh),
        "hs W_hy": multiply_adds(tape.hs[1:], p.params.W_hy),
    }
    assert counts["multiply_adds"] == products


def multiply_adds(left, right):
    """One for each entry of the product and each term of its sum."""
    return (left @ right).size * left.shape[-1]


def test_array_shapes_tells_the_role_and_the_line_of_every_array():
    data = widgets.array_shapes(T=2, K=1).data
    assert data["sizes"] == {"T": 2, "B": 3, "D": 5, "H": 6, "K": 1}
    assert [a["name"] for a in data["arrays"]] == ["xs", "W_xh", "a", "W_hh", "b_h", "hs", "W_hy", "ys", "b_y", "h0"]
    assert {a["name"] for a in data["arrays"] if a["kind"] == "parameter"} == set(ElmanParams._fields)
    for array in data["arrays"]:
        assert array["line"].startswith(array["name"])
        assert array["role"].endswith(".")
        assert all(axis.removesuffix("+1") in data["axes"] for axis in array["axes"])


@pytest.mark.parametrize(
    ("sizes", "message"), [({"T": 9}, "T must be between 1 and 8, got 9"), ({"K": 0}, "K must be")]
)
def test_array_shapes_explains_a_size_off_its_slider(sizes, message):
    with pytest.raises(ValueError, match=rf"array_shapes: {message}.*\. Try array_counts for larger nets\."):
        widgets.array_shapes(**sizes)


def unrolled(T=3, D=1, H=2, K=1):
    p = problem(T, 1, D, H, K)
    return p, diagrams.unrolled_graph(p.params, p.xs, p.d_ys)


def test_unrolled_graph_hands_over_the_graph_as_it_is():
    _, graph = unrolled()
    data = widgets.unrolled_graph({"two units": graph}).data
    assert (data["width"], tuple(data["card"]), tuple(data["chip"])) == (layout.WIDTH, layout.CARD, layout.CHIP)
    net = data["nets"]["two units"]
    assert net["height"] == graph.height
    given = [(node["id"], node["label"], node["kind"], node["time"], node["value"]) for node in net["nodes"]]
    assert given == [(node.id, node.label, node.kind, node.time, node.value) for node in graph.nodes]
    names = [node["id"] for node in net["nodes"]]
    edges = [(names[edge["from"]], names[edge["to"]], edge["derivative"]) for edge in net["edges"]]
    assert edges == [(edge.source, edge.target, edge.derivative) for edge in graph.edges]


def test_unrolled_graph_has_what_its_sweep_needs():
    """The page goes over the edges once, from the last to the first: that must give the gradient."""
    p, graph = unrolled()
    net = widgets.unrolled_graph({"two units": graph}).data["nets"]["two units"]
    place = {node["id"]: i for i, node in enumerate(net["nodes"])}
    grad = [float(i == place["L"]) for i in range(len(place))]
    for edge in reversed(net["edges"]):
        grad[edge["from"]] += edge["derivative"] * grad[edge["to"]]
    tape = bptt.forward(p.params, p.xs)
    exact = bptt.backward(p.params, tape, tape.ys - p.d_ys)
    assert [grad[place[f"W_hh[{i},{j}]"]] for i in (0, 1) for j in (0, 1)] == pytest.approx(list(exact.W_hh.ravel()))
    assert [grad[place[f"h0[{i}]"]] for i in (0, 1)] == pytest.approx(list(exact.h0))


def test_unrolled_graph_explains_what_it_cannot_draw():
    with pytest.raises(ValueError, match=r"unrolled_graph: nets must hold a graph, got none\. Try "):
        widgets.unrolled_graph({})
    with pytest.raises(
        ValueError, match=r"unrolled_graph: the net must be small enough to read .*got T=3, D=1, H=3, K=1"
    ):
        widgets.unrolled_graph({"three units": unrolled(H=3)[1]})


def tanh_by_epsilon():
    return widgets.epsilon_error(np.tanh, 0.5, float(1 - np.tanh(0.5) ** 2)).data


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_epsilon_error_hands_over_the_error_of_each_quotient(kind):
    data, w = tanh_by_epsilon(), kind(0.5)
    errors = data["kinds"][kind.__name__]["errors"]
    for epsilon, forward, central in zip(data["epsilons"], errors["forward"], errors["central"], strict=True):
        below, here, above = (float(np.tanh(x)) for x in (w - kind(epsilon), w, w + kind(epsilon)))
        assert forward == (above - here) / epsilon - data["slope"]
        assert central == pytest.approx((above - below) / (2 * epsilon) - data["slope"], rel=1e-9, abs=1e-15)


def test_epsilon_error_draws_the_curve_that_the_quotients_come_from():
    data = tanh_by_epsilon()
    left, here, right = (data["offsets"].index(s) for s in (-1, 0, 1))
    for kind in data["kinds"].values():
        for epsilon, curve, central in zip(data["epsilons"], kind["curves"], kind["errors"]["central"], strict=True):
            assert curve[here] == 0
            size = max(abs(curve[left]), abs(curve[right]))  # four digits of it are kept
            assert curve[right] - curve[left] == pytest.approx(2 * epsilon * central, abs=2e-3 * size + 1e-300)


def test_epsilon_error_turns_where_it_says():
    data = tanh_by_epsilon()
    assert (data["epsilons"][0], data["epsilons"][-1]) == (1e-16, 1.0)
    for kind in data["kinds"].values():
        for method, errors in kind["errors"].items():
            best = data["epsilons"][np.argmin(np.abs(errors))]
            assert 1e-2 < best / kind["balance"][method] < 1e2


def test_epsilon_error_asks_for_each_loss_in_its_own_precision():
    asked = set()

    def loss(w):
        asked.add(type(w))
        return w**2

    widget = widgets.epsilon_error(loss, 0.5, 1.0)
    assert asked == {np.float64, np.float32}
    assert json.loads(json.dumps(widget.data, allow_nan=False)) == widget.data
    assert repr(widget).startswith("EpsilonError: Left, a loss near one weight")


def test_error_flow_embeds_a_real_backward_pass():
    T, H = 5, 3
    flow = widgets.error_flow(T, H, seed=4)
    rng = np.random.default_rng(4)  # the same draws again, for the middle gain
    params = init_elman(3, H, 2, rng=rng)
    params = params._replace(h0=rng.standard_normal(H) / 2)
    tape = bptt.forward(params, 0.3 * rng.standard_normal((T, 1, 3)))
    d_ys = rng.standard_normal(tape.ys.shape)
    for name, errors in {
        "at every step": d_ys,
        "at the last step": d_ys * (np.arange(T) == T - 1)[:, None, None],
    }.items():
        run = {key: np.array(value) for key, value in flow.data["runs"]["gain 1"][name].items()}
        grads = bptt.backward(params, tape, errors)
        np.testing.assert_allclose(run["hs"][:-1].T @ run["deltas"], grads.W_hh, rtol=1e-12)
        np.testing.assert_allclose(run["d_h0"], grads.h0, rtol=1e-12)
        slopes = 1 - tape.hs[1:, 0] ** 2
        np.testing.assert_allclose(run["deltas"][-1], (errors[-1, 0] @ params.W_hy.T) * slopes[-1], rtol=1e-12)
        assert run["carried"][-1] == 0, "nothing comes from behind the last step"
    assert (run["own"][:-1] == 0).all(), "only the last step has a loss"
    assert (run["carried"][:-1] > 0).all(), "and every other hears of it"


@pytest.mark.bad_input
def test_error_flow_refuses_impossible_sizes():
    with pytest.raises(ValueError, match=r"error_flow: T must be at least 1, got 0."):
        widgets.error_flow(T=0)
    with pytest.raises(TypeError, match=r"error_flow: H must be a whole number, at least 1, got 2.5."):
        widgets.error_flow(H=2.5)


def test_gradient_lags_embeds_matrices_of_radius_one_and_errors_of_length_one():
    data = widgets.gradient_lags(8, seed=3).data
    matrices = {name: np.array(W) for name, W in data["matrices"].items()}
    assert list(matrices) == ["normal", "orthogonal"]
    for W in matrices.values():
        assert W.shape == (8, 8)
        assert np.abs(np.linalg.eigvals(W)).max() == pytest.approx(1)
    np.testing.assert_allclose(matrices["orthogonal"] @ matrices["orthogonal"].T, np.eye(8), atol=1e-6)
    assert np.linalg.norm(matrices["normal"], 2) > 1.2, "the norm of a normal matrix is more than its radius"
    assert np.shape(data["inputs"]) == np.shape(data["errors"]) == (60, 8)
    np.testing.assert_allclose(np.linalg.norm(data["errors"], axis=1), 1, atol=1e-5)
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert data == widgets.gradient_lags(8, seed=3).data != widgets.gradient_lags(8, seed=4).data


@pytest.mark.bad_input
def test_gradient_lags_refuses_nets_that_are_too_slow_to_follow_the_hand():
    with pytest.raises(ValueError, match=r"gradient_lags: H must be between 1 and 32, got 100\."):
        widgets.gradient_lags(100)


def every_path(seed, T):
    p = problem(T, 1, 1, 1, 1, seed)
    tape = bptt.forward(p.params, p.xs)
    return p, tape, widgets.path_values(p.params, tape, p.d_ys)


def living(T, window, truncation):
    """True where the path from step s (column) to loss t (row) lives."""
    t, s = np.indices((T, T)) + 1
    return (s <= t) & (s >= np.array(widgets.living_from(T, window)[truncation])[:, None])


def windows(largest=8):
    """T and a window that fits."""
    return st.integers(1, largest).flatmap(lambda T: st.tuples(st.just(T), st.integers(1, T)))


@given(st.integers(0, 2**16), st.integers(1, 8))
def test_path_values_sum_to_the_gradient(seed, T):
    p, tape, paths = every_path(seed, T)
    assert not np.triu(paths, 1).any(), "a later step can't change an earlier loss"
    assert paths.sum() == pytest.approx(bptt.backward(p.params, tape, p.d_ys).W_hh.item(), rel=1e-10, abs=1e-12)
    for t, row in enumerate(paths):  # and each row to that of its loss alone
        alone = p.d_ys * (np.arange(T) == t)[:, None, None]
        assert row.sum() == pytest.approx(bptt.backward(p.params, tape, alone).W_hh.item(), rel=1e-10, abs=1e-12)


@given(st.integers(0, 2**16), windows())
def test_living_paths_sum_to_each_truncated_gradient(seed, sizes):
    (T, window), (p, tape, paths) = sizes, every_path(seed, sizes[0])

    def chunk(start, stop):
        part = bptt.forward(p.params, p.xs[start:stop], tape.hs[start])  # the state is carried over, the error is not
        return bptt.backward(p.params, part, p.d_ys[start:stop]).W_hh.item()

    expected = {
        "behind every loss": bptt.backward(p.params, tape, p.d_ys, window=window).W_hh.item(),
        "chunks": sum(chunk(start, start + window) for start in range(0, T, window)),
        "last k steps": chunk(T - window, T),
    }
    for truncation, gradient in expected.items():
        total = paths[living(T, window, truncation)].sum()
        assert total == pytest.approx(gradient, rel=1e-10, abs=1e-12), truncation


@given(st.integers(0, 2**16), windows())
def test_last_k_steps_are_the_full_backward_pass_of_late_losses_stopped_early(seed, sizes):
    (T, window), (p, tape, paths) = sizes, every_path(seed, sizes[0])
    late = np.where(np.arange(T)[:, None, None] < T - window, 0, p.d_ys)
    d_as = bptt.deltas(p.params, tape, late)
    kept = (tape.hs[T - window : -1] * d_as[T - window :]).sum()
    assert paths[living(T, window, "last k steps")].sum() == pytest.approx(kept, rel=1e-10, abs=1e-12)


def test_truncation_window_shows_what_bptt_computes_and_misleads_as_it_says():
    widget = widgets.truncation_window()
    data, (params, xs, targets) = widget.data, widgets.misled_neuron()
    tape, paths, T = bptt.forward(params, xs), np.array(data["paths"]), len(xs)
    errors = tape.ys - targets
    assert T == 8
    assert (data["hs"], data["ys"]) == (tape.hs.ravel().tolist(), tape.ys.ravel().tolist())
    assert data["losses"] == pytest.approx((errors.ravel() ** 2 / 2).tolist())
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    for truncation, tables in data["living_from"].items():
        assert tables == [widgets.living_from(T, k)[truncation] for k in range(1, T + 1)]
    full = bptt.backward(params, tape, errors).W_hh.item()
    shares = {
        truncation: [paths[living(T, k, truncation)].sum() / full for k in range(1, T + 1)]
        for truncation in data["living_from"]
    }
    every = shares["behind every loss"]
    assert max(every[:3]) < -0.1, "short windows point the wrong way"
    assert every[3] > 0.3, "one step more, and the sign is right"
    assert np.all(np.diff(every[3:]) > 0), "from there on it recovers"
    assert (
        max(shares["chunks"][:4] + shares["last k steps"][:4])
        < 0
        < min(shares["chunks"][4:] + shares["last k steps"][4:])
    )
    assert all(share[-1] == pytest.approx(1) for share in shares.values())
    assert repr(widget).startswith("TruncationWindow: Above, one neuron")


@pytest.mark.bad_input
def test_paths_and_windows_explain_what_they_cannot_do():
    p = problem(3, 1, 1, 2, 1)
    with pytest.raises(
        ValueError, match=r"path_values: W_xh must be \(1, 1\) for one neuron and one sequence, got \(1, 2\)"
    ):
        widgets.path_values(p.params, bptt.forward(p.params, p.xs), p.d_ys)
    with pytest.raises(
        ValueError, match=r"living_from: window must be between 1 and 3, got 4\. T is the full gradient\."
    ):
        widgets.living_from(3, 4)


WAYS = ["keep everything", "one level", "halving"]


def carry_out(schedule, xs):
    """Differentiate sin(h) + x along xs as the schedule says, keeping only what it says.

    Returns the derivative of the last state by the first, the steps run forward, and for each stretch how many kept states were there.
    """
    stretches, kept = schedule["stretches"], {step: (first, last) for step, first, last in schedule["kept"]}
    there, run, slope, counts, done = {0: 0.3}, 0, 1.0, [], len(xs)

    def go(since, stop, number):
        """The states after `since`, up to and with `stop`; those that are to be there for stretch `number` are kept on the way."""
        nonlocal run
        states = {since: there[since]}
        for step in range(since, stop):
            states[step + 1] = np.sin(states[step]) + xs[step]
            run += 1
        there.update({step: h for step, h in states.items() if step in kept and kept[step][0] == number})
        return states

    first_pass = go(0, len(xs), 0)
    for number, (start, stop, since) in enumerate(stretches):
        assert stop == done, "stretch after stretch, from the last step to the first"
        states = first_pass if since == stop else go(since, stop, number)
        for step in range(stop, start, -1):
            slope *= np.cos(states[step - 1])
        counts.append(len(there))
        assert set(there) == {step for step, (first, last) in kept.items() if first <= number <= last}
        for step in [step for step, (_, last) in kept.items() if last == number]:
            del there[step]
        done = start
    assert (done, there) == (0, {})
    return slope, run, counts


@given(st.sampled_from(WAYS), windows(60))
def test_a_checkpoint_schedule_can_be_carried_out(way, sizes):
    T, chunk = sizes
    schedule, xs = widgets.checkpoint_schedule(T, chunk, way), np.linspace(-1, 1, T)
    slope, run, counts = carry_out(schedule, xs)
    h, exact = 0.3, 1.0
    for x in xs:
        exact, h = exact * np.cos(h), np.sin(h) + x
    assert slope == pytest.approx(exact, rel=1e-12)
    assert run == T + sum(stop - since for _, stop, since in schedule["stretches"])
    assert counts == [
        sum(first <= number <= last for _, first, last in schedule["kept"])
        for number in range(len(schedule["stretches"]))
    ]


@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize("way", WAYS)
def test_what_each_way_holds_and_runs(way, n):
    """In closed form, where lengths are powers of two."""
    for T, chunk in [(64, 64), (64, 8), (64, 1), (1, 1)]:
        schedule = widgets.checkpoint_schedule(T, chunk, way)
        _, run, counts = carry_out(schedule, np.zeros(T))
        most = max(
            count + n * (stop - start) for count, (start, stop, _) in zip(counts, schedule["stretches"], strict=True)
        )
        levels = (T // chunk).bit_length() - 1  # log2
        expected = {
            "keep everything": (1 + n * T, T),
            "one level": (T // chunk + n * chunk, 2 * T),
            "halving": (levels + 1 + n * chunk, 2 * T + sum(T // 2 - T // 2 ** (k + 1) for k in range(levels))),
        }
        assert (most, run) == expected[way]


def test_checkpointing_embeds_a_schedule_for_each_divisor():
    widget = widgets.checkpointing(12)
    data = widget.data
    assert data["chunks"] == [1, 2, 3, 4, 6, 12]
    assert list(data["ways"]) == WAYS
    for way, schedules in data["ways"].items():
        assert schedules == [widgets.checkpoint_schedule(12, chunk, way) for chunk in data["chunks"]]
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert repr(widget).startswith("Checkpointing: Above, the steps from 1 to T")


@pytest.mark.bad_input
def test_checkpointing_explains_what_it_cannot_do():
    with pytest.raises(ValueError, match=r"checkpointing: T must be between 1 and 1000, got 5000\."):
        widgets.checkpointing(5000)
    with pytest.raises(ValueError, match=r"chunk must be between 1 and 3, got 4\. T is a single chunk\."):
        widgets.checkpoint_schedule(3, 4)
    with pytest.raises(
        ValueError, match=r"way must be one of \['keep everything', 'one level', 'halving'\], got 'all'"
    ):
        widgets.checkpoint_schedule(3, 1, "all")


@given(st.floats(-3, 6), st.floats(0, 3), st.integers(0, 2**16))
def test_what_cells_keep_is_the_product_of_their_forget_gates(bias, spread, seed):
    pushes = np.random.default_rng(seed).standard_normal((6, 3))
    gates, product = 1 / (1 + np.exp(-(bias + spread * pushes))), np.ones(3)
    kept = widgets.kept_by_cells(bias, spread, pushes)
    for lag in range(7):
        np.testing.assert_allclose(kept[lag], np.log10(product), atol=1e-9)
        if lag < 6:
            product = product * gates[5 - lag]


@pytest.mark.parametrize(("bias", "spread"), [(0.0, 0.0), (1.0, 0.5), (3.0, 1.0), (5.0, 2.5)])
def test_half_life_is_when_half_is_left(bias, spread):
    pushes = np.random.default_rng(0).standard_normal((200_000, 1))
    rate = widgets.kept_by_cells(bias, spread, pushes)[-1, 0] / len(pushes)
    assert widgets.half_life(bias, spread) * rate == pytest.approx(np.log10(0.5), rel=0.02)


@given(st.integers(0, 2**16), st.integers(1, 5))
def test_what_an_elman_net_keeps_is_its_backward_pass(seed, T):
    p = problem(T, 1, 3, 3, 3, seed)
    params = p.params._replace(W_xh=np.eye(3), b_h=np.zeros(3), W_hy=np.eye(3), h0=np.zeros(3))
    tape, squares = bptt.forward(params, p.xs), 0
    for unit in np.eye(3):
        last = np.where(np.arange(T)[:, None, None] == T - 1, unit, 0)
        squares += (bptt.backward(params, tape, last).h0 ** 2).sum()
    kept = widgets.kept_by_elman(params.W_hh, p.xs[:, 0])
    assert len(kept) == T + 1
    assert 10 ** kept[-1] == pytest.approx(np.sqrt(squares / 3), rel=1e-9)


def test_forget_gate_embeds_what_its_functions_compute():
    data = widgets.forget_gate(4, seed=2).data
    rng = np.random.default_rng(2)
    pushes, W = rng.standard_normal((200, 4)), rng.standard_normal((4, 4))
    W = W / np.abs(np.linalg.eigvals(W)).max()
    for i, j in [(1, 0), (6, 2), (16, 4)]:
        bias, spread = data["biases"][i], data["spreads"][j]
        kept = widgets.kept_by_cells(bias, spread, pushes)[data["lags"]]
        np.testing.assert_allclose(data["gates"][i][j], np.quantile(kept, [0.25, 0.5, 0.75], axis=1), atol=0.006)
        assert data["half_lives"][i][j] == widgets.half_life(bias, spread)
        elman = widgets.kept_by_elman(data["radii"][i - 1] * W, spread * pushes)[data["lags"]]
        np.testing.assert_allclose(data["tanh"][i - 1][j], elman, atol=0.006)
    assert (len(data["gates"]), len(data["tanh"])) == (17, 16)
    assert set(range(10, 201, 10)) < set(data["lags"]), "each T of the slider is an embedded lag"
    assert {0.0, 1.0} < set(data["biases"]) & set(data["spreads"])
    assert 1.0 in data["radii"], "where the sliders begin"
    assert json.loads(json.dumps(data, allow_nan=False)) == data


@pytest.mark.bad_input
def test_forget_gate_refuses_nets_without_units():
    with pytest.raises(ValueError, match=r"forget_gate: H must be at least 1, got 0\."):
        widgets.forget_gate(0)


def staircase(data, count, row):
    """From what the page is given: the steps of sequences, of padding behind them, and of empty rows."""
    choice, counts, B = data["choices"][count], data["counts"], data["rows"][row]
    real = sum(length * n for length, n in enumerate(counts))
    held = [sum(counts[low + 1 : edge + 1]) for low, edge in pairwise([0, *choice["edges"]])]
    assert choice["held"] == held
    full = sum(n * edge for n, edge in zip(held, choice["edges"], strict=True))
    empty = sum((-n % B) * edge for n, edge in zip(held, choice["edges"], strict=True))
    return real, full - real, empty


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60))
def test_bucketing_embeds_the_buckets_and_what_they_waste(lengths):
    data = widgets.bucketing(lengths).data
    assert sum(data["counts"]) == len(lengths)
    assert len(data["choices"]) == min(16, len(set(lengths)))
    for count, choice in enumerate(data["choices"]):
        assert tuple(choice["edges"]) == batching.buckets(lengths, count + 1)
        for row, (B, waste) in enumerate(zip(data["rows"], choice["waste"], strict=True)):
            assert waste == batching.waste(lengths, choice["edges"], B)._asdict()
            real, padding, empty = staircase(data, count, row)
            assert (waste["real"], waste["padded"]) == (real, real + padding + empty), "areas are steps"
    assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_bucketing_shows_that_many_buckets_can_waste_more_than_few():
    lengths = np.random.default_rng(0).integers(1, 90, 1000)
    widget = widgets.bucketing(lengths)
    shares = {
        B: [choice["waste"][row]["share"] for choice in widget.data["choices"]]
        for row, B in enumerate(widget.data["rows"])
    }
    assert list(shares) == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert shares[1] == sorted(shares[1], reverse=True), "without empty rows more buckets are better"
    assert shares[256][15] > shares[256][3] + 0.05, "with them they are not"
    assert repr(widget).startswith("Bucketing: Left, a histogram of lengths")


@pytest.mark.bad_input
def test_bucketing_explains_what_it_cannot_draw():
    with pytest.raises(ValueError, match=r"buckets: lengths must be 1 or more, got none at all\."):
        widgets.bucketing([])
    with pytest.raises(ValueError, match=r"buckets: lengths must be 1 or more, got 0\."):
        widgets.bucketing([3, 0])


def bowl(values, seed):
    """A matrix with these eigenvalues along random axes, and a start."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((len(values), len(values))))[0]
    return axes @ np.diag(values) @ axes.T, rng.standard_normal(len(values))


eigenvalues = st.lists(st.floats(0.1, 10), min_size=1, max_size=5)


@given(eigenvalues, st.floats(0, 10), st.integers(0, 9))
def test_the_lowest_point_of_a_damped_valley_has_no_slope(values, damping, seed):
    A, start = bowl(values, seed)
    point = widgets.lowest_point(A, start, damping)
    np.testing.assert_allclose(A @ point + damping * (point - start), 0, atol=1e-9)


@given(eigenvalues, st.floats(0, 10), st.integers(0, 9))
def test_descent_comes_nearer_by_its_factor_and_no_rate_is_better(values, damping, seed):
    A, start = bowl(values, seed)
    goal, factor = widgets.lowest_point(A, start, damping), widgets.descent_factor(A, damping)
    far = np.linalg.norm(widgets.descent_path(A, start, damping, 20) - goal, axis=1)
    assert (far[1:] <= factor * far[:-1] + 1e-9).all()
    low, high = min(values) + damping, max(values) + damping
    for rate in 2 / (low + high) * np.array([0.9, 1.1]):
        assert max(abs(1 - rate * low), abs(1 - rate * high)) > factor - 1e-9


@given(eigenvalues, st.floats(0, 10), st.integers(0, 9))
def test_conjugate_gradients_arrive_after_as_many_steps_as_there_are_axes(values, damping, seed):
    A, start = bowl(values, seed)
    path = widgets.conjugate_path(A, start, damping, len(values) + 1)
    np.testing.assert_allclose(path[-1], widgets.lowest_point(A, start, damping), atol=1e-4)
    if len(values) > 1 and np.linalg.norm(A @ start) > 1e-6:
        slope, pushed = -A @ start, (A + damping * np.eye(len(start))) @ A @ start
        np.testing.assert_allclose(path[1], start + slope * (slope @ slope) / -(slope @ pushed), atol=1e-6)


def test_valley_embeds_what_its_functions_compute():
    data = widgets.valley().data
    start = np.array(data["start"])
    for i, j in [(0, 0), (5, 3), (12, 0), (15, 16)]:
        A, damping = np.diag([1.0, 1 / data["conditions"][i]]), data["dampings"][j]
        goal, factor = np.array(data["lowest"][i][j]), data["factors"][i][j]
        np.testing.assert_allclose(goal, widgets.lowest_point(A, start, damping), atol=1e-6)
        np.testing.assert_allclose(data["conjugate"][i][j], widgets.conjugate_path(A, start, damping)[1:], atol=1e-6)
        np.testing.assert_allclose(data["conjugate"][i][j][1], goal, atol=1e-6)
        powers = np.array([[(-factor) ** n, factor**n] for n in range(101)])  # what the page computes
        np.testing.assert_allclose(
            goal + powers * (start - goal), widgets.descent_path(A, start, damping, 100), atol=1e-6
        )
        way = start * damping / (np.diag(A) + damping)  # and the curve that it draws
        np.testing.assert_allclose(way, goal, atol=1e-6)
    assert 100.0 in data["conditions"], "where the slider begins: the chapter's valley"
    assert (data["dampings"][0], len(data["dampings"]), data["conditions"][-1]) == (0.0, 17, 300.0)
    assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_predict_asks_for_a_choice_or_a_number():
    choice = widgets.predict("Which?", ["this", "that"], "that", key="16/which", why="Because.")
    assert choice.data == {
        **{"question": "Which?", "choices": ["this", "that"], "answer": "that"},
        **{"key": "16/which", "why": "Because.", "tolerance": 0},
    }
    assert widgets.predict("How many?", answer=3, key="16/many", tolerance=0.5).data["answer"] == "3"


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"choices": ["a"], "answer": "b", "key": "1/x"}, "answer must be one of a, got 'b'"),
        ({"answer": "b", "key": "1/x"}, "answer must be a number where there are no choices, got 'b'"),
        ({"answer": 1, "key": "x"}, "key must name chapter and question, got 'x'"),
    ],
)
def test_predict_explains_what_it_cannot_ask(given, message):
    with pytest.raises(ValueError, match=f"predict: {message}"):
        widgets.predict("Which?", **given)


def test_xrays_hand_over_squares_scale_and_message():
    def truncated(window):
        return lambda p, xs, d_ys: bptt.backward(p, bptt.forward(p, xs), d_ys, window=window)

    seen = {str(w): clinic.xray(truncated(w), T=4, rng=np.random.default_rng(0)) for w in (1, 2)}
    data = widgets.xrays(seen).data
    assert [one["name"] for one in data["passes"]] == ["1", "2"]
    assert not data["guess"]
    assert widgets.xrays(seen, guess=True).data["guess"]
    assert data["passes"][0]["squares"][1] == ["missing", "right", "", ""]
    assert data["passes"][1]["message"] == seen["2"].message
    json.dumps(data, allow_nan=False)
    with pytest.raises(ValueError, match=r"xrays: passes must hold X-rays of one T, got \[\]"):
        widgets.xrays({})


class Drawn(NamedTuple):  # what online.gradient_bench returns of a method
    bias: float
    variance: float
    cosine: float
    estimates: np.ndarray
    exact: np.ndarray


def drawn(spread, off=0.0, N=600, P=5):
    """N estimates around the exact gradient, moved by `off` along a direction across it."""
    exact = np.eye(P)[0]
    estimates = exact + off * np.eye(P)[1] + spread * np.random.default_rng(0).standard_normal((N, P))
    return Drawn(abs(off), spread**2 * P, 0.5, estimates, exact)


def test_online_bias_embeds_every_draw_and_the_error_of_the_mean_of_the_first_n():
    noisy, wrong = drawn(2.0), drawn(0.0, off=0.5)
    first, second = widgets.online_bias({"noisy": noisy, "wrong": wrong}).data["methods"]
    assert (first["name"], first["drawn"], second["name"], second["drawn"]) == ("noisy", True, "wrong", False)
    assert len(first["points"]) == len(first["errors"]) == 512
    for n in (1, 7, 512):
        error = np.linalg.norm(noisy.estimates[:n].mean(0) - noisy.exact)
        np.testing.assert_allclose(first["errors"][n - 1], error, rtol=1e-3)
    np.testing.assert_allclose(np.array(first["points"])[:, 0], noisy.estimates[:512] @ noisy.exact, atol=1e-4)
    assert second["points"] == [[1.0, 0.5]]  # along the exact gradient as long as it, and the bias across
    np.testing.assert_allclose(second["errors"], [0.5])
    json.dumps([first, second], allow_nan=False)


def test_online_bias_draws_what_is_exact_and_refuses_different_nets():
    (exact,) = widgets.online_bias({"exact": drawn(0.0)}).data["methods"]
    assert (exact["points"], exact["errors"], exact["variance"]) == ([[1.0, 0.0]], [0.0], 0.0)
    with pytest.raises(ValueError, match=r"online_bias: scores must be of one net, got gradients of \[5, 6\] numbers"):
        widgets.online_bias({"one": drawn(1.0), "other": drawn(1.0, P=6)})


def test_deer_errors_are_those_of_its_iterations_one_by_one():
    gain, T, H = 1.5, 12, 4
    found = widgets.deer_errors(gain, T=T, H=H)
    rng = np.random.default_rng(0)
    params = init_elman(2, H, 1, rng=rng)
    params, xs = params._replace(W_hh=gain * params.W_hh), rng.standard_normal((T, 1, 2))
    truth = bptt.forward(params, xs).hs[1:]
    for k in (1, 2, 5):
        states = parallel.deer(params, xs, iterations=k).states
        np.testing.assert_allclose(found.errors[k], np.abs(states - truth).max((1, 2)), rtol=1e-6, atol=1e-12)
    Js = dynamics.jacobians(elman_step, params, xs, params.h0)
    np.testing.assert_allclose(found.exponent, dynamics.lyapunov_exponents(Js)[0, 0])
    assert found.errors[found.needed].max() < 1e-8 <= found.errors[found.needed - 1].max()


def test_deer_iterations_are_few_where_changes_fade_and_many_where_they_grow():
    data = widgets.deer_iterations(T=40, H=12).data
    json.dumps(data)
    runs = data["runs"]
    assert runs[0]["exponent"] < -0.5 < 0 < runs[-1]["exponent"]
    assert runs[0]["needed"] < 6 < 15 < runs[-1]["needed"] <= 40
    for run in runs:
        assert len(run["errors"]) == len(run["exact"]) == 41
        assert all(run["exact"][k] >= k for k in range(40)), "after k iterations k states are right"
        assert run["exact"][run["needed"]] == 40
    with pytest.raises(ValueError, match=r"deer_iterations: T must be between 10 and 200, got 9"):
        widgets.deer_iterations(T=9)
