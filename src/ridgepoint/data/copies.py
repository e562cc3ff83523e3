"""Files that hold the same image: a leak between parts, or a contradiction between classes."""

from collections.abc import Mapping, Sequence

from ridgepoint.data.images import Split


def notes_on_copies(classes: Sequence[str], parts: Mapping[str, Split]) -> tuple[str, ...]:
    """Sentences on images that several parts, classes or names have in common.

    Args:
        classes: Class names.
        parts: By name, the first of which weights are learned from.
    """
    first: dict[bytes, tuple[str, str, int]] = {}  # of each content: part, id and label where it was met first
    known = {part: split.truth for part, split in parts.items()}
    leaks: dict[str, list[tuple[str, str]]] = {}
    contradictions, copies, otherwise = [], [], []
    for part, split in parts.items():
        for image_id, label, digest in zip(split.ids, split.labels.tolist(), split.digests, strict=True):
            before, other, other_label = first.setdefault(digest, (part, image_id, label))
            if other == image_id:
                continue
            pair = (other, image_id)
            if label != other_label:
                contradictions.append((f"{other} ({classes[other_label]})", f"{image_id} ({classes[label]})"))
            if part != before:
                leaks.setdefault(f"{part} images are also in {before}", []).append(pair)
            elif label == other_label:
                copies.append(pair)
            truth, others = known[part], known[before]
            if truth is not None and others is not None and truth.digest(image_id) != others.digest(other):
                otherwise.append(pair)
    told = [
        f"{len(pairs):,} {what}, byte for byte, so its score says less of new images; first: {_told(pairs[0])}."
        for what, pairs in leaks.items()
    ]
    if contradictions:
        example = _told(contradictions[0])
        told.append(f"{len(contradictions):,} images lie in two classes, byte for byte the same; first: {example}.")
    if otherwise:
        told.append(
            f"{len(otherwise):,} images are copies of another one, and what is marked in them differs; first: "
            f"{_told(otherwise[0])}."
        )
    if copies:
        kind = "part" if any(known.values()) else "part and class"
        told.append(f"{len(copies):,} files are copies of another one of their {kind}; first: {_told(copies[0])}.")
    return tuple(told)


def _told(pair: tuple[str, str]) -> str:
    return f"{pair[0]} = {pair[1]}"
