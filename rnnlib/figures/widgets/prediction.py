"""Predict, then see: a question that is answered by a click before its answer is shown, and the list of what was predicted."""

from collections.abc import Sequence

from rnnlib.figures.widgets.explorable import Explorable, script


class Prediction(Explorable):
    """A question that is answered before the answer is shown."""

    _esm = script("prediction")


class Predictions(Explorable):
    """What was predicted in a chapter, and what came."""

    _esm = script("predictions")


def predict(
    question: str,
    choices: Sequence[str] = (),
    answer: str | int | float = "",
    *,
    key: str,
    why: str = "",
    tolerance: float = 0,
) -> Prediction:
    """Ask the reader to commit to an answer, by click or keyboard, and show it afterwards.

    The guess stays in the reader's browser; nothing is sent anywhere. Without choices the answer is a number.

    Args:
        question: one sentence.
        choices: what can be answered; none for a number.
        answer: the right one of the choices, or the number.
        key: the chapter and a word, such as "16/detach", under which the guess is kept.
        why: what is shown with the answer.
        tolerance: how far off a number may be.

    Returns:
        The explorable.

    Raises:
        ValueError: an answer that is none of the choices, no number where there are none, a key without a chapter.

    Example:
        >>> predict("Which way does the error flow?", ["forward", "backward"], "backward", key="03/flow").data["choices"]
        ['forward', 'backward']
    """
    if choices and answer not in choices:
        raise ValueError(f"predict: answer must be one of {', '.join(choices)}, got {answer!r}.")
    if not choices and not isinstance(answer, int | float):
        raise ValueError(
            f"predict: answer must be a number where there are no choices, got {answer!r}. Try choices=[...]."
        )
    if "/" not in key:
        raise ValueError(f'predict: key must name chapter and question, got {key!r}. Try "16/{key}".')
    data = {"question": question, "choices": list(choices), "answer": str(answer), "key": key, "why": why}
    alt = f"A question: {question} Choose an answer; then the right one is shown, with the reason."
    return Prediction(data=data | {"tolerance": tolerance}, alt=alt)


def predictions(chapter: str) -> Predictions:
    """List what was predicted in a chapter and what came, as a list of what to read again.

    Args:
        chapter: its number, such as "16".

    Returns:
        The explorable.

    Example:
        >>> predictions("16").data
        {'chapter': '16'}
    """
    alt = "A table of the predictions that you made in this chapter: the question, what you said, and what it is."
    return Predictions(data={"chapter": chapter}, alt=alt)
