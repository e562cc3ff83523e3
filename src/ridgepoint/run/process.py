"""What a verb sets for the whole process while it works, put back at its end: a notebook goes on as it was.

Of torch nothing is put back where it was not loaded before: this module does not load it.
"""

import contextlib
import gc
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple


class Setting(NamedTuple):
    """Something that the whole process shares: how it is read, and how it is set to what was read."""

    read: Callable[[], Any]
    write: Callable[[Any], object]


@contextlib.contextmanager
def as_found() -> Iterator[None]:
    """Put back what is set inside, also where it fails or is interrupted; as a decorator, for a whole function.

    That is environment variables, garbage collection, how much Optuna logs, and torch's threads, deterministic
    algorithms and random generators. What glibc keeps of freed memory stays as a training asked: it cannot be read.
    """
    found = [(each, each.read()) for each in _settings()]
    try:
        yield
    finally:
        for setting, value in found:
            if setting.read() != value:
                setting.write(value)


def _settings() -> list[Setting]:
    optuna = logging.getLogger("optuna")
    settings = [
        Setting(lambda: dict(os.environ), _set_environment),
        Setting(gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
        Setting(lambda: optuna.level, optuna.setLevel),
    ]
    return settings + (_of_torch(sys.modules["torch"]) if "torch" in sys.modules else [])


def _of_torch(torch: Any) -> list[Setting]:
    settings = [
        Setting(torch.get_num_threads, torch.set_num_threads),
        Setting(torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
        Setting(
            lambda: torch.get_rng_state().numpy().tobytes(),
            lambda state: torch.set_rng_state(torch.frombuffer(bytearray(state), dtype=torch.uint8)),
        ),
    ]
    if torch.cuda.is_initialized():
        settings.append(
            Setting(
                lambda: [state.numpy().tobytes() for state in torch.cuda.get_rng_state_all()],
                lambda states: torch.cuda.set_rng_state_all(
                    [torch.frombuffer(bytearray(state), dtype=torch.uint8) for state in states]
                ),
            )
        )
    return settings


def _set_environment(before: Mapping[str, str]) -> None:
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)
