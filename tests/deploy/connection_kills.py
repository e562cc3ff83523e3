"""Break connections to a device at random moments of calibrations: nothing is lost, nothing is left on the device.

    python tests/deploy/connection_kills.py --count 100

A real sshd on loopback is the device. Each time a calibration goes on with the table that the last one left, and the
client, the agent's shell or the agent itself is killed after a random time, also while it connects. Prints JSON.
"""

import argparse
import json
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from processes import send
from ssh_server import Server, ssh_server

from ridgepoint.cost.samples import sample_network
from ridgepoint.cost.table import LatencyTable
from ridgepoint.deploy import parts, sampling
from ridgepoint.deploy.calibrate import HostTable
from ridgepoint.deploy.places.address import read_address
from ridgepoint.deploy.places.ssh import connect
from ridgepoint.errors import InputError, UnreachableError

VICTIMS = ("client", "client", "agent")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, default=14.0, help="seconds until it breaks at last")
    given = parser.parse_args()
    parts.ROUNDS, parts.ROUND_S, sampling.AGAIN, sampling.TOGETHER = 2, 0.002, 8, 2
    chance, ended = random.Random(given.seed), Counter[str]()
    with tempfile.TemporaryDirectory() as folder, ssh_server(Path(folder) / "server") as server:
        path = Path(folder) / "table.json"
        known: list[bytes] = []
        for number in range(1, given.count + 1):
            ended[broken(server, path, chance, longest_s=given.longest)] += 1
            server.wait_until_left()
            now = stored(path)
            assert now[: len(known)] == known, "what was timed is timed again or lost"
            known = now
            print(f"{number} of {given.count}: {dict(ended)}", file=sys.stderr, flush=True)
        numbers = [msgspec.json.decode(each)["network"]["name"] for each in known]
        assert numbers == [sample_network(number).name for number in range(len(known))]
    print(json.dumps({"connections": given.count, "ended": ended, "samples": len(known), "left": 0}))


def broken(server: Server, path: Path, chance: random.Random, *, longest_s: float) -> str:
    """One calibration whose connection is broken; how it ended."""
    victim, after_s, done = chance.choice(VICTIMS), chance.uniform(0.0, longest_s), threading.Event()

    def cut() -> None:
        done.wait(after_s)
        until = time.monotonic() + 10
        while not done.is_set() and time.monotonic() < until:
            if victim == "client":
                send(signal.SIGKILL, server.clients())
            else:
                send(signal.SIGTERM, server.agents())
            done.wait(0.05)

    thread = threading.Thread(target=cut)
    thread.start()
    device = None
    try:
        device = connect(read_address(server.address))
        table = HostTable(path=path, busy=True, place=device)
        sampling.time_samples(table.table, path, time_s=60.0, busy=True, place=device)
    except UnreachableError:
        return "broken"
    except InputError:
        return "broken while it connected"
    finally:
        done.set()
        thread.join()
        if device is not None:
            device.close()
    return "done"


def stored(path: Path) -> list[bytes]:
    if not path.exists():
        return []
    return [msgspec.json.encode(each) for each in msgspec.json.decode(path.read_bytes(), type=LatencyTable).samples]


if __name__ == "__main__":
    main()
