"""Every Question: the reference is right, every mistake is rejected and named, and nothing lazy earns points."""

from importlib import import_module

import jax
import numpy as np
import pytest

from rnnlib import gradcheck
from rnnlib.clinic.catalogue import CATALOGUE, GATED
from rnnlib.coursework import asking, problem_sets
from rnnlib.coursework.answers import attempt, leaves, plain
from rnnlib.coursework.questions import PUBLIC, NotYet, check, load

QUESTIONS = [
    q for name in problem_sets.NAMES for q in import_module(f"rnnlib.coursework.problem_sets.{name}").QUESTIONS
]
each_question = pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.id)
SEEDS = (PUBLIC, "a", "b")


def graded(question, function, **options):
    return question.grade(lambda inputs: question.ask(function, inputs), **options)


def taken(question, function, **options):
    """As if these were what is measured of an answer, by name."""
    return question.grade(lambda inputs: question.own(function, inputs), **options)


@each_question
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_reference_earns_all(question, dtype):
    for seed in SEEDS:
        verdict = taken(question, question.reference, seed=seed, dtype=dtype)
        assert verdict.right, verdict
        assert verdict.earned == question.points


@each_question
def test_every_mistake_is_rejected_and_named(question, measured):
    assert len(question.mistakes) >= 2
    for name, mistake in question.mistakes.items():
        by_name = asking.is_by_name(question.id)
        verdict = (graded if by_name else taken)(
            question, unnamed(mistake.answer) if by_name else mistake.answer, seed="a"
        )
        assert not verdict.right, f"{name} passes"
        assert name in verdict.mistakes, f"{name} is taken for {verdict.mistakes}:\n{verdict}"
        assert mistake.says in str(verdict)
    measured("known mistakes", question=question.id, mistakes=len(question.mistakes))


def unnamed(function):
    """The same function, which returns a tuple where it returned names."""

    def answer(*args, **inputs):
        result = function(*args, **inputs)
        return tuple(result.values()) if isinstance(result, dict) else result

    return answer


def lazy(question, make):
    """A function that makes something of the right answer, by name, and of the inputs."""

    def answer(*args, **inputs):
        right = question.reference(*args, **inputs)
        parts = leaves(plain(right))
        made = {name: make(name, parts, [*args, *inputs.values()]) for name in parts}
        return made.get("", made)

    return answer


def lazy_answers(question):
    """What costs no thought, by name."""
    case = next(iter(question.cases))
    yield "zeros", lazy(question, lambda name, parts, given: np.zeros_like(parts[name]))
    yield "ones", lazy(question, lambda name, parts, given: np.ones_like(parts[name]))
    yield "NaN", lazy(question, lambda name, parts, given: np.full(parts[name].shape, np.nan))
    yield "nothing", lambda *args, **inputs: None
    inputs = question.inputs(case, PUBLIC)
    for i, name in enumerate(inputs):
        yield f"the input {name}", lazy(question, lambda name, parts, given, i=i: given[i])
    parts = leaves(question.own(question.reference, inputs).value)
    for one in parts if len(parts) > 1 else ():
        yield f"{one} for all", lazy(question, lambda name, parts, given, one=one: parts[one])
        yield f"{one} alone", lazy(question, lambda name, parts, given, one=one: parts[name] * (name == one))
    for name in PLAIN.get(question.id, ()):
        yield name, question.mistakes[name].answer


PLAIN = {  # mistakes that are made by leaving out what a Question is about
    "ps1/read": ["new_ignored"],
    "ps2/bug_hunt": ["slope_path_transpose"],
    "ps3/clip_each": ["unclipped"],
    "ps3/living": ["stride ignored"],
    "ps3/truncated_errors": ["uncut"],
    "ps3/frozen_outputs": ["thawed"],
    "ps3/randomised_errors": ["no gates"],
    "ps4/change_net": ["state"],
    "ps4/loss_with_cuts": ["uncut"],
    "ps4/scan_with_resets": ["no resets"],
    "ps5/last_state": ["goes on"],
    "ps6/solve": ["steepest"],
    "ps6/snap": ["window_of_1"],
}


@each_question
def test_nothing_lazy_earns_more_than_a_tenth(question):
    unnamed = question._replace(mistakes={}, hint=None)  # what is wrong with them is of no matter
    for name, answer in lazy_answers(question):
        earned = taken(unnamed, answer).earned
        assert earned <= 0.1 * question.points, f"{name} earns {earned} of {question.points}"


@each_question
def test_inputs_come_from_the_seed_alone(question):
    for case in question.cases:
        one, again, other = (jax.tree.leaves(question.inputs(case, seed)) for seed in ("a", "a", "b"))
        assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
        assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=False)), f"{case} is always the same"


def test_the_catalogue_is_all_there():
    unseen = GATED | {
        "repeated_symbols_lost",
        "W_hy_not_transposed",
    }  # by nets without gates or symbols, with H other than K
    assert set(load("ps2/backward").mistakes) >= set(CATALOGUE) - unseen


