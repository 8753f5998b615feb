"""The sum over paths is the gradient: held against bptt.backward and finite differences; counts against enumeration."""

import hypothesis.strategies as st
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given

from rnnlib import bptt, gradcheck, losses
from rnnlib.cells import ElmanParams
from rnnlib.figures import diagrams, layout
from rnnlib.figures.diagrams.layers import WEIGHTS
from rnnlib.figures.diagrams.look import look_at
from tests.strategies import problem, problems

small = problems(T=(1, 3), B=(1, 1), D=(1, 3), H=(1, 3), K=(1, 3))


def graph_of(case):
    return diagrams.unrolled_graph(case.params, case.xs, case.d_ys)  # d_ys serve as targets


def sum_over_paths(graph, params, target="L"):
    def total(name, index):
        source = f"{name}[{','.join(map(str, index))}]"
        return sum(map(diagrams.path_value, diagrams.paths(graph, source, target)))

    grads = {name: np.zeros(array.shape) for name, array in params._asdict().items()}
    for name, grad in grads.items():
        for index in np.ndindex(grad.shape):
            grad[index] = total(name, index)
    return ElmanParams(**grads)


@given(small)
def test_sum_over_paths_is_the_gradient(case):
    tape = bptt.forward(case.params, case.xs)
    exact = bptt.backward(case.params, tape, tape.ys - case.d_ys)
    for a, b in zip(sum_over_paths(graph_of(case), case.params), exact, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_sum_over_paths_agrees_with_finite_differences():
    case = problem(3, 1, 2, 2, 2)

    def loss(params):
        return losses.squared_error(bptt.forward(params, case.xs).ys, case.d_ys, np.ones((3, 1)))

    estimate = gradcheck.finite_differences(loss, case.params)
    assert gradcheck.compare(sum_over_paths(graph_of(case), case.params), estimate, tolerance=1e-6).agree


@given(small, st.integers(1, 3))
def test_paths_to_one_loss_see_that_loss_alone(case, t):
    t = min(t, len(case.xs))
    tape = bptt.forward(case.params, case.xs)
    d_ys = np.where(np.arange(len(case.xs))[:, None, None] == t - 1, tape.ys - case.d_ys, 0.0)
    exact = bptt.backward(case.params, tape, d_ys)
    for a, b in zip(sum_over_paths(graph_of(case), case.params, f"L[{t}]"), exact, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@given(small)
def test_count_paths_is_their_number(case):
    graph = graph_of(case)
    for node in graph.nodes:
        assert diagrams.count_paths(graph, node.id, "L") == len(list(diagrams.paths(graph, node.id, "L")))


def test_counts_grow_with_the_units_to_the_power_of_time():
    """From W_hh[i, j] at step s to L_t run H^(t-s) paths through the states, each to K outputs."""
    T, H, K = 6, 3, 2
    graph = graph_of(problem(T, 1, 1, H, K))
    expected = sum(K * H ** (t - s) for t in range(1, T + 1) for s in range(1, t + 1))
    assert diagrams.count_paths(graph, "W_hh[0,1]", "L") == expected


@given(small)
def test_values_are_those_of_the_tape(case):
    tape, graph = bptt.forward(case.params, case.xs), graph_of(case)
    value = {node.id: node.value for node in graph.nodes}
    assert len(value) == len(graph.nodes)
    assert all(value[f"h[{t + 1},{j}]"] == h for (t, _, j), h in np.ndenumerate(tape.hs[1:]))
    assert all(value[f"y[{t + 1},{k}]"] == y for (t, _, k), y in np.ndenumerate(tape.ys))
    assert value["L"] == pytest.approx(((tape.ys - case.d_ys) ** 2).sum() / 2)
    assert value["L"] == pytest.approx(sum(value[f"L[{t + 1}]"] for t in range(len(tape.ys))))


@given(small)
def test_edges_come_in_the_order_of_use(case):
    graph, left = graph_of(case), set()
    for edge in graph.edges:
        assert edge.target not in left, f"{edge.target} is used before all edges into it"
        left.add(edge.source)


@pytest.mark.parametrize("case", [problem(5, 1, 1, 1, 1), problem(4, 1, 1, 2, 1), problem(6, 1, 1, 2, 1)])
def test_no_two_cards_overlap(case):
    nodes = graph_of(case).nodes
    for i, a in enumerate(nodes):
        assert layout.CARD[0] / 2 <= a.position[0] <= layout.WIDTH - layout.CARD[0] / 2 or a.kind == "weight"
        for b in nodes[:i]:
            apart = [abs(p - q) for p, q in zip(a.position, b.position, strict=True)]
            width = (layout.CHIP if "weight" in (a.kind, b.kind) else layout.CARD)[0]
            assert apart[0] >= width or apart[1] >= layout.CARD[1], (a.label, b.label)


def test_labels():
    labels = {node.id: node.label for node in graph_of(problem(2, 1, 1, 2, 1)).nodes}
    assert labels["W_hh[0,1]"] == "W_hh,12"
    assert labels["W_xh[0,1]"] == "W_xh,2"
    assert labels["h0[1]"] == "h_0,2"
    assert labels["h[2,0]"] == "h_2,1"
    assert labels["x[1,0]"] == "x_1"
    assert {node.label for node in graph_of(problem(1, 1, 1, 1, 1)).nodes} >= {"w_x", "w_h", "b", "w_y", "b_y", "h_0"}


def test_draw_lights_the_edges_of_its_paths():
    graph = graph_of(problem(3, 1, 1, 2, 1))
    fig, ax = plt.subplots()
    diagrams.draw(graph, ax)
    plain = len(ax.texts)
    lit = list(diagrams.paths(graph, "W_hh[0,1]", "L[2]"))
    diagrams.draw(graph, ax, highlight=lit)
    labels = len({edge for path in lit for edge in path})
    weights = sum(edge.source == "W_hh[0,1]" for edge in {edge for path in lit for edge in path})
    assert len(ax.texts) == 2 * plain + labels + weights  # a weight's arrows appear with its labels
    plt.close(fig)


@given(small, st.integers(1, 3))
def test_total_derivatives_are_the_sums_over_paths(case, t):
    graph = graph_of(case)
    for target in ("L", f"L[{min(t, len(case.xs))}]"):
        total = diagrams.total_derivatives(graph, target)
        for node in graph.nodes:
            over_paths = sum(map(diagrams.path_value, diagrams.paths(graph, node.id, target)))
            assert total[node.id] == pytest.approx(over_paths, rel=1e-10, abs=1e-12)


def test_arrows_by_id_and_by_letter():
    graph = graph_of(problem(3, 1, 1, 2, 1))
    assert [edge.target for edge in diagrams.arrows(graph, "W_hh[0,1]")] == ["h[1,1]", "h[2,1]", "h[3,1]"]
    assert len(diagrams.arrows(graph, "h", "h")) == 2 * 2 * 2, "two steps, from each unit to each"
    assert [edge[:2] for edge in diagrams.arrows(graph, "h[2,0]", "h[3,1]")] == [("h[2,0]", "h[3,1]")]


@pytest.fixture
def one():
    yield graph_of(problem(4, 1, 1, 1, 1))
    plt.close("all")


def words(fig):
    return [text.get_text() for text in fig.axes[0].texts]


def test_a_figure_of_its_own_has_the_height_of_its_graph(one):
    fig = diagrams.draw(one)
    assert fig.get_size_inches() == pytest.approx((8.6, one.height / 100))


def test_without_numbers_there_are_names_alone(one):
    lit = [diagrams.arrows(one, "W_hh")]
    assert not [word for word in words(diagrams.draw(one, highlight=lit, numbers=False)) if "." in word]
    assert [word for word in words(diagrams.draw(one, highlight=lit)) if "." in word]


def terms(fig):
    """What the sweep brings along edges, and what it has found in nodes, as numbers."""
    orange = [text for text in fig.axes[0].texts if text.get_color() == "#D55E00"]
    numbers = [float(text.get_text().removeprefix("d ").replace("−", "-")) for text in orange]
    return [n for text, n in zip(orange, numbers, strict=True) if "d" not in text.get_text()], numbers


@pytest.mark.parametrize("swept", [1, 3, 4])
def test_two_terms_meet_where_the_sweep_has_come(one, swept):
    """At each state the terms that come in, from above and from the later state, add up to its total derivative."""
    look = look_at(one, (), swept, "L", (), {}, set(), {}, {}, True)
    exact = diagrams.total_derivatives(one)
    for t in range(swept, 5):
        come_in = [edge for edge in one.edges if edge.source == f"h[{t},0]" and edge[:2] in look.swept]
        assert len(come_in) == (1 if t == 4 else 2)
        total = sum(edge.derivative * look.totals[edge.target] for edge in come_in)
        assert total == pytest.approx(look.totals[f"h[{t},0]"]) == pytest.approx(exact[f"h[{t},0]"])
    assert f"h[{swept - 1},0]" not in look.totals
    assert ("h0[0]" in look.totals) == (swept == 1)
    brought, written = terms(diagrams.draw(one, swept=swept))
    assert len(brought) == len([edge for edge in one.edges if edge[:2] in look.swept and edge.target != "L"]) - hidden(
        look
    )
    assert len(written) - len(brought) == len(look.totals)


def hidden(look):
    return sum(source.partition("[")[0] in ("W_xh", "W_hh", "b_h", "W_hy", "b_y") for source, _ in look.swept)


@pytest.mark.parametrize("window", [1, None])
def test_a_struck_edge_carries_nothing_back(window):
    """All edges from state to state struck out, the sweep finds what a window of one step finds."""
    case = problem(4, 1, 1, 1, 1)
    graph, tape = graph_of(case), bptt.forward(case.params, case.xs)
    struck = diagrams.arrows(graph, "h", "h") if window else ()
    look = look_at(graph, (), 1, "L", struck, {}, set(), {}, {}, True)
    cut = bptt.backward(case.params, tape, tape.ys - case.d_ys, window=window)
    assert look.totals["W_hh[0,0]"] == pytest.approx(cut.W_hh.item())
    crosses = [line for line in diagrams.draw(graph, struck=struck).axes[0].lines if line.get_marker() == "x"]
    assert len(crosses) == len(struck) == (3 if window else 0)
    plt.close("all")


def test_thickness_is_in_proportion(one):
    first, second, third = diagrams.arrows(one, "h", "h")
    widths = look_at(one, (), None, "L", (), {first: 4.0, second[:2]: 2.0, third: 0.0}, set(), {}, {}, True).thickness
    assert [widths[edge[:2]] for edge in (first, second, third)] == pytest.approx([9.0, 4.8, 0.6])


def test_notes_and_labels_stand_in_place_of_numbers(one):
    fig = diagrams.draw(one, dimmed=[3], notes={"h": "state", "h[3,0]": "= h₂"}, labels={("h[1,0]", "h[2,0]"): "here"})
    assert words(fig).count("state") == 3
    assert words(fig).count("= h₂") == words(fig).count("here") == 1


@pytest.mark.parametrize("cell", [False, True])
def test_layers_are_the_graph_of_one_unit_without_its_numbers(cell):
    graph = diagrams.layers(3, cell=cell)
    uses = [edge[:2] for edge in graph.edges]
    assert len(uses) == len(set(uses))
    if not cell:
        bare = {"h0[0]": "h0"} | {f"{name}[{i}]": name for name in WEIGHTS for i in ("0", "0,0")}
        numeric = [
            (bare.get(a, a.replace(",0", "")), bare.get(b, b.replace(",0", "")))
            for a, b, *_ in graph_of(problem(3, 1, 1, 1, 1)).edges
        ]
        assert sorted(numeric) == sorted(uses)
    else:
        assert {a for a, b in uses if b == "c[2]"} == {"W_xh", "W_hh", "b_h", "x[2]", "h[1]", "c[1]"}
        assert {a for a, b in uses if b == "h[2]"} == {"W_xh", "W_hh", "b_h", "x[2]", "h[1]", "c[2]"}
    left = set()
    for source, target in uses:
        assert target not in left
        left.add(source)
    diagrams.draw(graph, swept=2)  # arrows, and no number
    plt.close("all")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"struck": [("h[1,0]", "h[3,0]")]},
            r"draw: edges must be the graph's, got \('h\[1,0\]', 'h\[3,0\]'\). Try arrows",
        ),
        ({"notes": {"z": "what"}}, "draw: notes and dimmed must name nodes of the graph, got 'z'. Names look like"),
        ({"dimmed": [5]}, "draw: notes and dimmed must name nodes of the graph, got 5."),
        ({"swept": 0}, "draw: swept must be a step from 1 to 4, got 0"),
        ({"swept": 1, "loss": "L[9]"}, "draw: loss must be a node of the graph, got 'L\\[9\\]'"),
    ],
)
def test_what_is_not_in_the_graph_is_not_drawn(one, asked, message):
    with pytest.raises(ValueError, match=message):
        diagrams.draw(one, **asked)


