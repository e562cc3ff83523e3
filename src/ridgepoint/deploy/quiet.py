"""Exporters and quantisers print, warn and log about themselves, and set logging for the whole process."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

TALKATIVE = (
    "torch.onnx",
    "onnxscript",
    "torch.export",
    "torch.utils._pytree",
    "executorch",
    "litert_torch",
    "coremltools",
    "nncf",
)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """None of what they say concerns the user."""
    loggers = [logging.getLogger(name) for name in TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with (
            logging_as_found(),
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def logging_as_found() -> Iterator[None]:
    """Put back what all loggers share.

    Where OpenVINO's converter fails, it leaves the root at errors alone; NNCF makes all later loggers its own.
    """
    root, kind = logging.getLogger(), logging.getLoggerClass()
    level, filters, handlers = root.level, list(root.filters), list(root.handlers)
    try:
        yield
    finally:
        logging.setLoggerClass(kind)
        root.setLevel(level)
        root.filters[:], root.handlers[:] = filters, handlers
