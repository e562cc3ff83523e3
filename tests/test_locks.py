"""What a lock stands for has one owner: the second is told, a killed one loses it, its children do not keep it."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from ridgepoint.errors import RunError
from ridgepoint.locks import owning

SPAWN, FORK = (multiprocessing.get_context(how) for how in ("spawn", "fork"))


def own(path: Path, told) -> None:
    with owning(path, what="the table", otherwise="Wait"):
        child = FORK.Process(target=time.sleep, args=(60,), daemon=False)
        child.start()
        told.put(child.pid)
        time.sleep(60)


def lock(path: Path, **more: float):
    return owning(path, what="the table", otherwise="Wait until it ends.", **more)


def test_the_second_is_told_who_is_first_and_what_to_do(tmp_path: Path):
    with lock(tmp_path / "lock"):
        with pytest.raises(RunError, match=rf"the table: process {os.getpid()} is at work on it. Wait until it ends."):
            lock(tmp_path / "lock").__enter__()
        with lock(tmp_path / "other"):
            pass
    with lock(tmp_path / "lock"):
        pass


def test_a_killed_owner_loses_it_though_its_child_lives(tmp_path: Path):
    told = SPAWN.Queue()
    owner = SPAWN.Process(target=own, args=(tmp_path / "lock", told))
    owner.start()
    child = told.get(timeout=60)
    with pytest.raises(RunError, match=f"process {owner.pid} is at work"):
        lock(tmp_path / "lock", wait_s=0.2).__enter__()
    owner.kill()
    owner.join()
    try:
        with lock(tmp_path / "lock"):
            os.kill(child, 0)  # it is alive
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_folder_that_is_not_there(tmp_path: Path):
    with pytest.raises(RunError, match="none/lock: cannot be written"):
        lock(tmp_path / "none" / "lock").__enter__()
