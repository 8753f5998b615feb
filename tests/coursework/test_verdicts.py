"""What is said of an array, and of an answer as a whole."""

import numpy as np
import pytest

from rnnlib.coursework.verdicts import Case, Part, Verdict, compare

RIGHT = np.arange(1.0, 7.0).reshape(2, 3)
SQUARE = np.arange(1.0, 10.0).reshape(3, 3)


@pytest.mark.parametrize(
    ("given", "wanted", "says"),
    [
        (RIGHT, RIGHT, ""),
        (RIGHT * (1 + 1e-9), RIGHT, ""),
        (RIGHT.astype(np.float32), RIGHT, ""),
        (RIGHT.T, RIGHT, "must have shape (2, 3), got (3, 2). Is it the transpose?"),
        (
            RIGHT[None],
            RIGHT,
            "must have shape (2, 3), got (1, 2, 3). The entries are as many: is an axis in the wrong place, or kept?",
        ),
        (RIGHT.sum(0), RIGHT, "must have shape (2, 3), got (3,). Is a sum missing, or one too many?"),
        (RIGHT * 2, RIGHT, "is 2 times what it should be"),
        (-RIGHT, RIGHT, "has the wrong sign"),
        (0 * RIGHT, RIGHT, "is all zero"),
        (SQUARE.T, SQUARE, "is the transpose of what it should be"),
        (RIGHT + np.eye(2, 3), RIGHT, "is off by 17 %"),
        (np.where(RIGHT > 3, np.nan, RIGHT), RIGHT, "holds NaN or infinity"),
        (np.full((2, 3), 1e308), RIGHT, "is off by 1.7e+309 %"),
        (RIGHT.astype(int), RIGHT, "must hold floating-point numbers, got int64"),
        (np.array([1, 2]), np.array([1, 3]), "differs in 1 of 2 entries"),
        (np.array([1.0, 3.0]), np.array([1, 3]), ""),
        (np.array([0.1]), np.array([0.0]), "must be all zero"),
        (np.array(0.1), np.array(0.0), "must be 0"),
        ((RIGHT[0], RIGHT[1]), RIGHT, "must be one array of shape (2, 3), got several. Try np.stack."),
        ((RIGHT, RIGHT, SQUARE), RIGHT, "must be one array of shape (2, 3), got several."),
        (np.array(13), np.array(9), "must be another number than 13"),
        (np.array(1.0001), np.array(1.0), "is off by 0.01 %"),
        ((), RIGHT, "is missing"),
    ],
)
def test_complaints(given, wanted, says):
    (part,) = compare(given, wanted, 1e-6)
    if "e+309" in says:
        assert part.says.startswith("is off by")
    else:
        assert part.says == says
    assert part.right == (part.says == "")


def test_a_tuple_may_stand_for_names_and_a_missing_name_is_missing():
    wanted = {"a": RIGHT, "b": SQUARE}
    assert all(part.right for part in compare((RIGHT, SQUARE), wanted, 1e-6))
    assert [part.says for part in compare({"b": SQUARE}, wanted, 1e-6)] == ["is missing", ""]
    assert [part.right for part in compare((RIGHT,), wanted, 1e-6)] == [False, False]


def test_results_in_another_order_are_told_so():
    wanted = {"a": RIGHT, "b": 2 * RIGHT, "c": RIGHT + 1}
    assert [part.says for part in compare((2 * RIGHT, RIGHT, RIGHT + 1), wanted, 1e-6)] == [
        "is what b should be. Are the results in another order?",
        "is what a should be. Are the results in another order?",
        "",
    ]
    assert compare((2 * RIGHT, 2 * RIGHT, RIGHT + 1), wanted, 1e-6)[0].says == "is 2 times what it should be"
    stacked = np.stack(list(wanted.values()))
    assert all(part.right for part in compare(stacked, wanted, 1e-6))


def case(name, *right, mistakes=(), says=""):
    return Case(name, tuple(Part(f"p{i}", r, "" if r else "is off") for i, r in enumerate(right)), says, mistakes)


def test_every_case_and_every_part_counts():
    verdict = Verdict(
        "q", 6, (case("a", True, True), case("b", True, True, False), case("c", True, says="It raised E")), ()
    )
    assert verdict.earned == 3.0
    assert not verdict.right
    assert Verdict("q", 6, (case("a", True),), ()).right
    assert str(verdict).split("\n") == [
        "✗ q: 3 of 6 points",
        "  ✓ a",
        "  ½ b",
        "  ✗ c",
        "  · b: p2 is off",
        "  · c: It raised E",
    ]


def test_one_array_alone_is_worth_nothing_and_neither_is_one_without_the_first():
    assert case("a", True, False).share == 0
    assert case("a", True, False, True, True).share == 2 / 3
    assert case("a", True).share == 1
    assert case("a", True, False, True)._replace(first=("p1",)).share == 0


def test_an_easy_case_counts_beside_another_that_is_right():
    easy, hard = case("easy", True)._replace(easy=True), case("hard", False)
    assert Verdict("q", 2, (easy, hard), ()).earned == 0
    assert Verdict("q", 3, (easy, hard, case("c", True)), ()).earned == 2


def test_a_mistake_may_be_worth_something_by_itself():
    assert Verdict("q", 3, (case("a", False),), (), worth=2 / 3).earned == 2


def test_a_name_that_only_begins_alike_is_another():
    assert compare({"last_steps": RIGHT}, {"last": RIGHT, "b": RIGHT}, 1e-6)[0].says == "is missing"


def test_a_mistake_is_named_if_it_explains_every_wrong_case():
    both = (case("a", False, mistakes=("m", "n")), case("b", True), case("c", False, mistakes=("n",)))
    assert Verdict("q", 1, both, ()).mistakes == ("n",)
    apart = (case("a", False, mistakes=("m",)), case("c", False, mistakes=("n",)))
    assert Verdict("q", 1, apart, ()).mistakes == ()
    assert Verdict("q", 1, (case("a", True),), ()).mistakes == ()


def test_html_escapes_what_a_learner_wrote():
    page = Verdict("q", 1, (case("a", False, says="It raised <script>"),), ("<b>",))._repr_html_()
    assert "<script>" not in page
    assert "It raised &lt;script&gt;" in page
    assert "&lt;b&gt;" in page
