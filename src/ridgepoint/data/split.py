"""Train, val and test: stratified, seeded, the same in every process, every class in every part."""

from collections.abc import Mapping, Sequence

import numpy as np

from ridgepoint.errors import DataError

SMALL = 10_000
"""Below this many images a fifth each, from it on a tenth each, goes to val and to test."""

CARVED = 0.15
"""The share of a given train part that becomes val when the source has none to spare."""


def stratified(
    labels: np.ndarray, shares: Sequence[float], seed: int, originals: np.ndarray | None = None
) -> tuple[np.ndarray, ...]:
    """Indices of a first part that keeps the rest, and of one further part for each share.

    Args:
        labels: int (N,).
        shares: The part of every class, in 0..1, that each further part gets; rounded, at least one image.
        seed: Same labels, shares and seed, same parts.
        originals: int (N,), for each image the index of the first one of the same content and class: copies go where
            their original goes, unless most of a class are copies. None: there are no copies.

    Returns:
        ``1 + len(shares)`` sorted index arrays that together hold every index once.
    """
    rng = np.random.default_rng(seed)
    goes_with = np.arange(len(labels)) if originals is None else originals.copy()
    parts: list[list[np.ndarray]] = [[] for _ in range(1 + len(shares))]
    for label in np.unique(labels):
        everyone = np.flatnonzero(labels == label)
        members = np.unique(goes_with[everyone])
        if len(members) <= max(len(shares), len(everyone) // 2):
            goes_with[everyone] = members = everyone
        members = rng.permutation(members)
        start = 0
        for part, share in zip(parts[1:], shares, strict=True):
            count = max(1, round(share * len(members)))
            part.append(members[start : start + count])
            start += count
        parts[0].append(members[start:])
    return tuple(
        np.flatnonzero(np.isin(goes_with, np.concatenate(part))) if part else np.empty(0, np.int64) for part in parts
    )


def plan_split(
    given: Mapping[str, np.ndarray], classes: Sequence[str], seed: int, originals: np.ndarray | None = None
) -> tuple[dict[str, tuple[str, np.ndarray]], str]:
    """Where train, val and test come from.

    Args:
        given: Labels of each part that the source came with: ``all``, or ``train`` with or without ``val``, ``test``.
        classes: Class names, for messages; none where parts are drawn without regard to classes, all labels being 0.
        seed: Of the parts that have to be drawn.
        originals: As for `stratified`, of the part that others are drawn from.

    Returns:
        For each of train, val and test, the given part and the indices to take from it; and one sentence on it.

    Raises:
        DataError: If a class has too few images to be in every part that is drawn from where it lies.
    """
    whole = "all" if "all" in given else "train"
    everything = {part: (part, np.arange(len(labels))) for part, labels in given.items()}
    labels = given[whole]
    if "val" in given and "test" in given:
        _check_counts(labels, classes, 1, "train")
        return {part: everything[part] for part in ("train", "val", "test")}, "train, val and test are used as given."
    if "val" in given or "test" in given:
        _check_counts(labels, classes, 2, "train and val")
        train, val = stratified(labels, [CARVED], seed, originals)
        whole_part = "test" if "test" in given else "val"
        each = "of every class" if classes else "of it"
        note = f"val was drawn from the given train ({CARVED:.0%} {each}, seed {seed}); " + (
            "test is used as given."
            if whole_part == "test"
            else "the given val became the test part, which no choice is made by."
        )
        return {"train": ("train", train), "val": ("train", val), "test": everything[whole_part]}, note
    _check_counts(labels, classes, 3, "train, val and test")
    share = 0.2 if len(labels) < SMALL else 0.1
    train, val, test = stratified(labels, [share, share], seed, originals)
    each = "of every class" if classes else "of all images"
    note = f"drawn at random, {1 - 2 * share:.0%}/{share:.0%}/{share:.0%} {each}, seed {seed}."
    return {"train": (whole, train), "val": (whole, val), "test": (whole, test)}, note


def _check_counts(labels: np.ndarray, classes: Sequence[str], needed: int, parts: str) -> None:
    if not classes:
        if len(labels) < needed:
            raise DataError(
                f"too few readable images: there are {len(labels)}; at least {needed} are needed, one each for "
                f"{parts}. Add some."
            )
        return
    counts = np.bincount(labels, minlength=len(classes))
    few = [f"'{name}' has {count}" for name, count in zip(classes, counts, strict=True) if count < needed]
    if few:
        more = f" (and {len(few) - 5} more classes)" if len(few) > 5 else ""
        raise DataError(
            f"too few readable images: class {', '.join(few[:5])}{more}; every class needs at least "
            f"{needed}, one each for {parts}. Add images to it, or remove the class."
        )
