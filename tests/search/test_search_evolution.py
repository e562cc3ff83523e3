"""Evolution: the same proposals in every process, killed or not; nothing over the budget is trained."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
import search_helpers
from search_helpers import journal, judged, macs_ms, search, small_space

from ridgepoint.arch.space import load_space
from ridgepoint.errors import RunError
from ridgepoint.search.candidate import Candidate
from ridgepoint.search.evolution import Evolution, uniform_starts
from ridgepoint.search.study import open_study, read_candidates, record

TRIALS = 14  # the second generation begins with the eleventh
SCRIPT = str(Path(search_helpers.__file__))


def start(run: Path, trials: int, *, space: str = "small", pause_s: float = 0.0, hash_seed: str = "0"):
    run.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, SCRIPT, str(run), str(trials), space, str(pause_s)], stdout=subprocess.PIPE, env=environment
    )


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, ...]]:
    run = tmp_path_factory.mktemp("reference")
    search(run, trials=TRIALS)
    return journal(run)


def test_the_same_seed_proposes_the_same_networks_in_another_process(reference, tmp_path: Path):
    process = start(tmp_path, TRIALS, hash_seed="4242")
    process.communicate()
    assert process.returncode == 0
    assert journal(tmp_path) == reference


def test_another_seed_proposes_others(reference, tmp_path: Path):
    search(tmp_path, trials=TRIALS, seed=1)
    starts = len(uniform_starts(small_space(), lambda network: macs_ms(network) <= 2.0))
    assert journal(tmp_path)[:starts] == reference[:starts], "the first generation's starts come from the space alone"
    assert [row[1] for row in journal(tmp_path)[starts:]] != [row[1] for row in reference[starts:]]


@pytest.mark.slow
def test_shipped_space_is_searched_alike_in_another_process(tmp_path: Path):
    for run, hash_seed in (("a", "7"), ("b", "8")):
        start(tmp_path / run, 13, space="mobilenetv4_conv_32px", hash_seed=hash_seed).communicate()
    assert journal(tmp_path / "a") == journal(tmp_path / "b")
    assert len(journal(tmp_path / "a")) == 13


@pytest.mark.slow
def test_killed_while_it_judges_and_continued(reference, tmp_path: Path):
    run = tmp_path / "run"
    for kill_at in (0, 3, 6, 10, 12):
        process = start(run, TRIALS, pause_s=0.05)
        assert process.stdout is not None
        for line in process.stdout:
            if int(line.decode().removeprefix("candidate-")) >= kill_at:
                break
        process.kill()
        process.communicate()
    start(run, TRIALS).communicate()
    assert journal(run) == reference


@pytest.mark.slow
def test_killed_at_random_moments_and_continued(reference, tmp_path: Path):
    """Between two choices of a proposal, while the study is made, while starts are queued: whenever."""
    run, rng = tmp_path / "run", random.Random(1)
    for _ in range(6):
        process = start(run, TRIALS)
        assert process.stdout is not None
        if not process.stdout.readline():  # it finished
            break
        time.sleep(rng.uniform(0.0, 0.25))
        process.kill()
        process.communicate()
    start(run, TRIALS).communicate()
    assert journal(run) == reference


class Killed(BaseException):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 3, 6])
def test_killed_between_two_choices_of_a_proposal(reference, tmp_path: Path, monkeypatch, after: int):
    """Every third proposal is broken off after some choices were written to the study."""
    suggest, counted = optuna.Trial.suggest_categorical, [0]

    def interrupted(self, name, choices):
        value = suggest(self, name, choices)
        counted[0] += 1
        if counted[0] == after and self.number % 3 == 0:
            raise Killed
        return value

    for _ in range(TRIALS):
        counted[0] = 0
        monkeypatch.setattr(optuna.Trial, "suggest_categorical", interrupted)
        try:
            search(tmp_path, trials=len(journal(tmp_path)) + 1 if (tmp_path / "study.db").exists() else 1)
        except Killed:
            monkeypatch.setattr(optuna.Trial, "suggest_categorical", suggest)
            search(tmp_path, trials=len(journal(tmp_path)) + 1)
    assert journal(tmp_path) == reference


@pytest.mark.parametrize("queued", [2])
def test_killed_while_the_starts_are_queued(reference, tmp_path: Path, monkeypatch, queued: int):
    enqueue, counted = optuna.Study.enqueue_trial, [0]

    def interrupted(self, *given, **named):
        if counted[0] == queued:
            raise Killed
        counted[0] += 1
        enqueue(self, *given, **named)

    monkeypatch.setattr(optuna.Study, "enqueue_trial", interrupted)
    with pytest.raises(Killed):
        search(tmp_path, trials=TRIALS)
    monkeypatch.setattr(optuna.Study, "enqueue_trial", enqueue)
    search(tmp_path, trials=TRIALS)
    assert journal(tmp_path) == reference


def test_what_is_over_the_budget_is_recorded_and_not_trained(reference):
    over = [row for row in reference if row[2] > 2.0]
    assert over, "evolution looks beyond the budget now and then"
    assert all(row[3] is None for row in over)
    assert all(row[3] is not None for row in reference if row[2] <= 2.0)


def test_only_trained_candidates_are_evaluated(tmp_path: Path):
    evolution = search(tmp_path, trials=TRIALS)
    names = [candidate.name for candidate in evolution.evaluated()]
    assert names == [row[0] for row in journal(tmp_path) if row[3] is not None]


@pytest.mark.slow
def test_evolution_beats_chance(tmp_path: Path):
    """A judge that likes what is just under the budget: the second half of the search is better than the first."""
    search(tmp_path, trials=60)
    accuracies = [row[3] or 0.0 for row in journal(tmp_path)[5:]]
    assert sum(accuracies[30:]) / 25 > sum(accuracies[:15]) / 15


@pytest.mark.slow
def test_a_network_met_again_is_not_judged_again(tmp_path: Path):
    judgements: list[str] = []

    def judge(name, network, budget_ms, seed):
        judgements.append(network.digest)
        return judged(name, network, budget_ms, seed)

    search(tmp_path, trials=50, judge=judge)
    within = [digest for digest in judgements if digest in {row[1] for row in journal(tmp_path) if row[3] is not None}]
    assert len(within) == len(set(within))
    again = [row for row in journal(tmp_path) if "the same network as" in row[4]]
    assert again
    first = {row[1]: row for row in reversed(journal(tmp_path))}
    assert all(row[2:4] == first[row[1]][2:4] for row in again)


def test_starts_span_the_budget_from_above():
    space = small_space()
    starts = uniform_starts(space, lambda network: macs_ms(network) <= 2.0)
    sizes = [macs_ms(space.decode(assignment)) for assignment in starts]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] <= 2.0 and 3 < len(starts) <= 5
    assert uniform_starts(space, lambda network: False) == []


def test_the_study_can_be_read_and_keeps_everything(tmp_path: Path):
    search(tmp_path, trials=3)
    network = small_space().decode(small_space().complete(lambda choice: 0))
    rival = Candidate(
        name="rival", phase="baseline", network=network, seed=4, tabled_ms=1.0, measured_ms=1.1, measured_p90_ms=1.2,
        val_accuracy=0.8, test_accuracy=0.7, train_s=3.0, note="ünïcode",
    )  # fmt: skip
    record(open_study(tmp_path), rival)
    assert read_candidates(tmp_path)[-1] == rival
    assert [candidate.name for candidate in read_candidates(tmp_path)[:3]] == [f"candidate-{i:03d}" for i in range(3)]
    assert Evolution(small_space(), budget_ms=2.0, seed=0, run=tmp_path).evaluated()[-1].phase == "search"


def test_what_is_recorded_twice_is_read_once_as_recorded_last(tmp_path: Path):
    network = small_space().decode(small_space().complete(lambda choice: 0))
    study = open_study(tmp_path)
    for ms in (1.0, 2.0):
        record(study, Candidate(name="a", phase="winner", network=network, seed=0, measured_ms=ms, val_accuracy=0.5))
    record(study, Candidate(name="unmeasured", phase="baseline", network=network, seed=0))
    assert [(candidate.name, candidate.measured_ms) for candidate in read_candidates(tmp_path)] == [
        ("a", 2.0),
        ("unmeasured", None),
    ]


def test_a_folder_without_a_study_is_told(tmp_path: Path):
    with pytest.raises(RunError, match=r"holds no study\.db"):
        read_candidates(tmp_path)


def test_choices_of_the_shipped_spaces_are_what_the_study_stores(tmp_path: Path):
    space = load_space("mobilenetv4_conv_32px")
    evolution = Evolution(space, budget_ms=1e9, seed=0, run=tmp_path)
    evolution.step(lambda name, network: judged(name, network, 1e9, 0))
    (trial,) = evolution.study.get_trials()
    assert set(trial.params) == {choice.name for choice in space.choices}
    assert space.decode(trial.params).digest == read_candidates(tmp_path)[0].network.digest
