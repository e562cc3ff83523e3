"""Randomness as a function of a seed and a place, so that a resumed run draws what the uninterrupted one drew."""

import hashlib


def seed_for(seed: int, *place: object) -> int:
    """A 63-bit seed for one place of a run, such as `seed_for(0, "step", 17)`; the same in every process."""
    digest = hashlib.sha256(repr((seed, *place)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1
