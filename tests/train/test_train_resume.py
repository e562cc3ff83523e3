"""Killed and continued equals uninterrupted, bit for bit; broken checkpoints are told from whole ones."""

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from train_helpers import quick, same, small_network

from ridgepoint.errors import RunError
from ridgepoint.train import resumable
from ridgepoint.train.batches import TrainingData, cross_entropy
from ridgepoint.train.checkpoint import load_checkpoint, save_checkpoint
from ridgepoint.train.loop import Bound, Trained, train
from ridgepoint.train.metrics import METRICS
from ridgepoint.train.resumable import CHECKPOINT

STEPS = 2 * 16  # two epochs of 1079 // 64 batches


@pytest.fixture(scope="module")
def uninterrupted(data: TrainingData) -> Trained:
    return train(small_network(), data, quick(), bound=Bound(epochs=2), seed=3)


@pytest.fixture(scope="module")
def begun(data: TrainingData, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The state of a training that was stopped after four steps."""
    folder = tmp_path_factory.mktemp("begun")
    with pytest.raises(Stop):
        train(small_network(), data, quick(), bound=Bound(epochs=1), seed=3, folder=folder, on_step=until(4, Stop))
    return load_checkpoint(folder / CHECKPOINT)


class Stop(Exception):
    """The machine goes down."""


def until(step: int, how: type[BaseException]):
    def on_step(progress: float, record: dict[str, object]) -> None:
        if record["step"] == step:
            raise how

    return on_step


@pytest.mark.parametrize("how", [KeyboardInterrupt, Stop])
def test_stopped_at_random_steps_and_continued(
    data: TrainingData, uninterrupted: Trained, tmp_path: Path, how: type[BaseException]
):
    stops = sorted(random.Random(how.__name__).sample(range(1, STEPS), 4))
    for stop in stops:
        with pytest.raises(how):
            train(
                small_network(), data, quick(), bound=Bound(epochs=2), seed=3, folder=tmp_path, on_step=until(stop, how)
            )
    done = train(small_network(), data, quick(), bound=Bound(epochs=2), seed=3, folder=tmp_path)
    assert same(done, uninterrupted), f"stopped at {stops}"
    forgetful = [{k: v for k, v in row.items() if k != "elapsed_s"} for row in done.history]
    assert forgetful == [{k: v for k, v in row.items() if k != "elapsed_s"} for row in uninterrupted.history]
    lines = [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    assert [row for row in lines if "val_accuracy" in row] == done.history


def test_saved_after_every_step_and_continued_from_each(
    data: TrainingData, uninterrupted: Trained, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(resumable, "SAVE_EVERY_S", 0.0)
    for stop in (5, 13, 14, STEPS - 1):
        with pytest.raises(Stop):
            train(
                small_network(),
                data,
                quick(),
                bound=Bound(epochs=2),
                seed=3,
                folder=tmp_path,
                on_step=until(stop, Stop),
            )
        assert load_checkpoint(tmp_path / CHECKPOINT)["step"] == stop
    done = train(small_network(), data, quick(), bound=Bound(epochs=2), seed=3, folder=tmp_path)
    assert same(done, uninterrupted)


def test_ctrl_c_waits_for_the_end_of_the_step(data: TrainingData, uninterrupted: Trained, tmp_path: Path):
    """The signal strikes between the forward pass, which moves statistics, and the counter of steps."""
    plain, counted = cross_entropy(quick().label_smoothing), [0]

    def struck(*seen) -> torch.Tensor:
        counted[0] += 1
        if counted[0] == 9:
            os.kill(os.getpid(), signal.SIGINT)
        return plain(*seen)

    with pytest.raises(KeyboardInterrupt):
        train(small_network(), data, quick(), bound=Bound(epochs=2), seed=3, folder=tmp_path, loss=struck)
    assert load_checkpoint(tmp_path / CHECKPOINT)["step"] == 9, "the step that was under way is whole and saved"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert same(train(small_network(), data, quick(), bound=Bound(epochs=2), seed=3, folder=tmp_path), uninterrupted)


def test_a_finished_training_is_not_trained_again(data: TrainingData, tmp_path: Path):
    first = train(small_network(), data, quick(), bound=Bound(epochs=1), seed=3, folder=tmp_path)
    again = train(
        small_network(), data, quick(), bound=Bound(epochs=1), seed=3, folder=tmp_path, on_step=until(1, AssertionError)
    )
    assert same(first, again) and again.val_accuracy == first.val_accuracy and again.steps == first.steps


@pytest.mark.clock
def test_by_the_clock_a_continued_training_uses_the_time_that_was_left(data: TrainingData, tmp_path: Path):
    with pytest.raises(Stop):
        train(
            small_network(), data, quick(), bound=Bound(seconds=2.0), seed=3, folder=tmp_path,
            on_step=lambda progress, record: until(record["step"], Stop)(progress, record) if progress > 0.7 else None,
        )  # fmt: skip
    saved = load_checkpoint(tmp_path / CHECKPOINT)["elapsed_s"]
    assert saved > 1.0
    started = time.monotonic()
    done = train(small_network(), data, quick(), bound=Bound(seconds=2.0), seed=3, folder=tmp_path)
    assert time.monotonic() - started < 2.0 - saved + 0.8
    assert done.seconds == pytest.approx(2.0, rel=0.2)


def test_a_broken_checkpoint_is_refused_wherever_it_broke(data: TrainingData, tmp_path: Path):
    path = tmp_path / CHECKPOINT
    with pytest.raises(Stop):
        train(small_network(), data, quick(), bound=Bound(epochs=1), seed=3, folder=tmp_path, on_step=until(4, Stop))
    whole = path.read_bytes()
    reference = load_checkpoint(path)
    rng = random.Random(0)
    for broken in (b"", b"nonsense", whole[:100], whole[: len(whole) // 2], whole[:-30]):
        path.write_bytes(broken)
        with pytest.raises(RunError, match=r"checkpoint\.pt: is no readable checkpoint"):
            train(small_network(), data, quick(), bound=Bound(epochs=1), seed=3, folder=tmp_path)
    told = 0
    for _ in range(60):
        at = rng.randrange(len(whole))
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :])
        try:
            state = load_checkpoint(path)
        except RunError:
            told += 1
        else:  # a bit that carries nothing, such as padding: then nothing has changed
            assert all(torch.equal(state["model"][name], reference["model"][name]) for name in reference["model"])
    assert told > 30


def test_a_checkpoint_of_another_training_is_refused(data: TrainingData, tmp_path: Path):
    train(small_network(width=8), data, quick(), bound=Bound(epochs=1), seed=3, folder=tmp_path)
    with pytest.raises(RunError, match=r"checkpoint\.pt: belongs to another training .* Delete it"):
        train(small_network(width=16), data, quick(), bound=Bound(epochs=1), seed=3, folder=tmp_path)
    save_checkpoint(tmp_path / CHECKPOINT, {"step": 3})
    with pytest.raises(RunError, match="belongs to another training"):
        train(small_network(), data, quick(), bound=Bound(epochs=1), seed=3, folder=tmp_path)


EDITS = {
    "step": [-5, -1, 1.5, "3", None, float("nan")],
    "rows": [3, None, [3], [{}], [{"step": "x", "progress": 0.5}], [{"step": 3, "progress": float("nan")}]],
    "elapsed_s": [[], -1.0, float("nan"), float("inf")],
    "evaluated": [-1, None],
    "latest": [[], {"loss": "x"}],
    "finished": [3],
    "model": [None, {}, []],
    "optimizer": [{}, None, {"state": {}, "param_groups": 3}],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in EDITS.items() for value in values])
def test_a_checkpoint_that_was_edited_is_refused(begun: dict, data: TrainingData, tmp_path: Path, key: str, value):
    save_checkpoint(tmp_path / CHECKPOINT, begun | {key: value})
    with pytest.raises(RunError, match=r"checkpoint\.pt: belongs to another training .* Delete it") as told:
        train(small_network(), data, quick(), bound=Bound(epochs=1), seed=3, folder=tmp_path)
    assert "\n" not in str(told.value)


def test_neither_rows_nor_optimizer_may_miss_what_is_needed(begun: dict, data: TrainingData, tmp_path: Path):
    state = begun["optimizer"]["state"]
    other = {key: {name: torch.zeros(7) for name in kept} for key, kept in state.items()}
    for change in ({"finished": True, "rows": []}, {"optimizer": begun["optimizer"] | {"state": other}}):
        save_checkpoint(tmp_path / CHECKPOINT, begun | change)
        with pytest.raises(RunError, match="belongs to another training"):
            train(small_network(), data, quick(), bound=Bound(epochs=1), seed=3, folder=tmp_path)


def test_there_is_no_checkpoint(tmp_path: Path):
    with pytest.raises(RunError, match="there is no such checkpoint"):
        load_checkpoint(tmp_path / "absent.pt")


def test_a_checkpoint_that_runs_code_is_refused(tmp_path: Path):
    class Evil:
        def __reduce__(self):
            return (os.system, ("touch /tmp/ridgepoint_was_here",))

    torch.save({"model": Evil()}, tmp_path / CHECKPOINT)
    with pytest.raises(RunError, match="is no readable checkpoint"):
        load_checkpoint(tmp_path / CHECKPOINT)
    assert not Path("/tmp/ridgepoint_was_here").exists()
