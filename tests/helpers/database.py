"""A PostgreSQL server of our own for tests, from the packages of the system; skips where there is none."""

import atexit
import itertools
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

NUMBERS = itertools.count()


def postgresql() -> str:
    """The address of a database that nobody has used."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
    address, name = _server(), f"tests{next(NUMBERS)}"
    with psycopg.connect(address.format("postgres"), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
    return address.format(name)


@cache
def _server() -> str:
    """Start it, reached through a socket in a temporary folder, until this process ends; gives the address."""
    found = [path for path in [shutil.which("pg_ctl"), *Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")] if path]
    if not found:
        pytest.skip("no PostgreSQL server is installed here (Debian: apt-get install postgresql)")
    programs = Path(found[-1]).parent
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []  # which the server refuses to be
    folder = tempfile.TemporaryDirectory(prefix="postgresql-", ignore_cleanup_errors=True)
    place = folder.name
    if as_user:
        shutil.chown(place, "postgres")
    run = {"check": True, "stdout": subprocess.DEVNULL, "cwd": place}
    data = f"{place}/data"
    subprocess.run([*as_user, programs / "initdb", "-D", data, "-U", "tester", "--auth=trust", "-N"], **run)
    control = [*as_user, programs / "pg_ctl", "-D", data, "-w"]
    options = f"-c listen_addresses= -c unix_socket_directories={place} -c fsync=off"
    subprocess.run([*control, "-o", options, "-l", f"{place}/log", "start"], **run)
    atexit.register(folder.cleanup)
    atexit.register(subprocess.run, [*control, "-m", "immediate", "stop"], **run)  # before the folder goes
    return f"postgresql://tester@/{{}}?host={place}"