def test_no_such_arrow_and_no_step_are_explained(one):
    with pytest.raises(ValueError, match=r"arrows: there must be an edge from 'y' to 'h', got none. Try"):
        diagrams.arrows(one, "y", "h")
    with pytest.raises(ValueError, match=r"layers: T must be at least 1, got 0. Try"):
        diagrams.layers(0)


BAD = {
    "two sequences": ({"B": 2}, r"unrolled_graph: xs must be \(T, 1, 1\) .*got \(3, 2, 1\). Try xs\[:, :1\]"),
    "no steps": ({"T": 0}, r"unrolled_graph: xs must be \(T, 1, 1\).* T must be at least 1"),
}


@pytest.mark.bad_input
@pytest.mark.parametrize("case", BAD)
def test_bad_shapes_are_explained(case):
    sizes, message = BAD[case]
    net = problem(**({"T": 3, "B": 1, "D": 1, "H": 1, "K": 1} | sizes))
    with pytest.raises(ValueError, match=message):
        diagrams.unrolled_graph(net.params, net.xs, net.d_ys)


@pytest.mark.bad_input
def test_bad_targets_are_explained():
    net = problem(3, 1, 1, 1, 1)
    with pytest.raises(ValueError, match=r"unrolled_graph: targets must be \(3, 1, 1\) .* got \(2, 1, 1\)"):
        diagrams.unrolled_graph(net.params, net.xs, net.d_ys[:2])
    with pytest.raises(TypeError, match="unrolled_graph: targets must hold floating-point numbers"):
        diagrams.unrolled_graph(net.params, net.xs, np.zeros((3, 1, 1), int))
    with pytest.raises(ValueError, match="unrolled_graph: targets must be finite, got nan"):
        diagrams.unrolled_graph(net.params, net.xs, np.full((3, 1, 1), np.nan))


