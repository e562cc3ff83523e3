"""What a file is, by how it begins: a download that went wrong is told as such, not as a broken model."""

from pathlib import Path

HEAD_BYTES = 512
_LFS = b"version https://git-lfs.github.com/spec/"
_BEGINNINGS = (
    (b"\x89PNG", "is a PNG image"),
    (b"\xff\xd8\xff", "is a JPEG image"),
    (b"%PDF", "is a PDF document"),
    (b"\x1f\x8b", "is compressed by gzip: unpack it first"),
    (b"BZh", "is compressed by bzip2: unpack it first"),
    (b"\xfd7zXZ", "is compressed by xz: unpack it first"),
    (b"(\xb5/\xfd", "is compressed by zstd: unpack it first"),
    (b"7z\xbc\xaf", "is a 7-Zip archive: unpack it first"),
    (b"Rar!", "is a RAR archive: unpack it first"),
    (b"\x89HDF", "is an HDF5 file, as Keras writes them"),
    (b"\x93NUMPY", "is a NumPy array"),
    (b"GGUF", "is a GGUF file"),
)


def mistaken(path: Path) -> str | None:
    """Words on a file that is no model at all, such as "is empty"; None if it may be one.

    Args:
        path: A regular file.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    text = head.lstrip().lower()
    if not head:
        return "is empty: the download or the copy failed. Fetch it again"
    if head.startswith(_LFS):
        return "is a pointer that Git LFS left in the file's place. Fetch the file itself: git lfs pull"
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "is a web page, saved in the file's place. Fetch the file itself, from the link that downloads it"
    if text.startswith((b'{"error', b'{"message')):
        return "is a server's error message, saved in the file's place. Fetch the file again"
    if len(head) > 8 and head[4:8] == b"TFL3":
        return "is a TensorFlow Lite model"
    return next((words for beginning, words in _BEGINNINGS if head.startswith(beginning)), None)
