"""Training on a GPU: as on the CPU but for rounding, the same twice, resumed as if it had not stopped.

What needs a GPU is skipped where there is none.
"""

from pathlib import Path

import pytest
import torch
from train_helpers import quick, same, small_network

import ridgepoint as rp
from ridgepoint.data import Augmentation, Preprocessing, RandAugment
from ridgepoint.distill.teachers import open_teacher
from ridgepoint.errors import InputError
from ridgepoint.train import accelerator, resumable
from ridgepoint.train.accelerator import CPU, find_accelerator
from ridgepoint.train.batches import AugmentedBatches, TrainingData
from ridgepoint.train.folder import About, save_training
from ridgepoint.train.loop import Bound, Trained, train
from ridgepoint.train.mixing import Mixing
from ridgepoint.train.processes import Processes
from ridgepoint.train.recipe import Recipe

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_auto_is_the_cpu_and_cuda_an_error():
    assert find_accelerator() == CPU
    with pytest.raises(InputError, match=r"--accelerator cuda: .* Give --accelerator cpu"):
        find_accelerator("cuda")


def test_several_processes_train_on_cpus(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(accelerator, "processes", lambda: Processes(rank=1, count=2))
    assert find_accelerator() == CPU
    with pytest.raises(InputError, match=r"several processes train on CPUs only"):
        find_accelerator("cuda")


def trained(data: TrainingData, recipe: Recipe, **given: object) -> Trained:
    gpu = {"accelerator": find_accelerator("cuda"), "seed": 3, "evaluations": 3}
    return train(small_network(), data, recipe, **{"bound": Bound(epochs=3), **gpu, **given})


@needs_gpu
@pytest.mark.parametrize(
    "recipe", [quick(norm_batches=4), quick(precision="bfloat16", ema=None)], ids=["float", "bf16"]
)
def test_a_gpu_learns_what_the_cpu_learns(data: TrainingData, recipe: Recipe):
    bound = Bound(epochs=10)
    there, here = trained(data, recipe, bound=bound), trained(data, recipe, bound=bound, accelerator=CPU)
    assert there.val_accuracy > 0.9 and abs(there.val_accuracy - here.val_accuracy) < 0.05
    assert {tensor.device for tensor in there.model.state_dict().values()} == {CPU}
    assert [row["step"] for row in there.history] == [row["step"] for row in here.history]


@needs_gpu
def test_its_first_steps_are_the_cpus(data: TrainingData):
    recipe = quick(stochastic_depth=0.0, dropout=0.0)  # which the two draw differently
    losses = {device: [] for device in ("cpu", "cuda")}
    for device, seen in losses.items():
        bound = Bound(epochs=1)
        told = {"on_step": lambda share, row, seen=seen: seen.append(row["loss"])}
        trained(data, recipe, accelerator=torch.device(device), bound=bound, **told)
    here, there = (torch.tensor(seen[:5]) for seen in losses.values())
    torch.testing.assert_close(there, here, rtol=0.01, atol=0.01)


@needs_gpu
def test_the_same_twice_and_after_a_stop(data: TrainingData, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(resumable, "SAVE_EVERY_S", 0.0)
    torch.use_deterministic_algorithms(True, warn_only=True)  # as every command does
    recipe = quick(dropout=0.2)
    whole = trained(data, recipe)
    assert same(whole, trained(data, recipe))
    for share in (0.3, 0.7):

        def stop(done: float, row: dict, share: float = share) -> None:
            if done >= share:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            trained(data, recipe, folder=tmp_path, on_step=stop)
    assert same(whole, trained(data, recipe, folder=tmp_path))


@needs_gpu
def test_it_varies_images_as_the_cpu_does(data: TrainingData):
    recipe = quick(
        batch_size=16,
        augmentation=Augmentation(rotate=10.0, color_jitter=0.2, random_erasing=0.5, policy=RandAugment(magnitude=5)),
        mixing=Mixing(mixup=0.2, cutmix=0.5),
    )
    for step in range(4):
        here, there = (
            AugmentedBatches(data, recipe, num_classes=10, seed=0, accelerator=each).seen(step, 0.0)
            for each in (CPU, find_accelerator("cuda"))
        )
        assert here.ids == there.ids and there.images.is_cuda
        torch.testing.assert_close(there.targets.cpu(), here.targets)
        differ = (there.images.cpu() - here.images).abs()
        assert differ.median() <= 1 and differ.mean() < 2  # of 255; a policy may amplify what rounding did


@needs_gpu
def test_workers_prepare_on_the_cpu(data: TrainingData):
    assert trained(data, quick(), workers=2).val_accuracy > 0.3


@needs_gpu
def test_a_teacher_answers_as_on_the_cpu(data: TrainingData, tmp_path: Path):
    grey = Preprocessing(height=16, width=16, channels=1, resize=16, mean=(0.5,), std=(0.5,))
    classes = tuple("0123456789")
    model = trained(data, quick(), bound=Bound(epochs=1)).model
    save_training(tmp_path, model, About(labels=classes, preprocessing=grey, val_accuracy=0.5, steps=1, seconds=1.0))
    views = data.val.images[:50]
    here, there = (open_teacher(str(tmp_path), classes, torch.device(name)) for name in ("cpu", "cuda"))
    assert here.digest == there.digest
    torch.testing.assert_close(there.logits(views), here.logits(views), rtol=1e-2, atol=1e-2)


@needs_gpu
def test_a_fit_on_a_gpu_ends_with_a_file_that_was_measured_on_the_host(tmp_path: Path):
    asked = {"latency_ms": 1.0, "accelerator": "cuda", "evaluations": 2, "baselines": 0, "changes": {"epochs": 1}}
    result = rp.fit("digits", out=tmp_path / "run", table=str(tmp_path / "table.json"), **asked)
    assert result["met"] and Path(result["artefact"]).exists()
    assert result["accelerator"] == torch.cuda.get_device_name()
