"""The journal of a search: every candidate in an Optuna study, in the order in which it was looked at."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import optuna

from ridgepoint.errors import ArchitectureError, RidgepointError, RunError
from ridgepoint.files import check_regular, save_atomic, writing
from ridgepoint.search.candidate import Candidate, Phase

STUDY_FILE = "study.db"
NAME, ATTRIBUTE = "candidates", "candidate"
_NAMES = """
    SELECT DISTINCT study_name
    FROM studies LEFT JOIN trials USING (study_id) LEFT JOIN trial_user_attributes USING (trial_id)
"""


class Study:
    """Candidates in an Optuna study: SQLite in a run folder, or memory. A candidate is there whole or not at all.

    Args:
        run: The folder that holds the study; None keeps it in memory.

    Raises:
        RunError: From here and from every method, if the database is damaged or not one of these.
        WriteError: If the disk is full or the folder cannot be written.
    """

    def __init__(self, run: Path | None = None):
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._path = path = None if run is None else run / STUDY_FILE
        with _sound(path):
            if path is not None and path.exists():
                check_regular(path, error=RunError)
                _check(path)
            elif path is not None:
                save_atomic(path, _open)  # a process killed in between would leave tables without their indices
            self._study = _open(path)

    def record(self, candidate: Candidate) -> None:
        """Add a candidate."""
        accuracy = candidate.short_accuracy if candidate.val_accuracy is None else candidate.val_accuracy
        ms = candidate.measured_ms or candidate.estimated_ms
        values = None if accuracy is None or ms is None else [accuracy, ms]
        trial = optuna.trial.create_trial(
            values=values,
            state=optuna.trial.TrialState.FAIL if values is None else optuna.trial.TrialState.COMPLETE,
            user_attrs={ATTRIBUTE: msgspec.json.encode(candidate).decode()},
        )
        with _sound(self._path):
            self._study.add_trial(trial)

    def candidates(self, phase: Phase | None = None) -> list[Candidate]:
        """Every candidate, or those of a phase, in order; what was recorded twice, as recorded last."""
        with _sound(self._path):
            found = [
                msgspec.json.decode(trial.user_attrs[ATTRIBUTE], type=Candidate)
                for trial in self._study.get_trials(deepcopy=False)
                if ATTRIBUTE in trial.user_attrs
            ]
        unique = {(candidate.name, candidate.phase): candidate for candidate in found}.values()
        return [candidate for candidate in unique if phase in (None, candidate.phase)]


@contextlib.contextmanager
def _sound(path: Path | None) -> Iterator[None]:
    """Tell what a damaged database raises, which may be nearly anything."""
    if path is None:
        yield
        return
    try:
        with writing(path):
            yield
    except RidgepointError as error:
        if not isinstance(error, ArchitectureError):
            raise
        raise RunError(_damaged(path, error)) from None
    except Exception as error:
        raise RunError(_damaged(path, error)) from None


def _check(path: Path) -> None:
    """Look whether a file is a journal, before what opens it adds the tables that are missing.

    Raises:
        sqlite3.DatabaseError: If it is none.
    """
    with contextlib.closing(sqlite3.connect(path)) as database:
        (said,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok" or (NAME,) not in database.execute(_NAMES).fetchall():
            raise sqlite3.DatabaseError(said.splitlines()[0])


def _damaged(path: Path, error: Exception) -> str:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return (
        f"{path}: is damaged, or no journal of this version of ridgepoint ({reason}). Put back a copy of it, or start "
        "anew with another --out"
    )


def _open(path: Path | None) -> optuna.Study:
    return optuna.create_study(
        study_name=NAME,
        storage=None if path is None else f"sqlite:///{path}",
        directions=["maximize", "minimize"],
        load_if_exists=True,
    )


def read_candidates(run: Path) -> list[Candidate]:
    """Every candidate of a run, as `Study.candidates` gives them.

    Raises:
        RunError: If the folder holds no study, or a damaged one.
    """
    if not (run / STUDY_FILE).exists():
        raise RunError(f"{run}: holds no {STUDY_FILE}. Give the folder of a run, for example runs/fit/digits")
    return Study(run).candidates()
