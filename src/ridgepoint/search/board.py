"""Jobs handed to workers through a database: SQLite on one machine, PostgreSQL between several.

A run posts its jobs; a worker takes one, counts up its beats while it works, and delivers a verdict. What a worker held
that was killed is given to another. No two machines' clocks are compared: the run itself sees whether beats go on.
"""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Column, Integer, MetaData, String, Table, Text, create_engine, delete, insert, select, update
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from ridgepoint.errors import InputError, RunError

DRIVERS = {"postgresql": "postgresql+psycopg", "sqlite": "sqlite"}

_TABLES = MetaData()
_RUNS = Table(
    "ridgepoint_runs",
    _TABLES,
    Column("run", String, primary_key=True),
    Column("terms", Text, nullable=False),
)
_JOBS = Table(
    "ridgepoint_jobs",
    _TABLES,
    Column("run", String, primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("job", Text, nullable=False),
    Column("worker", String),
    Column("tries", Integer, nullable=False, default=0),
    Column("beats", Integer, nullable=False, default=0),
    Column("verdict", Text),
)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A job that a worker has taken."""

    run: str
    place: int
    job: str
    worker: str
    tries: int


@dataclass(frozen=True, kw_only=True)
class Open:
    """A job without a verdict: who works on it, if anybody, and how many have begun to."""

    place: int
    worker: str | None
    tries: int
    beats: int


class Board:
    """Jobs of any number of runs in one database; what they say is the business of those who post and take them.

    Args:
        url: `postgresql://host/database` or `sqlite:///path`.

    Raises:
        InputError: If it is no such address, or the package that talks to the database is not installed.
        RunError: If the database cannot be reached.
    """

    def __init__(self, url: str):
        address = _address(url)
        try:
            waiting = {"timeout": 30.0} if address.drivername == "sqlite" else {}
            self._engine = create_engine(address, connect_args=waiting)
        except ModuleNotFoundError:
            raise InputError(f"{url}: needs the package psycopg: pip install 'ridgepoint[postgresql]'") from None
        self._name = address.render_as_string(hide_password=True)
        with self._begin() as connection:
            _TABLES.create_all(connection)

    def open(self, run: str, terms: str) -> None:
        """Begin a run, without what an earlier sitting of it left behind."""
        self.close(run)
        with self._begin() as connection:
            connection.execute(insert(_RUNS).values(run=run, terms=terms))

    def runs(self) -> list[str]:
        """The runs that are open."""
        with self._begin() as connection:
            return list(connection.execute(select(_RUNS.c.run).order_by(_RUNS.c.run)).scalars())

    def terms(self, run: str) -> str | None:
        """What a run wants its workers to know; None if it has ended."""
        with self._begin() as connection:
            return connection.execute(select(_RUNS.c.terms).where(_RUNS.c.run == run)).scalar()

    def close(self, run: str) -> None:
        """End a run."""
        self.withdraw(run)
        with self._begin() as connection:
            connection.execute(delete(_RUNS).where(_RUNS.c.run == run))

    def post(self, run: str, jobs: Sequence[str]) -> None:
        """Offer jobs; the first ones are taken first."""
        rows = [{"run": run, "place": place, "job": job} for place, job in enumerate(jobs)]
        if rows:
            with self._begin() as connection:
                connection.execute(insert(_JOBS), rows)

    def withdraw(self, run: str) -> None:
        """Take all jobs of a run away; verdicts that are still worked on go nowhere."""
        with self._begin() as connection:
            connection.execute(delete(_JOBS).where(_JOBS.c.run == run))

    def verdict(self, run: str, place: int) -> str | None:
        """What was delivered for a job; None as long as nothing was."""
        with self._begin() as connection:
            found = select(_JOBS.c.verdict).where(_JOBS.c.run == run, _JOBS.c.place == place)
            return connection.execute(found).scalar_one()

    def still_open(self, run: str) -> list[Open]:
        """The jobs of a run that have no verdict."""
        columns = (_JOBS.c.place, _JOBS.c.worker, _JOBS.c.tries, _JOBS.c.beats)
        with self._begin() as connection:
            rows = connection.execute(select(*columns).where(_JOBS.c.run == run, _JOBS.c.verdict.is_(None)))
            return [Open(**row) for row in rows.mappings()]

    def claim(self, worker: str) -> Claim | None:
        """Take the first job that nobody works on; None if there is none, or another worker was faster."""
        free = select(_JOBS).where(_JOBS.c.worker.is_(None), _JOBS.c.verdict.is_(None))
        with self._begin() as connection:
            row = connection.execute(free.order_by(_JOBS.c.run, _JOBS.c.place).limit(1)).first()
            if row is None:
                return None
            claim = Claim(run=row.run, place=row.place, job=row.job, worker=worker, tries=row.tries + 1)
            as_seen = (_JOBS.c.run == row.run, _JOBS.c.place == row.place, _JOBS.c.tries == row.tries)
            taking = update(_JOBS).where(*as_seen, _JOBS.c.worker.is_(None))
            taken = connection.execute(taking.values(worker=worker, tries=claim.tries, beats=0))
            return claim if taken.rowcount == 1 else None

    def beat(self, claim: Claim) -> None:
        """Say that the work on a job goes on."""
        self._update(claim, beats=_JOBS.c.beats + 1)

    def deliver(self, claim: Claim, verdict: str) -> None:
        """Answer a job; an answer that nobody waits for any more is dropped."""
        self._update(claim, verdict=verdict)

    def free(self, worker: str) -> None:
        """Let others take what a worker has not finished."""
        with self._begin() as connection:
            held = update(_JOBS).where(_JOBS.c.worker == worker, _JOBS.c.verdict.is_(None))
            connection.execute(held.values(worker=None))

    def _update(self, claim: Claim, **values: object) -> None:
        held = (_JOBS.c.worker == claim.worker, _JOBS.c.tries == claim.tries)
        with self._begin() as connection:
            job = update(_JOBS).where(_JOBS.c.run == claim.run, _JOBS.c.place == claim.place, *held)
            connection.execute(job.values(**values))

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            reason = str(error.orig).strip().splitlines()[0]
            raise RunError(f"{self._name}: {reason}. Check the address and that the server runs, then resume") from None


def check_study(url: str) -> None:
    """Make sure that an address can be written down: run folders keep what was asked.

    Raises:
        InputError: If it is no database's address, or holds a password.
    """
    if _address(url).password is not None:
        raise InputError(
            "--study holds a password, which the run folder would keep. Leave it out, and put it into ~/.pgpass or the "
            "variable PGPASSWORD"
        )


def worker_name(pid: int) -> str:
    """What a process of this machine is called on a board."""
    return f"{socket.gethostname()}:{pid}"


def _address(url: str) -> URL:
    try:
        address = make_url(url)
        return address.set(drivername=DRIVERS[address.drivername])
    except (ArgumentError, KeyError, ValueError):
        allowed = "postgresql://[user@]host[:port]/database"
        raise InputError(f"'{url}' is no address of a study. Allowed: {allowed}") from None
