"""The journal of a search: every candidate in an Optuna study, in the order in which it was looked at."""

from pathlib import Path

import msgspec
import optuna

from ridgepoint.errors import RunError
from ridgepoint.files import save_atomic
from ridgepoint.search.candidate import Candidate, Phase

STUDY_FILE = "study.db"
ATTRIBUTE = "candidate"


class Study:
    """Candidates in an Optuna study: SQLite in a run folder, or memory. A candidate is there whole or not at all.

    Args:
        run: The folder that holds the study; None keeps it in memory.
    """

    def __init__(self, run: Path | None = None):
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        path = None if run is None else run / STUDY_FILE
        if path is not None and not path.is_file():
            save_atomic(path, _open)  # a process killed in between would leave tables without their indices
        self._study = _open(path)

    def record(self, candidate: Candidate) -> None:
        """Add a candidate."""
        accuracy = candidate.short_accuracy if candidate.val_accuracy is None else candidate.val_accuracy
        values = [accuracy, candidate.measured_ms or candidate.estimated_ms]
        complete = None not in values
        trial = optuna.trial.create_trial(
            values=values if complete else None,
            state=optuna.trial.TrialState.COMPLETE if complete else optuna.trial.TrialState.FAIL,
            user_attrs={ATTRIBUTE: msgspec.json.encode(candidate).decode()},
        )
        self._study.add_trial(trial)

    def candidates(self, phase: Phase | None = None) -> list[Candidate]:
        """Every candidate, or those of a phase, in order; what was recorded twice, as recorded last."""
        found = [
            msgspec.json.decode(trial.user_attrs[ATTRIBUTE], type=Candidate)
            for trial in self._study.get_trials(deepcopy=False)
            if ATTRIBUTE in trial.user_attrs
        ]
        unique = {(candidate.name, candidate.phase): candidate for candidate in found}.values()
        return [candidate for candidate in unique if phase in (None, candidate.phase)]


def _open(path: Path | None) -> optuna.Study:
    return optuna.create_study(
        study_name="candidates",
        storage=None if path is None else f"sqlite:///{path}",
        directions=["maximize", "minimize"],
        load_if_exists=True,
    )


def read_candidates(run: Path) -> list[Candidate]:
    """Every candidate of a run, as `Study.candidates` gives them.

    Raises:
        RunError: If the folder holds no study.
    """
    if not (run / STUDY_FILE).is_file():
        raise RunError(f"{run}: holds no {STUDY_FILE}. Give the folder of a run, for example runs/fit/digits")
    return Study(run).candidates()