def test_a_name_that_is_no_node_is_explained():
    graph = graph_of(problem(1, 1, 1, 1, 1))
    for function in (diagrams.paths, diagrams.count_paths):
        with pytest.raises(
            ValueError,
            match=rf"^{function.__name__}: source and target must be nodes of the graph, got 'w_h'. Ids look like",
        ):
            function(graph, "w_h", "L")


@pytest.mark.parametrize("sizes", [{"T": 7}, {"H": 3}, {"D": 2}, {"K": 2}])
def test_a_net_too_large_to_read_is_not_drawn(sizes):
    graph = graph_of(problem(**({"T": 2, "B": 1, "D": 1, "H": 1, "K": 1} | sizes)))
    fig, ax = plt.subplots()
    with pytest.raises(ValueError, match=r"draw: the net must be small enough to read .*count_paths"):
        diagrams.draw(graph, ax)
    plt.close(fig)


@pytest.mark.parametrize("steps", [1, 3])
def test_the_derivative_of_a_scan_is_drawn_with_what_travels(steps):
    fig, ax = plt.subplots(figsize=(9, 4.6))
    diagrams.scan_and_derivative(ax, steps=steps)
    words = [text.get_text() for text in ax.texts]
    assert words.count("step") == words.count("step back") == words.count("tape") == steps
    for t in range(1, steps + 1):
        assert {f"$x_{t}$", f"$y_{t}$", f"$h_{t - 1}$", f"$dy_{t}$", rf"$\delta_{t} W_{{hh}}^\top, dW$"} <= set(words)
    assert {f"$h_{steps}$", "0, 0"} <= set(words), "the last state, and zeros to begin with on the way back"
    plt.close(fig)


def test_no_two_labels_of_a_scan_overlap():
    fig, ax = plt.subplots(figsize=(9, 4.6))
    diagrams.scan_and_derivative(ax)
    fig.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts if text.get_text()]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    plt.close(fig)


def test_a_step_is_drawn_with_the_shape_of_everything():
    fig = diagrams.elman_step()
    fig.canvas.draw()
    texts = fig.axes[0].texts
    seen = [text.get_text() for text in texts]
    assert {"$h_{t-1}$", "$x_t$", "$a_t$", "tanh", "$h_t$", "$y_t$", "(H, H)", "(D, H)", "(H, K), (K,)"} <= set(seen)
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    plt.close(fig)
