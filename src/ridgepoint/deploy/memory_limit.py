"""A bound on the memory that a file may take while it is tried: a few bytes of a graph can ask for any amount."""

from contextlib import AbstractContextManager

from ridgepoint.system import limited_growth

LEAST_BYTES, PER_FILE_BYTE, PER_IMAGE_BYTE = 768 << 20, 8, 64


def limited_memory(file_bytes: int, image_bytes: int) -> AbstractContextManager[None]:
    """Let this process grow by so much that any network of this size runs; beyond it, allocations fail.

    It bounds the whole process, so it is held for a moment only; where the system cannot, it bounds nothing.

    Args:
        file_bytes: Of the file, with its weights.
        image_bytes: Of one input.
    """
    return limited_growth(LEAST_BYTES + PER_FILE_BYTE * file_bytes + PER_IMAGE_BYTE * image_bytes)