def test_two_mistakes_together_are_diagnosed():
    from rnnlib import clinic

    def both(params, xs, d_ys):
        return clinic.wrong_gradient(("mean_over_batch", "h0_dropped"), params, xs, d_ys)

    assert "Two mistakes together" in str(graded(load("ps2/backward"), both))


def test_an_answer_that_changes_its_inputs_is_told_so():
    question = load("ps2/backward")

    def spoils(params, xs, d_ys):
        xs *= 2
        return question.reference(params, xs / 2, d_ys)

    verdict = graded(question, spoils)
    assert verdict.earned == 0
    assert "It changes its input xs. Work on a copy." in str(verdict)


def test_a_plain_tuple_is_as_good_as_a_named_one():
    question = load("ps2/backward")
    assert graded(question, lambda **inputs: tuple(question.reference(**inputs))).right


def test_the_parameters_must_keep_their_names():
    def renamed(p, xs, d_ys):
        return xs

    verdict = str(graded(load("ps2/backward"), renamed))
    assert "your function must take params, xs, d_ys, under these names (missing a required argument: 'p')" in verdict


def test_a_stub_is_asked_once():
    calls = []

    def stub(**inputs):
        calls.append(1)
        raise NotImplementedError

    assert "Not answered yet" in str(graded(load("ps2/backward"), stub))
    assert len(calls) == 1


def test_check_shows_the_verdict_and_says_how_far_one_is(capsys):
    question = load("ps2/backward")
    check("ps2/backward", question.reference)
    assert "4 of 4 points" in capsys.readouterr().out
    with pytest.raises(NotYet, match=r"^1.6 of 4 points so far$"):
        check("ps2/backward", question.mistakes["error_not_carried"].answer)
    assert CATALOGUE["error_not_carried"].fix in capsys.readouterr().out


def test_nudging_each_entry_takes_longer_than_there_is_time():
    """Finite differences of the loss are no backward pass: the first case has so many entries that they are late."""

    def nudged(params, xs, hs, d_ys, leak):
        def loss(p):
            h, total = np.tile(p.h0, (xs.shape[1], 1)), 0.0
            for x, d_y in zip(xs, d_ys, strict=True):
                h = (1 - leak) * h + leak * np.tanh(x @ p.W_xh + h @ p.W_hh + p.b_h)
                total += (d_y * (h @ p.W_hy)).sum()
            return total

        return gradcheck.finite_differences(loss, params)._asdict()

    question = load("ps2/bug_hunt")
    verdict = question.grade(lambda inputs: question.ask(nudged, inputs, seconds=0.2))
    assert verdict.earned == 0
    assert "It did not return within 0.2 s" in str(verdict)
    assert "A backward pass takes well under a second; to nudge every weight" in str(verdict)


@pytest.mark.parametrize("id", ["ps2/backward", "ps2/bug_hunt", "ps2/chunk_backward", "ps2/jordan"])
def test_neither_is_there_time_for_nudges_of_all_units_at_once(id):
    """Every unit of every step nudged once, in batches of H nets: T² H / 2 pairs through all weights of a step, and errors that last."""
    question = load(id)
    inputs = question.inputs("a large net", PUBLIC)
    arrays = inputs["params"]._asdict() if "params" in inputs else inputs
    T, H = len(inputs["d_ys"]), len(arrays["b_h"])
    through = sum(arrays[name].size for name in ("W_hh", "W_yh", "W_hy") if name in arrays)
    assert T**2 * H * through > 20 * 200e9, "multiplications and additions, of which a core does 200e9 a second at most"
    late = inputs | {"d_ys": inputs["d_ys"] * (np.arange(T) > 200)[:, None, None]}
    back = leaves(question.own(question.reference, late).value)
    first = next(back[name] for name in ("d_first", "y0", "h0") if name in back)
    assert np.abs(first).max() > 1e-4, "whoever nudges can't leave late errors out"


@pytest.mark.parametrize(("i", "says"), [(-1, "Too early"), (1, "Too late")])
def test_when_to_stop_says_which_way_it_is_off(i, says):
    question = load("ps6/stops")
    assert says in str(graded(question, lambda **inputs: question.reference(**inputs) + 3 * i))


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("id", "answer", "error", "says"),
    [
        ("ps9/x", len, KeyError, r"no problem set 'ps9'. There are ps1, ps2"),
        ("ps2/x", len, KeyError, r"no Question 'ps2/x'. ps2 asks .*ps2/backward"),
        ("ps2/backward", {}, TypeError, r"must be your function, got dict. Try check\('ps2/backward', name\)"),
    ],
)
def test_bad_input(id, answer, error, says):
    with pytest.raises(error, match=says):
        check(id, answer)


def test_a_reference_that_fails_is_our_fault_and_says_so():
    question = load("ps2/backward")._replace(reference=lambda **inputs: inputs["nothing"])
    with pytest.raises(
        RuntimeError, match=r"ps2/backward: the reference failed on case 'a large net'. It raised KeyError"
    ):
        graded(question, lambda **inputs: attempt(len, {}, seconds=1))
