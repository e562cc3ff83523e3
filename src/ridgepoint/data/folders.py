"""A folder of class folders as a data set: every file is read and decoded once, bad ones are named and skipped."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ridgepoint.data.checks import check_files, report_bad
from ridgepoint.data.deep import judged
from ridgepoint.data.found import Found
from ridgepoint.data.images import FolderSource, Split
from ridgepoint.data.layout import read_tree
from ridgepoint.errors import DataError


def scan_folder(root: Path, *, whole: bool = False, progress: Callable[[int, int], None] | None = None) -> Found:
    """What is in a folder of class folders, with or without folders for train, val and test around them.

    Every file is read once, hashed and decoded, by two threads. Images may lie deeper inside a class folder.

    Args:
        root: An existing folder.
        whole: As for `read_tree`.
        progress: Called with (files checked, files in all).

    Raises:
        DataError: As `read_tree`; also if over 5 % of the files are bad, or all of a class in val or test.
    """
    tree = read_tree(root, whole=whole)
    paths = [path for by_class in tree.parts.values() for paths in by_class.values() for path in paths]
    checks = check_files(tree.root, paths, progress)
    skipped = [f"{path}: {check.reason}" for path, check in checks.items() if check.reason]
    report_bad(root, checks)
    good = {path: check for path, check in checks.items() if not check.reason}

    source, given = FolderSource(tree.root, {path: check.digest for path, check in good.items()}), {}
    for part, by_class in tree.parts.items():
        labelled = [(path, i) for i, name in enumerate(tree.classes) for path in by_class.get(name, ()) if path in good]
        given[part] = Split(tuple(path for path, _ in labelled), np.array([i for _, i in labelled], np.int64), source)
        lost = sorted(set(range(len(tree.classes))) - {i for _, i in labelled})
        if part in ("val", "test") and lost and not whole:
            raise DataError(
                f"no image of class '{tree.classes[lost[0]]}' in '{tree.folders[part]}' can be read. Add some."
            )
    height, width = np.median([check.size for check in good.values()], axis=0)
    white, remarks = judged({path: check.values for path, check in good.items() if check.values})
    return Found(
        name=root.resolve().name or str(root),
        kind="class folders",
        classes=tree.classes,
        given=given,
        median_size=(int(height), int(width)),
        grey=all(check.grey for check in good.values()),
        white=white,
        skipped=tuple(skipped),
        notes=(*tree.left.notes(), *remarks),
    )
