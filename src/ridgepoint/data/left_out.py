"""What lies in a folder of images and is not read: other programs' helpers, and files that are counted."""

import re
from collections import Counter
from fnmatch import fnmatchcase, translate

from ridgepoint.data.opening import suffix_of

HELPERS = {
    ".*": "hidden",  # .thumbnails, .picasaoriginals, .ipynb_checkpoints, .git, .Trash-1000, AppleDouble's ._x.jpg
    "__macosx": "macOS's archive remains",
    "@eadir": "Synology's thumbnails",
    "@tmp": "Synology's temporary files",
    "#recycle": "Synology's recycle bin",
    "#snapshot": "Synology's snapshots",
    "@recycle": "QNAP's recycle bin",
    "@recently-snapshot": "QNAP's snapshots",
    "@__thumb": "QNAP's thumbnails",
    "$recycle.bin": "Windows' recycle bin",
    "recycler": "Windows' recycle bin",
    "system volume information": "Windows' own files",
    "lost+found": "what a disk check found",
    "network trash folder": "macOS's trash",
    "temporary items": "macOS's temporary files",
    "__pycache__": "Python's cache",
    "thumbs.db": "Windows' thumbnails",
    "ehthumbs*.db": "Windows' thumbnails",
    "desktop.ini": "Windows' folder settings",
    "icon\r": "macOS's folder icon",
    "synophoto_*": "Synology's thumbnails",
}
"""Files and folders that other programs leave among images, lower case, * as in a shell, and whose they are."""

_ANY_HELPER = re.compile("|".join(map(translate, HELPERS)))
_JPEG = "convert them to JPEG"
_FRAMES = "take single frames with `ffmpeg -i FILE -vf fps=1 frame%04d.jpg`"
_RAW = f"raw photographs; {_JPEG} with `darktable-cli` or the camera's program"
ADVICE = {
    **dict.fromkeys((".heic", ".heif", ".hif"), f"{_JPEG}, for example with `mogrify -format jpg *.HEIC`"),
    **dict.fromkeys((".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2", ".pef", ".srw"), _RAW),
    **dict.fromkeys((".psd", ".jxl", ".ico", ".j2k", ".jpx", ".pcx", ".exr", ".hdr", ".qoi"), _JPEG),
    **dict.fromkeys((".svg", ".eps", ".pdf", ".ai"), "drawings; draw them as PNG, for example with `magick`"),
    **dict.fromkeys((".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v"), _FRAMES),
    **dict.fromkeys((".zip", ".tar", ".gz", ".tgz", ".rar", ".7z"), "unpack them"),
    **dict.fromkeys((".dcm", ".nii"), "medical images; write their slices as PNG"),
    **dict.fromkeys((".npy", ".npz", ".mat", ".h5", ".tfrecord", ".parquet"), "arrays; write their images as PNG"),
}
"""By file name ending, lower case: what to do with files that hold images but are not read."""


def helper_of(name: str) -> str | None:
    """Whose helper a file or folder of that name is; None if it is the user's own."""
    lower = name.lower()
    if not _ANY_HELPER.match(lower):
        return None
    return next(whose for pattern, whose in HELPERS.items() if fnmatchcase(lower, pattern))


class LeftOut:
    """Counts what is left out while a folder is read, and says so."""

    def __init__(self) -> None:
        self.files: Counter[str] = Counter()  # by ending, lower case
        self._written: dict[str, str] = {}  # an ending as it was written first
        self._helpers: Counter[str] = Counter()  # by name
        self._sentences: list[str] = []

    def file(self, name: str) -> None:
        """A file that is no image by its name."""
        suffix = suffix_of(name)
        self.files[suffix.lower()] += 1
        self._written.setdefault(suffix.lower(), suffix)

    def helper(self, name: str) -> None:
        """A folder of another program; of those that are hidden by a dot nothing is said."""
        self._helpers[name] += not name.startswith(".")

    def say(self, sentence: str) -> None:
        """Anything else, as a sentence."""
        self._sentences.append(sentence)

    def endings(self) -> str:
        """The endings of files that were left out, the most frequent first."""
        return ", ".join(self._written[suffix] or "(no suffix)" for suffix, _ in self.files.most_common(8))

    def notes(self) -> tuple[str, ...]:
        """One sentence each on files, on helper folders, and on what was said besides."""
        told = []
        if self.files:
            ordered = sorted(self.files, key=lambda suffix: (suffix not in ADVICE, -self.files[suffix]))
            named = [self._named(suffix) for suffix in ordered[:6]]
            rest = sum(self.files[suffix] for suffix in ordered[6:])
            told.append(f"left out: {', '.join(named + [f'{rest:,} other files'] * bool(rest))}.")
        if self._helpers.total():
            named = [
                f"'{name}' ({helper_of(name)}{f', {count} times' if count > 1 else ''})"
                for name, count in self._helpers.most_common(6)
                if count
            ]
            told.append(f"left out: folders {', '.join(named)}.")
        return (*told, *self._sentences)

    def _named(self, suffix: str) -> str:
        count, advice = self.files[suffix], ADVICE.get(suffix)
        name = f"{self._written[suffix]} files" if suffix else "files without an ending"
        return f"{count:,} {name}{f' ({advice})' if advice else ''}"
