"""The journal of a run: every candidate in an Optuna study on SQLite, and reading it back."""

from pathlib import Path

import msgspec
import optuna

from ridgepoint.errors import RunError
from ridgepoint.search.candidate import Candidate

STUDY_FILE = "study.db"
ATTRIBUTE = "candidate"


def open_study(run: Path, sampler: optuna.samplers.BaseSampler | None = None) -> optuna.Study:
    """The study inside a run folder; made if it is not there."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(
        study_name="candidates",
        storage=f"sqlite:///{run / STUDY_FILE}",
        directions=["maximize", "minimize"],
        sampler=sampler,
        load_if_exists=True,
    )


def record(study: optuna.Study, candidate: Candidate) -> None:
    """Add a candidate that no sampler asked for, such as a baseline or the winner's full training."""
    values = [candidate.val_accuracy or candidate.short_accuracy or 0.0, candidate.measured_ms or candidate.tabled_ms]
    trial = optuna.trial.create_trial(
        values=values if None not in values else None,
        state=optuna.trial.TrialState.COMPLETE if None not in values else optuna.trial.TrialState.FAIL,
        user_attrs={ATTRIBUTE: msgspec.json.encode(candidate).decode()},
    )
    study.add_trial(trial)


def read_candidates(run: Path) -> list[Candidate]:
    """Every candidate of a run, in the order in which it was looked at; what was recorded twice, as recorded last.

    Raises:
        RunError: If the folder holds no study.
    """
    if not (run / STUDY_FILE).is_file():
        raise RunError(f"{run}: holds no {STUDY_FILE}. Give the folder of a run, for example runs/fit/digits")
    study = open_study(run)
    found = [
        msgspec.json.decode(trial.user_attrs[ATTRIBUTE], type=Candidate)
        for trial in study.get_trials(deepcopy=False)
        if ATTRIBUTE in trial.user_attrs
    ]
    return list({(candidate.name, candidate.phase): candidate for candidate in found}.values())
