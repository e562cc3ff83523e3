"""Jobs handed to workers through a database: SQLite on one machine, PostgreSQL between several.

A run posts its jobs; a worker takes one, counts up its beats while it works, and delivers a verdict. What a worker held
that was killed is given to another. No two machines' clocks are compared: the run itself sees whether beats go on.

Whoever can write to the database may have written anything into any column, so rows are checked when they are read.
What cannot be one of ours is passed over by workers and restored by its run; of too long a text nothing is read.
"""

import contextlib
import os
import socket
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    delete,
    event,
    func,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateTable

from ridgepoint.errors import InputError, RidgepointError, RunError
from ridgepoint.files import check_regular
from ridgepoint.search.address import DRIVERS, parse_study, told_study

TRIES = 3  # so often is a job begun that nobody answers as he should
LONGEST = 1_000_000  # characters of a text; a job has some ten thousand
LONGEST_NAME = 1000
LOOKED_AT = 100  # free jobs among which a worker looks for one that can be read
PATIENCE_S = 30  # for a server, or for whoever holds a file or a table

_OF_DATABASES = (SQLAlchemyError, OSError, ValueError, OverflowError)  # drivers do not wrap all that goes wrong
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

Place = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
Name = Annotated[str, msgspec.Meta(max_length=LONGEST_NAME)]
R = TypeVar("R", bound=msgspec.Struct)


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A job that a worker has taken."""

    run: Name
    place: Place
    job: str
    worker: Name
    tries: Place


class Open(msgspec.Struct, frozen=True, kw_only=True):
    """A job without a verdict: who works on it, if anybody, and how many have begun to."""

    place: Place
    worker: Name | None
    tries: Place
    beats: Place


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What was delivered for a job, and by whom."""

    worker: Name | None
    verdict: str


class Board:
    """Jobs of any number of runs in one database; what they say is the business of those who post and take them.

    Args:
        url: `postgresql://host/database` or `sqlite:///path`.

    Raises:
        InputError: If it is no such address, or the package that talks to the database is not installed.
        RunError: If the database cannot be reached or used.
    """

    def __init__(self, url: str):
        self._name = told_study(url)
        self._engine = _engine(url)
        self._create()

    def open(self, run: str, terms: str) -> None:
        """Begin a run, without what an earlier sitting of it left behind: a run's name is `PLACE#SITTING`."""
        sittings = f"{run.rpartition('#')[0]}#"
        with self._begin() as connection:
            for table in (_JOBS, _RUNS):
                before = table.c.run.startswith(sittings, autoescape=True) if len(sittings) > 1 else table.c.run == run
                connection.execute(delete(table).where(before))
            connection.execute(insert(_RUNS).values(run=run, terms=terms))

    def runs(self) -> list[str]:
        """The runs that are open."""
        with self._begin() as connection:
            return list(connection.execute(select(_RUNS.c.run).order_by(_RUNS.c.run)).scalars())

    def terms(self, run: str) -> str | None:
        """What a run wants its workers to know; None if it has ended."""
        with self._begin() as connection:
            row = connection.execute(select(_cut(_RUNS.c.terms)).where(_RUNS.c.run == run)).first()
            return None if row is None else _text(row[0])

    def is_open(self, run: str) -> bool:
        """Whether nobody has ended a run."""
        with self._begin() as connection:
            return connection.execute(select(_RUNS.c.run).where(_RUNS.c.run == run)).first() is not None

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

    def restore(self, run: str, place: int, job: str, *, tries: int) -> None:
        """Offer a job anew, whatever became of its row."""
        with self._begin() as connection:
            connection.execute(delete(_JOBS).where(_JOBS.c.run == run, _JOBS.c.place == place))
            connection.execute(insert(_JOBS).values(run=run, place=place, job=job, tries=tries))

    def withdraw(self, run: str) -> None:
        """Take all jobs of a run away; verdicts that are still worked on go nowhere."""
        with self._begin() as connection:
            connection.execute(delete(_JOBS).where(_JOBS.c.run == run))

    def answer(self, run: str, place: int) -> Answer | None:
        """What was delivered for a job; None as long as nothing was. Empty where the row is gone or none of ours."""
        of_row = (_JOBS.c.place, _JOBS.c.worker, _JOBS.c.tries, _JOBS.c.beats, _cut(_JOBS.c.verdict).label("verdict"))
        with self._begin() as connection:
            row = connection.execute(select(*of_row).where(_JOBS.c.run == run, _JOBS.c.place == place)).first()
        if row is None or (known := _read(row._mapping, Open)) is None:
            return Answer(worker=None, verdict="")
        return None if row.verdict is None else Answer(worker=known.worker, verdict=_text(row.verdict))

    def still_open(self, run: str) -> list[Open]:
        """The jobs of a run that have no verdict, in order."""
        columns = (_JOBS.c.place, _JOBS.c.worker, _JOBS.c.tries, _JOBS.c.beats)
        found = select(*columns).where(_JOBS.c.run == run, _JOBS.c.verdict.is_(None)).order_by(_JOBS.c.place)
        with self._begin() as connection:
            rows = connection.execute(found.limit(LONGEST_NAME)).mappings().all()
        return [job for row in rows if (job := _read(row, Open)) is not None]

    def claim(self, worker: str, *, run: str | None = None, without: Collection[str] = ()) -> Claim | None:
        """Take the first job that nobody works on; None if there is none, or another worker was faster.

        Args:
            worker: Who takes it.
            run: Of this run only.
            without: Of none of these runs.
        """
        free = select(_JOBS.c.run, _JOBS.c.place, _JOBS.c.tries).where(
            _JOBS.c.worker.is_(None),
            _JOBS.c.verdict.is_(None),
            func.length(_JOBS.c.run) <= LONGEST_NAME,
            _JOBS.c.run.not_in(without),
            *([] if run is None else [_JOBS.c.run == run]),
        )
        with self._begin() as connection:
            rows = connection.execute(free.order_by(_JOBS.c.run, _JOBS.c.place).limit(LOOKED_AT)).mappings().all()
            taken = (_read({**row, "job": "", "worker": worker}, Claim) for row in rows)
            claim = next((each for each in taken if each is not None), None)
            if claim is None:
                return None
            mine = (_JOBS.c.run == claim.run, _JOBS.c.place == claim.place)
            claim = msgspec.structs.replace(claim, tries=claim.tries + 1)
            taking = update(_JOBS).where(*mine, _JOBS.c.tries == claim.tries - 1, _JOBS.c.worker.is_(None))
            if connection.execute(taking.values(worker=worker, tries=claim.tries, beats=0)).rowcount < 1:
                return None
            job = connection.execute(select(_cut(_JOBS.c.job)).where(*mine)).first()
            return msgspec.structs.replace(claim, job="" if job is None else _text(job[0]))

    def beat(self, claim: Claim) -> None:
        """Say that the work on a job goes on."""
        self._update(claim, beats=_JOBS.c.beats + 1)

    def deliver(self, claim: Claim, verdict: str) -> None:
        """Answer a job; an answer that nobody waits for any more is dropped."""
        self._update(claim, verdict=verdict)

    def give_back(self, claim: Claim) -> None:
        """Leave a job to others as if it had not been taken."""
        self._update(claim, worker=None, tries=claim.tries - 1)

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

    def _create(self) -> None:
        """Make the tables where they are not there, and look whether those that are there are ours."""
        with contextlib.suppress(RunError), self._begin() as connection:
            _create_tables(connection)  # PostgreSQL fails if another process does so at the same moment
        with self._begin() as connection:
            _create_tables(connection)
            for table in _TABLES.tables.values():
                there = {column["name"] for column in inspect(connection).get_columns(table.name)}
                if missing := ", ".join(sorted(set(table.columns.keys()) - there)):
                    raise RunError(
                        f"{self._name}: its table {table.name} has no column {missing}: it is another program's, or "
                        "another version's. Give another database"
                    )

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except RidgepointError:
            raise
        except _OF_DATABASES as error:
            reason = (str(getattr(error, "orig", None) or error).strip().splitlines() or [type(error).__name__])[0]
            password = self._engine.url.password
            reason = reason.replace(password, "***") if password else reason
            raise RunError(f"{self._name}: {reason}. Check the address and that the database can be used") from None


