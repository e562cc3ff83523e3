"""A linear classifier on frozen features: what it answers is what the network with it answers."""

import msgspec
import pytest
import torch
from nn_helpers import randomise
from zoo_helpers import brief

from ridgepoint.arch.zoo import load
from ridgepoint.data import ArraySplit, Preprocessing
from ridgepoint.fit import frozen
from ridgepoint.fit.frozen import features, linear_classifier, put, regression
from ridgepoint.nn.build import build

PREPROCESSING = Preprocessing(height=32, width=32, channels=3, resize=36, mean=(0.5,) * 3, std=(0.5,) * 3)


def images(count: int, side: int, seed: int) -> ArraySplit:
    """Three classes, each brighter in one colour."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    pixels = torch.randint(0, 120, (count, 3, side, side), dtype=torch.uint8, generator=generator)
    pixels[torch.arange(count), labels] += 100
    return ArraySplit(pixels, labels, tuple(map(str, range(count))))


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "efficientformer_l1", "repvit_m0_9"])
def test_the_network_answers_what_the_regression_answers(name: str) -> None:
    torch.manual_seed(0)
    network = brief(name, height=32).with_classes(3)
    model = randomise(build(network)).eval()  # or a network of residuals would begin as nothing
    train, val = images(60, 36, 0), images(30, 32, 1)
    found = linear_classifier(model, train, val, PREPROCESSING, classes=3)
    put(model, found)
    with torch.no_grad():
        answers = model(PREPROCESSING.normalize(val.images)).argmax(1)
    assert float((answers == val.labels).float().mean()) == pytest.approx(found.val_accuracy, abs=0.035)
    x_NF = features(model, val.images, PREPROCESSING)
    assert torch.equal((x_NF @ found.weight.T + found.bias).argmax(1), answers)


def test_the_centre_of_a_canvas_is_seen() -> None:
    torch.manual_seed(0)
    model = build(load("mobilenetv3_small_050").at(height=32).with_classes(3)).eval()
    canvas = images(4, 36, 0).images
    assert torch.equal(features(model, canvas, PREPROCESSING), features(model, canvas[:, :, 2:34, 2:34], PREPROCESSING))


@pytest.mark.parametrize("classes", [2, 3])
def test_two_classes_and_a_class_without_images(classes: int) -> None:
    x_NF = torch.tensor([[0.0, 1.0], [0.1, 0.9], [5.0, 1.0], [5.1, 1.1]] * 5)
    labels = torch.tensor([0, 0, 1, 1] * 5)
    found = regression(x_NF, labels, x_NF, labels, classes=classes)
    logits = x_NF @ found.weight.T + found.bias
    assert found.val_accuracy == 1.0 and torch.equal(logits.argmax(1), labels)
    assert logits.shape == (20, classes)
    if classes == 3:
        assert bool((logits[:, 2] < logits[:, :2].min(1).values).all())


def overlapping(counts: tuple[int, ...], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return torch.randn(len(labels), 4, generator=generator) + 1.5 * labels[:, None] * torch.eye(4)[0], labels


def test_classes_weigh_alike_where_validation_says_so():
    x_NF, labels = overlapping((270, 30), 0)
    like_training, alike = overlapping((270, 30), 1), overlapping((150, 150), 1)
    plain = regression(x_NF, labels, *like_training, classes=2)
    weighed = regression(x_NF, labels, *alike, classes=2)
    assert not plain.balanced and weighed.balanced
    answers = (alike[0] @ weighed.weight.T + weighed.bias).argmax(1)
    assert weighed.val_accuracy == pytest.approx(float((answers == alike[1]).float().mean()))
    fewer = regression(*overlapping((40, 20), 0), *alike, classes=2)
    assert not fewer.balanced, "not tried where classes are nearly equal"


def test_few_validation_images_do_not_choose_alone(monkeypatch: pytest.MonkeyPatch):
    """Four images that every strength answers alike say nothing; beside 240 others they need not."""
    generator = torch.Generator().manual_seed(1)
    labels, val_labels = torch.arange(240) % 2, torch.arange(4) % 2
    x_NF = torch.randn(240, 40, generator=generator) + 0.15 * labels[:, None]
    val_NF = torch.randn(4, 40, generator=generator) + 0.15 * val_labels[:, None]
    together = regression(x_NF, labels, val_NF, val_labels, classes=2)
    monkeypatch.setattr(frozen, "POLICY", msgspec.structs.replace(frozen.POLICY, few_images=0))
    alone = regression(x_NF, labels, val_NF, val_labels, classes=2)
    assert alone.strength == frozen.STRENGTHS[0] < together.strength
