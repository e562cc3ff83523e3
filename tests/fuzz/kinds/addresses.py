"""Addresses of studies and ids of weights on command lines: refused at once, whatever they name.

Nothing is asked but closed ports of this machine: names of other hosts stand only where they must be refused unasked.
"""

import os
import random
import socket
import sqlite3
from functools import cache
from pathlib import Path

from harness import Case

os.environ["HF_HUB_OFFLINE"] = "1"  # ids that look right are looked up in the (empty) cache only
SCHEMES = ("sqlite:///", "sqlite://", "sqlite:////", "postgresql://", "postgresql+psycopg2://", "sqlite+x:///", "mysql://",
           "http://", "file://", "", ":", "//", "postgres://")  # fmt: skip
USERS = ("", "", "me@", "me:s3cret@", ":s3cret@", "me:s3%00cret@", "@", "a@b:s3cret@", "me:s3cret\x1b[2J@")
FILES = ("x.db", "", ".", "no/x.db", "full.db", "text.db", "locked\0.db", "x" * 300, "../x.db", "pipe", "zero",
         "a\udcffb", ":memory:")  # fmt: skip
QUERIES = ("", "", "", "?timeout=abc", "?password=s3cret", "?mode=ro&uri=true", "?connect_timeout=abc",
           "?host=/nowhere", "?host=a&host=b", "?sslmode=evil", "?=", "?%00=1", "?service=s3cret",
           "?" + "x" * 3000)  # fmt: skip
WEIGHTS = ("hf-hub:", "hf-hub:/", "hf-hub:../../x", "hf-hub:a/b/c", "hf_hub:evil\0/x", "timm/", "timm/x\x1b[2J",
           "timm/..", "hf-hub:" + "x" * 5000, "hf-hub:timm/no_such_network.at_all", "timm/a b", "hf-hub:ä/ö", "text.db",
           "pipe", "zero", ".", "", "nowhere.pth", "full.db")  # fmt: skip
SHORT = ("--latency", "5ms", "--evaluations", "1", "--out", "run")


@cache
def closed_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def make(rng: random.Random, folder: Path) -> Case:
    """A study for worker, fit and search; weights for train and fit."""
    (folder / "text.db").write_text("no database\n" * 50)
    os.mkfifo(folder / "pipe")
    (folder / "zero").symlink_to("/dev/zero")
    with sqlite3.connect(folder / "full.db") as connection:
        connection.execute("CREATE TABLE ridgepoint_jobs (evil)")
    if rng.random() < 0.3:
        given = _mangled(rng, rng.choice(WEIGHTS))
        words = rng.choice(
            (
                ("train", "mobilenetv3_small_050", "digits", "--set", "epochs=1", "--out", "run", "--weights", given),
                ("fit", "digits", *SHORT, "--weights", given),
                ("search", "mobilenetv3_small_050", "digits", *SHORT, "--method", "netadapt", "--weights", given),
            )
        )
        return Case(words=words, may=frozenset({2}))
    given = _study(rng)
    check = None if given.startswith("sqlite:///") else _keeps_secrets  # what looks like a password is a file's name
    if rng.random() < 0.6:
        return Case(words=("worker", given, "--idle", "0.1s"), may=frozenset({0, 2}), check=check)
    verb = rng.choice((("fit", "digits"), ("search", "mobilenetv4_conv_32px", "digits")))
    return Case(words=(*verb, *SHORT, "--recipe", "nonsense", "--study", given), may=frozenset({2}), check=check)


def _study(rng: random.Random) -> str:
    scheme = rng.choice(SCHEMES)
    if scheme == "postgresql://":
        host = rng.choice(("127.0.0.1", "[::1]", "127.0.0.1,127.0.0.1"))
        place = f"{host}:{rng.choice((str(closed_port()), 'port', '-1', '99999', ''))}/base"
        if place.endswith(":/base"):  # where a server of this machine may listen
            place = "host.invalid:port/base"
        return scheme + rng.choice(USERS) + place + rng.choice(QUERIES)
    return _mangled(rng, scheme + rng.choice(USERS) + rng.choice(FILES) + rng.choice(QUERIES))


def _mangled(rng: random.Random, text: str) -> str:
    """The text, one time in four with a character more, less or other; never so that a server elsewhere is named."""
    if rng.random() < 0.75 or not text:
        return text
    place, sign = rng.randrange(len(text)), rng.choice("\0\x1b\n @:/?#%&=*~\udc80é")
    changed = text[:place] + rng.choice(("", sign)) + text[place + rng.choice((0, 1)) :]
    return changed if not changed.startswith("postgres") else text


def _keeps_secrets(done: object) -> str | None:
    told = f"{done.stdout}{done.stderr}"  # type: ignore[attr-defined]
    return f"a password is shown: {told[-500:]}" if "s3cret" in told else None