def worker_name(process: int, token: str) -> str:
    """What a process of this machine is called on a board; the token tells apart machines that are called alike."""
    return f"{token}@{socket.gethostname()}:{process}"


def _engine(url: str) -> Engine:
    """Connects to a database, and waits no longer than is sensible."""
    address = parse_study(url)
    sqlite = address.drivername == "sqlite"
    if sqlite and os.access(file := Path(address.database or ""), os.F_OK):  # else it is made
        check_regular(file, error=RunError)
    waiting = {"timeout": float(PATIENCE_S)} if sqlite else {"connect_timeout": PATIENCE_S}
    try:
        engine = create_engine(
            address.set(drivername=DRIVERS[address.drivername]),
            connect_args={key: value for key, value in waiting.items() if key not in address.query},
        )
    except ImportError:
        raise InputError(
            f"{told_study(url)}: needs the package psycopg: pip install 'ridgepoint[postgresql]'"
        ) from None

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.text_factory = lambda text: text.decode(errors="replace")
        else:
            connection.execute(f"SET lock_timeout = '{PATIENCE_S}s'")
            connection.commit()

    return engine


def _create_tables(connection: Connection) -> None:
    for table in _TABLES.sorted_tables:
        connection.execute(CreateTable(table, if_not_exists=True))


def _cut(column: Column[Any]) -> ColumnElement[Any]:
    """A text, or of one that is longer than any of ours, so much that it can be read as nothing."""
    return func.substr(column, 1, LONGEST + 1)


def _text(value: object) -> str:
    """What a column holds that should hold a text; empty if it holds something else."""
    return value if isinstance(value, str) and len(value) <= LONGEST else ""


def _read(row: Mapping[Any, Any], kind: type[R]) -> R | None:
    """A row, if it can be one of ours."""
    try:
        return msgspec.convert({str(key): value for key, value in row.items()}, kind)
    except msgspec.ValidationError:
        return None
