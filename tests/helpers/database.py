"""A PostgreSQL server of our own for a test, from the packages of the system; skips where there is none."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def postgresql() -> Iterator[str]:
    """Start a server that is reached through a socket in a temporary folder; gives its address."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    found = [path for path in [shutil.which("pg_ctl"), *Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")] if path]
    if not found:
        pytest.skip("no PostgreSQL server is installed here (Debian: apt-get install postgresql)")
    programs = Path(found[-1]).parent
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []  # which the server refuses to be
    with tempfile.TemporaryDirectory(prefix="postgresql-", ignore_cleanup_errors=True) as place:
        if as_user:
            shutil.chown(place, "postgres")
        run = {"check": True, "stdout": subprocess.DEVNULL, "cwd": place}
        data = f"{place}/data"
        subprocess.run([*as_user, programs / "initdb", "-D", data, "-U", "tester", "--auth=trust", "-N"], **run)
        control = [*as_user, programs / "pg_ctl", "-D", data, "-w"]
        options = f"-c listen_addresses= -c unix_socket_directories={place} -c fsync=off"
        subprocess.run([*control, "-o", options, "-l", f"{place}/log", "start"], **run)
        try:
            yield f"postgresql://tester@/postgres?host={place}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **run)
