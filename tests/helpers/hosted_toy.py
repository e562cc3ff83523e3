"""A toy runtime whose files are opened in processes of their own, and which an image can make do anything."""

import os
import signal
import sys
import time

import numpy as np
from toy_runtime import Toy, ToySession

from ridgepoint.deploy.runtimes.session import Session

KILLS, HANGS, FILLS, CHATTERS, RAISES = 1e30, 2e30, 3e30, 4e30, 5e30


class HostedToySession(ToySession):
    runtime = "hosted_toy"

    def run(self, x_BCHW: np.ndarray) -> np.ndarray:
        wish = float(x_BCHW.flat[0])
        if wish == np.float32(KILLS):
            os.kill(os.getpid(), signal.SIGSEGV)
        elif wish == np.float32(HANGS):
            time.sleep(60)
        elif wish == np.float32(FILLS):
            bytearray(64 << 30)
        elif wish == np.float32(CHATTERS):
            print("what a library prints", file=sys.stderr, flush=True)
            os.write(1, b"more of it")
        elif wish == np.float32(RAISES):
            raise KeyError("what libraries raise")
        return super().run(x_BCHW)


class HostedToy(Toy):
    name, suffix, hosted = "hosted_toy", ".toy", True

    def session_class(self) -> type[Session]:
        return HostedToySession
