import bz2
import gzip
import lzma
import pickle
import re
import sys
import sysconfig

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

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
    message = "streams: ids must hold 2 symbols or more, got 1: nothing follows it, so there is no target."
    with pytest.raises(ValueError, match=re.escape(message)):
        datasets.streams(np.arange(1), 1)
    with pytest.raises(ValueError, match=r"streams: ids must be \(N,\) one text.*got \(0,\)\. N must be at least 1"):
        datasets.streams(np.arange(0), 1)
    with pytest.raises(ValueError, match=r"streams: ids must be \(N,\) one text.*got \(6, 1\)\. Try ids\.ravel\(\)"):
        datasets.streams(np.arange(6)[:, None], 2)
    with pytest.raises(TypeError, match=r"streams: ids must be an array, got list"):
        datasets.streams([0, 1, 2], 1)


@given(st.integers(1, 5), st.integers(0, 12))
def test_streams_always_have_a_step(B, more):
    inputs, targets = datasets.streams(np.arange(B + 1 + more), B)
    assert inputs.shape == targets.shape == ((B + more) // B, B)
    np.testing.assert_array_equal(targets, inputs + 1)


@pytest.fixture(scope="module")
def code():
    """The three parts in each unit, from the same files."""
    return {unit: datasets.source_code(unit, characters=400_000) for unit in ("file", "function", "line")}


@pytest.mark.parametrize("unit", ["file", "function", "line"])
def test_source_code_shares_no_file_between_parts(code, unit):
    parts = code[unit]
    assert list(parts) == ["train", "valid", "test"]
    names = [{piece.name for piece in parts[part]} for part in parts]
    assert all(names)
    assert len(names[0] | names[1] | names[2]) == sum(map(len, names))


def test_source_code_is_labelled_as_tokenize_reads_each_file(code):
    for pieces in code["file"].values():
        for piece in pieces:
            np.testing.assert_array_equal(piece.classes, datasets.token_classes(piece.text))
            assert 4000 < len(piece.text) < 80_000


@pytest.mark.parametrize("unit", ["function", "line"])
def test_pieces_of_source_code_agree_with_their_file(code, unit):
    for part, pieces in code[unit].items():
        files = {file.name: file for file in code["file"][part]}
        for piece in pieces:
            file, found = files[piece.name], False
            assert len(piece.text) == len(piece.classes) > 0
            begin = file.text.find(piece.text)
            while begin >= 0 and not found:
                found = (file.classes[begin : begin + len(piece.text)] == piece.classes).all()
                begin = file.text.find(piece.text, begin + 1)
            assert found, f"{piece.name}: {piece.text[:40]!r} is nowhere in its file with these classes"


def test_lines_and_functions_are_what_they_say(code):
    for pieces in code["line"].values():
        assert all("\n" not in piece.text and piece.text.strip() for piece in pieces)
    for pieces in code["function"].values():
        assert all(re.match(r"\s*(@|def |async def )", piece.text) for piece in pieces)
    for part, files in code["file"].items():
        wanted = sum(bool(line.strip()) for file in files for line in file.text.split("\n"))
        assert len(code["line"][part]) == wanted


def test_a_line_knows_that_it_is_in_a_docstring(code):
    string = datasets.CLASSES.index("string")
    assert any((piece.classes == string).all() and '"' not in piece.text for piece in code["line"]["train"])


def test_source_code_is_the_same_every_time_and_as_long_as_asked(code):
    again = datasets.source_code("file", characters=400_000)
    assert [p.text for p in again["train"]] == [p.text for p in code["file"]["train"]]
    assert 300_000 < sum(len(piece.text) for pieces in again.values() for piece in pieces) < 520_000
    fewest = datasets.source_code("file", characters=1)
    assert [len(fewest[part]) for part in fewest] == [8, 1, 1], "ten files at least, so that no part is empty"


@pytest.mark.bad_input
def test_source_code_explains_what_it_cannot_do():
    message = "source_code: unit must be one of 'file', 'function', 'line', got 'word'."
    with pytest.raises(ValueError, match=re.escape(message)):
        datasets.source_code("word")
    with pytest.raises(ValueError, match="source_code: characters must be at least 1, got 0"):
        datasets.source_code(characters=0)
    with pytest.raises(TypeError, match="source_code: characters must be a whole number"):
        datasets.source_code(characters=1e6)


def test_iob_reads_atis(shared_data):
    parts = datasets.iob(shared_data("atis"))
    assert {part: len(sentences) for part, sentences in parts.items()} == {"train": 4478, "valid": 500, "test": 893}
    first = parts["train"][0]
    assert len(first.words) == len(first.tags)
    assert all(tag == "O" or tag[:2] in ("B-", "I-") for s in parts["test"] for tag in s.tags)


def iob_folder(tmp_path, words, tags):
    (tmp_path / "train.seq.in").write_text(words, encoding="utf-8")
    (tmp_path / "train.seq.out").write_text(tags, encoding="utf-8")
    return tmp_path


def test_iob_reads_words_and_tags(tmp_path):
    folder = iob_folder(tmp_path, "to new york\nné à\n", "O B-city I-city\nO B-x\n")
    assert (
        datasets.iob(folder)
        == datasets.iob(str(folder))
        == {
            "train": (
                datasets.Sentence(("to", "new", "york"), ("O", "B-city", "I-city")),
                datasets.Sentence(("né", "à"), ("O", "B-x")),
            )
        }
    )


def test_iob_takes_a_chunk_right_behind_another(tmp_path):
    tags = datasets.iob(iob_folder(tmp_path, "a b c d\n", "B-x B-x I-x B-y\n"))["train"][0].tags
    assert tags == ("B-x", "B-x", "I-x", "B-y")


@pytest.mark.parametrize(
    ("words", "tags", "message"),
    [
        ("a b\na\n", "O O\n", "train.seq.out must have a line for each of train.seq.in, got 1 for 2."),
        ("a\na b\n", "O\nO\n", "line 2: there must be a tag for each word, and one word at least, got 1 for 2."),
        ("a\n\na\n", "O\n\nO\n", "line 2: there must be a tag for each word, and one word at least, got 0 for 0."),
        ("a b\n", "O X-city\n", "line 1: a tag must be O, B-kind or I-kind, got 'X-city'."),
        ("a b\n", "O B-\n", "line 1: a tag must be O, B-kind or I-kind, got 'B-'."),
        ("a b\n", "o O\n", "line 1: a tag must be O, B-kind or I-kind, got 'o'."),
        ("a b\n", "O I-city\n", "line 1: I-city must follow B-city or I-city, got it behind O. Is it IOB1?"),
        ("a b\n", "I-city O\n", "line 1: I-city must follow B-city or I-city, got it behind O. Is it IOB1?"),
        ("a\na b\n", "O\nB-x I-y\n", "line 2: I-y must follow B-y or I-y, got it behind B-x."),
    ],
)
def test_iob_says_where_and_what_is_wrong(tmp_path, words, tags, message):
    with pytest.raises(
        ValueError, match=re.escape("iob: train.seq.out") + ".*" + re.escape(message.split("seq.out")[-1])
    ):
        datasets.iob(iob_folder(tmp_path, words, tags))


def test_iob_says_that_something_is_missing(tmp_path):
    message = "must hold files such as train.seq.in and train.seq.out, got"
    with pytest.raises(FileNotFoundError, match=f"iob: .* {message} an empty folder."):
        datasets.iob(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"iob: .*nowhere {message} no such folder."):
        datasets.iob(tmp_path / "nowhere")
    (tmp_path / "test.seq.in").write_text("a\n")
    message = "iob: test.seq.in must have its tags beside it in test.seq.out, got nothing there."
    with pytest.raises(FileNotFoundError, match=re.escape(message)):
        datasets.iob(tmp_path)


@pytest.mark.parametrize("odd", list("\u2028\u2029\x0b\x0c\x1c\x1d\x1e\x85\u00a0\u3000\r"))
def test_iob_ends_lines_and_words_where_an_editor_does(tmp_path, odd):
    folder = iob_folder(tmp_path, "", "")
    for end in (b"\n", b"\r\n"):
        (folder / "train.seq.in").write_bytes(f"a{odd}b  {odd} c\t d".encode() + end + b"e" + end)
        (folder / "train.seq.out").write_bytes(b"O\tB-x  I-x O " + end + b"O" + end + end)
        first, second = datasets.iob(folder)["train"]
        assert first == ((f"a{odd}b", odd, "c", "d"), ("O", "B-x", "I-x", "O"))
        assert second == (("e",), ("O",))


def test_iob_drops_a_byte_order_mark(tmp_path):
    folder = iob_folder(tmp_path, "\ufeffO x\n", "\ufeffO O\n")
    assert datasets.iob(folder)["train"][0] == (("O", "x"), ("O", "O"))


def test_iob_reads_a_folder_for_each_part(tmp_path):
    for part, word in {"train": "a", "dev": "b"}.items():
        (tmp_path / part).mkdir()
        (tmp_path / part / "seq.in").write_text(f"{word}\n")
        (tmp_path / part / "seq.out").write_text("O\n")
        (tmp_path / part / "label").write_text("flight\n")
    assert datasets.iob(tmp_path) == {
        "train": (datasets.Sentence(("a",), ("O",)),),
        "dev": (datasets.Sentence(("b",), ("O",)),),
    }


def test_iob_says_what_else_lies_there(tmp_path):
    for name in ("b.txt", "a.conll", "c.pkl", "d"):
        (tmp_path / name).write_text("EU B-ORG\n")
    with pytest.raises(FileNotFoundError, match=r"got a folder with a\.conll, b\.txt, c\.pkl \.\.\.\."):
        datasets.iob(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"got a file\. Is it in columns, a word and its tag a line\?"):
        datasets.iob(tmp_path / "a.conll")
    for tag in ("S-x", "E-x", "U-x", "L-x"):
        message = f"line 1: a tag must be O, B-kind or I-kind, got '{tag}'. Is it IOBES? Then write B- for S- and U-"
        with pytest.raises(ValueError, match=re.escape(message)):
            datasets.iob(iob_folder(tmp_path, "a\n", f"{tag}\n"))
    for words, tags in (("", ""), ("\n\n", "\n\n")):
        with pytest.raises(
            ValueError, match=r"line 1: there must be a tag for each word, and one word at least, got 0"
        ):
            datasets.iob(iob_folder(tmp_path, words, tags))


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
NOT_TEXT = {
    "git-lfs": (LFS, "a git-lfs pointer, a few lines in the file's place. Try git lfs pull."),
    "web page": (b"\n<!DOCTYPE html>\n<html>", "a web page. Load the file itself, on GitHub by its button Raw."),
    "gzip": (gzip.compress(b"text"), "something packed by gzip. Try gunzip"),
    "bzip2": (bz2.compress(b"text"), "something packed by bzip2. Try bunzip2."),
    "xz": (lzma.compress(b"text"), "something packed by xz. Try unxz."),
    "zip": (b"PK\x03\x04\x14\0", "a zip archive, or NumPy's .npz. Unpack it first."),
    "pickle": (pickle.dumps({"train": []}), "a pickle. A pickle can run any program"),
    "UTF-16": (
        "text".encode("utf-16"),
        "UTF-16, or no text. Save it as UTF-8 in an editor, or try iconv -f utf-16 -t utf-8.",
    ),
    "UTF-16 without a mark": ("text".encode("utf-16-le"), "UTF-16, or no text. Save it as UTF-8"),
}


@pytest.mark.parametrize("name", NOT_TEXT)
def test_what_is_no_text_is_recognised(tmp_path, name):
    content, message = NOT_TEXT[name]
    path = tmp_path / "mine.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="^" + re.escape(f"text: {path} must be UTF-8 text, got {message}")):
        datasets.text(path)
    folder = iob_folder(tmp_path, "a\n", "O\n")
    (folder / "train.seq.in").write_bytes(content)
    with pytest.raises(ValueError, match=r"^iob: .*train\.seq\.in must be UTF-8 text, got"):
        datasets.iob(folder)


def test_iob_says_where_a_file_is_not_utf8(tmp_path):
    folder = iob_folder(tmp_path, "a\n", "O\n")
    (folder / "train.seq.in").write_bytes("Gruß\n".encode("latin-1"))
    with pytest.raises(
        ValueError, match=r"^iob: .*train\.seq\.in must be UTF-8, got byte 0xdf at position 3\. Save it"
    ):
        datasets.iob(folder)


def test_text_keeps_all_but_the_mark_and_the_ends_of_lines(tmp_path):
    path = tmp_path / "page.html"
    path.write_bytes("\ufeff<html>\r\na\u2028b\x0c\x85\u00a0\ufeff\r".encode())
    assert datasets.text(path) == "<html>\na\u2028b\x0c\x85\u00a0\ufeff\r"


def test_a_python_without_its_help_or_its_source_is_explained(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    message = (
        "text: Python's help topics must be there, got a Python without them. Give a file of yours: text('mine.txt')"
    )
    with pytest.raises(ModuleNotFoundError, match="^" + re.escape(message)):
        datasets.text()
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    message = r"^source_code: ten files of Python's own source must be there, got 0 in .*/\. Is it in a zip file\?$"
    with pytest.raises(FileNotFoundError, match=message):
        datasets.source_code()


def test_source_in_an_encoding_of_its_own_is_read_in_it(monkeypatch, tmp_path):
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    for n in range(10):
        (tmp_path / f"m{n}.py").write_bytes("# coding: latin-1\nx = 'Gruß'\n".encode("latin-1") * 200)
    parts = datasets.source_code()
    assert all("Gruß" in piece.text for pieces in parts.values() for piece in pieces)


@pytest.mark.parametrize(
    ("name", "pieces"), [("JSB_Chorales", (229, 76, 77)), ("Nottingham", (694, 173, 170))], ids=lambda a: str(a)
)
def test_piano_roll_reads_both_collections(shared_data, name, pieces):
    parts = datasets.piano_roll(shared_data("music") / f"{name}.mat")
    assert tuple(len(parts[part]) for part in ("train", "valid", "test")) == pieces
    for piece in parts["test"]:
        assert piece.dtype == np.float32
        assert piece.shape[1] == 88
        assert set(np.unique(piece)) <= {0.0, 1.0}


def mat(path, **parts):
    """A .mat file of cell arrays, as the collections are."""
    cells = {}
    for name, pieces in parts.items():
        cells[name] = np.empty((1, len(pieces)), object)
        cells[name][0, :] = pieces
    savemat(path, cells)
    return path


def keys(T=3, K=88, value=0):
    return np.full((T, K), value, np.uint8)


def test_piano_roll_reads_a_file_of_ours(tmp_path):
    path = mat(tmp_path / "a.mat", traindata=[keys(3), keys(5)], validdata=[keys(1)], testdata=[keys(2, value=1)])
    parts = datasets.piano_roll(path)
    assert [piece.shape for piece in parts["train"]] == [(3, 88), (5, 88)]
    assert parts["test"][0].sum() == 2 * 88


def test_piano_roll_explains_a_missing_and_a_damaged_file(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"piano_roll: .*no\.mat must be a .mat file of piano rolls, got nothing"
    ):
        datasets.piano_roll(tmp_path / "no.mat")
    whole = mat(tmp_path / "a.mat", traindata=[keys()], validdata=[keys()], testdata=[keys()]).read_bytes()
    for name, content in {"cut": whole[: len(whole) // 2], "text": b"this is no music", "empty": b""}.items():
        path = tmp_path / f"{name}.mat"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"piano_roll: .*{name}\.mat must be a .mat file, got something damaged"):
            datasets.piano_roll(path)


NOT_MAT = {
    "pickle": (
        pickle.dumps({"train": [[(60, 64)]]}),
        "a pickle. Take the .mat file of the same name. A pickle can run any program",
    ),
    "old pickle": (pickle.dumps({"train": []}, 0), "a pickle. Take the .mat file of the same name."),
    "git-lfs": (LFS, "a git-lfs pointer, a few lines in the file's place. Try git lfs pull."),
    "web page": (b"<!DOCTYPE html><html></html>", "a web page. Load the file itself"),
    "npz": (b"PK\x03\x04\x14\0", "a zip archive, or NumPy's .npz. Unpack it first."),
    "npy": (b"\x93NUMPY\x01\0", "an array of NumPy's, .npy. Read it with np.load."),
    "midi": (b"MThd\0\0\0\x06", "a MIDI file. Turn it into a piano roll first."),
    "mat 7.3": (
        b"MATLAB 7.3 MAT-file, Platform: GLNXA64",
        "a .mat file of version 7.3, HDF5 inside. In MATLAB, save it again",
    ),
    "hdf5": (b"\x89HDF\r\n\x1a\n", "HDF5. In MATLAB, save it again with '-v7'."),
    "octave": (b"# Created by Octave 8.4.0", "Octave's own text format. In Octave, save it again with -v7."),
}


@pytest.mark.parametrize("name", NOT_MAT)
def test_piano_roll_says_what_a_file_is_that_is_no_mat(tmp_path, name):
    content, message = NOT_MAT[name]
    path = tmp_path / "JSB.mat"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="^" + re.escape(f"piano_roll: {path} must be a .mat file, got {message}")):
        datasets.piano_roll(path)
    with pytest.raises(FileNotFoundError, match="got a folder"):
        datasets.piano_roll(tmp_path)


@pytest.mark.parametrize(
    ("piece", "message"),
    [
        (
            np.where(np.eye(3, 88, 40, dtype=bool), np.uint8(64), np.uint8(0)),
            "hold 0 and 1 alone, got 64 at step 0, key 40. Are these velocities? Then (piece > 0).",
        ),
        (
            keys(K=128),
            "be (T, 88) of 0 and 1, got (3, 128). Are these MIDI's 128 notes? The piano's are piece[:, 21:109].",
        ),
        (keys(T=88, K=5), "be (T, 88) of 0 and 1, got (88, 5). Is time last? Then piece.T."),
        (keys(K=87), "be (T, 88) of 0 and 1, got (3, 87)."),
        (np.full((2, 88), 0.5), "hold 0 and 1 alone, got 0.5 at step 0, key 0."),
        (np.full((2, 88), -1.0), "hold 0 and 1 alone, got -1.0 at step 0, key 0."),
        (np.full((2, 88), np.nan), "hold 0 and 1 alone, got nan at step 0, key 0."),
        (np.zeros((0, 88)), "be (T, 88) of 0 and 1, got (0, 88)."),
    ],
)
def test_piano_roll_says_what_a_piece_looks_like(tmp_path, piece, message):
    path = mat(tmp_path / "a.mat", traindata=[keys()], validdata=[keys(), piece], testdata=[keys()])
    with pytest.raises(ValueError, match=re.escape(f"a.mat, validdata, piece 1 must {message}") + "$"):
        datasets.piano_roll(path)


def test_piano_roll_reads_sparse_and_logical_pieces(tmp_path):
    piece = np.eye(3, 88)
    path = mat(tmp_path / "a.mat", traindata=[scipy.sparse.csc_matrix(piece)], validdata=[piece > 0], testdata=[piece])
    for pieces in datasets.piano_roll(path).values():
        np.testing.assert_array_equal(pieces[0], piece)
        assert pieces[0].dtype == np.float32


def test_piano_roll_wants_cells(tmp_path):
    path = tmp_path / "a.mat"
    savemat(path, {"traindata": keys()})
    with pytest.raises(
        ValueError, match=r"a\.mat, traindata must be a cell array of pieces, got one array\. In MATLAB"
    ):
        datasets.piano_roll(path)


def test_piano_roll_explains_what_does_not_fit(tmp_path):
    path = mat(tmp_path / "a.mat", traindata=[keys()], testdata=[keys()])
    with pytest.raises(ValueError, match=r"a\.mat must hold validdata, got \['testdata', 'traindata'\]\."):
        datasets.piano_roll(path)


def test_digits_are_read_row_by_row():
    digits = datasets.digits()
    assert digits.xs.shape == (64, 1797, 1)
    assert digits.xs.dtype == np.float32
    assert (digits.xs.min(), digits.xs.max()) == (0, 1)
    assert digits.labels.shape == (1797,)
    assert set(digits.labels.tolist()) == set(range(10))
    picture = digits.xs[:, 0, 0].reshape(8, 8)  # the first is a zero: a ring
    assert digits.labels[0] == 0
    assert picture[:, 3:5].sum() < picture[:, [2, 5]].sum()
    assert picture[:, 0].sum() == picture[:, 7].sum() == 0, "a row is a row of the picture, not a column"
