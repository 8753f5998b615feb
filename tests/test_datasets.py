import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnlib import datasets


def test_text_without_a_path_is_english_and_long():
    content = datasets.text()
    assert len(content) > 300_000
    assert content.count(" the ") > 3_000
    assert len(set(content)) < 200
    assert datasets.text() == content


def test_text_reads_a_file_of_ours(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("Grüße, 世界!\n", encoding="utf-8")
    assert datasets.text(path) == datasets.text(str(path)) == "Grüße, 世界!\n"


def test_text_says_that_a_file_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = f"text: nowhere.txt must be a text file, got nothing there. You are in {tmp_path.name}/."
    with pytest.raises(FileNotFoundError, match=re.escape(message)):
        datasets.text("nowhere.txt")
    with pytest.raises(FileNotFoundError, match="must be a text file"):
        datasets.text(tmp_path)  # a folder


def test_text_says_that_a_file_is_empty(tmp_path):
    path = tmp_path / "empty.txt"
    path.touch()
    message = r"text: .*empty\.txt must hold some text, got an empty file\. Did the download or the save finish\?"
    with pytest.raises(ValueError, match=message):
        datasets.text(path)


def test_text_says_where_a_file_is_not_utf8(tmp_path):
    path = tmp_path / "latin1.txt"
    path.write_bytes("ein Gruß".encode("latin-1"))
    message = r"text: .*latin1\.txt must be UTF-8, got byte 0xdf at position 7\. .* try iconv -t utf-8\."
    with pytest.raises(ValueError, match=message):
        datasets.text(path)


@given(st.text(min_size=1))
def test_decode_undoes_encode(content):
    ids, symbols = datasets.encode(content)
    assert ids.shape == (len(content),)
    assert np.issubdtype(ids.dtype, np.integer)
    assert symbols == "".join(sorted(set(content)))
    assert datasets.decode(ids, symbols) == content


def test_encode_keeps_the_alphabet_it_is_given():
    ids, symbols = datasets.encode("cab", "abcd")
    assert (ids.tolist(), symbols) == ([2, 0, 1], "abcd")


def test_encode_explains_an_unknown_character_and_an_empty_text():
    message = (
        "encode: content must use the 2 given symbols, got 'c'. Try the alphabet of the whole text, before it is split."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        datasets.encode("abc", "ab")
    message = "encode: content must hold some text, got an empty string. Try datasets.text()."
    with pytest.raises(ValueError, match=re.escape(message)):
        datasets.encode("")


@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 7), st.integers(0, 2**16))
def test_one_hot_has_a_single_one_at_the_symbol(T, B, D, seed):
    ids = np.random.default_rng(seed).integers(0, D, (T, B))
    vectors = datasets.one_hot(ids, D)
    assert vectors.shape == (T, B, D)
    np.testing.assert_array_equal(vectors.argmax(-1), ids)
    np.testing.assert_array_equal(vectors.sum(-1), 1)
    assert set(np.unique(vectors)) <= {0.0, 1.0}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_one_hot_has_the_type_that_is_asked_for(dtype):
    assert datasets.one_hot(np.array([1, 0]), 2, dtype=dtype).dtype == dtype


@pytest.mark.bad_input
@pytest.mark.parametrize("ids", [[0, 3], [-1, 0]])
def test_symbols_outside_the_alphabet_are_explained(ids):
    message = re.escape(f"ids must lie in 0 ... 2, got {min(ids)} ... {max(ids)}. Is D the size of the alphabet?")
    with pytest.raises(ValueError, match=f"one_hot: {message}"):
        datasets.one_hot(np.array(ids), 3)
    with pytest.raises(ValueError, match=f"decode: {message}"):
        datasets.decode(np.array(ids), "abc")


@pytest.mark.bad_input
def test_symbols_that_are_not_integers_are_explained():
    for ids, kind in {"float64": np.array([0.0, 1.0]), "bool": np.array([True, False])}.items():
        message = re.escape(f"ids must be integers, got {ids}. Try ids.astype(int).")
        with pytest.raises(TypeError, match=f"one_hot: {message}"):
            datasets.one_hot(kind, 2)
        with pytest.raises(TypeError, match=f"decode: {message}"):
            datasets.decode(kind, "ab")


def test_streams_lay_a_text_out_in_strips():
    inputs, targets = datasets.streams(np.arange(24), 4)  # 23 pairs, 5 a strip
    assert inputs.shape == targets.shape == (5, 4)
    np.testing.assert_array_equal(targets, inputs + 1)
    np.testing.assert_array_equal(inputs.T.ravel(), np.arange(20))


@pytest.mark.bad_input
def test_streams_need_a_symbol_for_every_strip():
    with pytest.raises(ValueError, match=r"streams: B must be between 1 and 2, got 3. There are 3 symbols."):
        datasets.streams(np.arange(3), 3)
    with pytest.raises(TypeError, match="streams: B must be a whole number"):
        datasets.streams(np.arange(3), 1.5)
