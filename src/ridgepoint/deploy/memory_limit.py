"""A bound on the memory that a file may take while it is tried: a few bytes of a graph can ask for any amount."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

try:
    import resource
except ImportError:  # not on this system
    resource = None  # type: ignore[assignment]

LEAST_BYTES, PER_FILE_BYTE, PER_IMAGE_BYTE = 768 << 20, 8, 64
_SIZES = Path("/proc/self/statm")


@contextlib.contextmanager
def limited_memory(file_bytes: int, image_bytes: int) -> Iterator[None]:
    """Let this process grow by so much that any network of this size runs; beyond it, allocations fail.

    It bounds the whole process, so it is held for a moment only; where the system cannot, it bounds nothing.

    Args:
        file_bytes: Of the file, with its weights.
        image_bytes: Of one input.
    """
    if resource is None or not _SIZES.exists():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(_SIZES.read_text().split()[0]) * resource.getpagesize()
    wanted = now + LEAST_BYTES + PER_FILE_BYTE * file_bytes + PER_IMAGE_BYTE * image_bytes
    if soft != resource.RLIM_INFINITY:
        wanted = min(wanted, soft)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
