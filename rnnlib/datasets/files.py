"""Files as they lie on people's disks: what one is by its first bytes, and text as it was written."""

from pathlib import Path

UTF_16 = (b"\xff\xfe", b"\xfe\xff")
KINDS = {  # how a file begins, what it then is, and what to do
    b"version https://git-lfs": ("a git-lfs pointer, a few lines in the file's place", "Try git lfs pull."),
    b"<!doctype html": ("a web page", "Load the file itself, on GitHub by its button Raw."),
    b"<html": ("a web page", "Load the file itself, on GitHub by its button Raw."),
    b"\x1f\x8b": ("something packed by gzip", "Try gunzip, or tar xzf."),
    b"BZh9": ("something packed by bzip2", "Try bunzip2."),
    b"\xfd7zXZ": ("something packed by xz", "Try unxz."),
    b"PK\x03\x04": ("a zip archive, or NumPy's .npz", "Unpack it first."),
    b"\x93NUMPY": ("an array of NumPy's, .npy", "Read it with np.load."),
    b"\x80": ("a pickle", "A pickle can run any program when it is read, so it is not read here."),
    b"(dp0": ("a pickle", "A pickle can run any program when it is read, so it is not read here."),
    b"(dp1": ("a pickle", "A pickle can run any program when it is read, so it is not read here."),
    b"MThd": ("a MIDI file", "Turn it into a piano roll first."),
    b"\x89HDF": ("HDF5", "In MATLAB, save it again with '-v7'."),
    b"MATLAB 7.3": ("a .mat file of version 7.3, HDF5 inside", "In MATLAB, save it again with '-v7'."),
    b"# Created by Octave": ("Octave's own text format", "In Octave, save it again with -v7."),
    b"%PDF": ("a PDF", "Save its text first."),
}


def kind_of(path: str | Path) -> tuple[str, str] | None:
    r"""Recognise what is often found in another file's place: what it is, and what to do; None for what is none of it.

    Args:
        path: a file.

    Returns:
        Two phrases for a message, or None.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "music.mat"
        ...     _ = path.write_text("version https://git-lfs.github.com/spec/v1\n")
        ...     kind_of(path)[1]
        'Try git lfs pull.'

    Source: how these formats begin, by their own specifications; git-lfs: its docs/spec.md.
    """
    with Path(path).open("rb") as file:
        head = file.read(32).lstrip(b"\xef\xbb\xbf \r\n").lower()
    for begin, kind in KINDS.items():
        if head.startswith(begin.lower()):
            return kind
    return None


def read_text(where: str, path: Path) -> str:
    r"""Read a UTF-8 file: a byte-order mark is dropped, \r\n becomes \n, and no other character is touched.

    Args:
        where: the function that asks.
        path: the file, which is there.

    Returns:
        The text.

    Raises:
        ValueError: it is something else than text, or text in another encoding.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "mine.txt"
        ...     _ = path.write_bytes(b"\xef\xbb\xbfa\r\nb")
        ...     read_text("text", path)
        'a\nb'

    Source: the Unicode Standard, section 23.8, Specials.
    """
    content, kind = path.read_bytes(), kind_of(path)
    if kind is None and (content.startswith(UTF_16) or b"\0" in content[:1000]):
        kind = ("UTF-16, or no text", "Save it as UTF-8 in an editor, or try iconv -f utf-16 -t utf-8.")
    if kind and not (kind[0] == "a web page" and path.suffix in (".html", ".htm")):  # who says so wants its source
        raise ValueError(f"{where}: {path} must be UTF-8 text, got {kind[0]}. {kind[1]}")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where}: {path} must be UTF-8, got byte 0x{error.object[error.start]:02x} at position {error.start}. "
            "Save it as UTF-8 in an editor, or try iconv -t utf-8."
        ) from None
