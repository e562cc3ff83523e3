"""Frozen features and a linear classifier on them: what weights are worth on given images, in seconds.

Shapes: N images, F features, K classes.
"""

import tempfile
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from ridgepoint.arch.shape import Shape
from ridgepoint.data import ArraySplit, Preprocessing
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.runtimes import open_session
from ridgepoint.fit.policy import POLICY
from ridgepoint.nn.build import BuiltNetwork
from ridgepoint.nn.fuse import fuse
from ridgepoint.nn.norms import statistics
from ridgepoint.train.accelerator import ALL_THREADS, CPU
from ridgepoint.train.accuracy import score_classes

STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03)
"""scikit-learn's C, the inverse of regularisation; of standardised features."""

FOLDS = 5

RIDGES = tuple(10.0**power for power in (1, 2, 2.5, 3, 3.5, 4, 5))
"""Of standardised features, as sums over all images."""

BATCH, ITERATIONS, TOLERANCE = 64, 100, 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class Classifier:
    """Logits are weight_KF x + bias_K.

    Attributes:
        strength: The one of `STRENGTHS` that was best on the validation images.
        balanced: Whether all classes weighed alike, which was then better, too.
    """

    weight: Tensor
    bias: Tensor
    strength: float
    balanced: bool = False
    val_accuracy: float


def linear_classifier(
    model: BuiltNetwork, train: ArraySplit, val: ArraySplit, preprocessing: Preprocessing, *, classes: int,
    accelerator: torch.device = CPU,
) -> Classifier:  # fmt: skip
    """Logistic regression on what a network's classifier reads; regularised as the validation images like it best.

    Args:
        model: In eval mode; left as it is.
        train: Canvases or crops; of canvases the centre is seen.
        val: Crops.
        preprocessing: How pixels become inputs.
        classes: How many there are.
        accelerator: Where the features are computed.
    """
    x_NF = features(model, train.images, preprocessing, accelerator)
    val_NF = features(model, val.images, preprocessing, accelerator)
    return regression(x_NF, train.labels, val_NF, val.labels, classes=classes)


def features(
    model: BuiltNetwork, images: Tensor, preprocessing: Preprocessing, accelerator: torch.device = CPU
) -> Tensor:
    """What the classifier reads, float32 (N, F), for images, uint8 (N, C, H, W), of which the centre is seen.

    On the CPU by ONNX Runtime, which evaluates these networks several times as fast as torch does, on all cores.
    """
    top, left = (images.shape[2] - preprocessing.height) // 2, (images.shape[3] - preprocessing.width) // 2
    centres = images[:, :, top : top + preprocessing.height, left : left + preprocessing.width]
    body = _without_classifier(model)
    if accelerator == CPU:
        return _by_runtime(body, centres, preprocessing)
    body = body.to(accelerator)
    with torch.no_grad():
        return torch.cat([body(preprocessing.normalize(chunk.to(accelerator))).cpu() for chunk in centres.split(BATCH)])


def _without_classifier(model: BuiltNetwork) -> nn.Module:
    """A folded copy that ends in what the classifier reads."""
    body = fuse(model.eval().cpu())
    body.get_submodule("head").classifier = nn.Identity()
    return body.eval()


def _by_runtime(body: nn.Module, images: Tensor, preprocessing: Preprocessing) -> Tensor:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "body.onnx"
        shape = Shape(preprocessing.channels, preprocessing.height, preprocessing.width)
        export_for_timing(body, shape, path, folded=False)
        session = open_session(path, pinned=False)

        def seen(image: Tensor) -> np.ndarray:
            return session.run(preprocessing.normalize(image[None].numpy()))

        with ThreadPoolExecutor(max(ALL_THREADS, 1)) as pool:
            return torch.from_numpy(np.concatenate(list(pool.map(seen, images))))


def regression(x_NF: Tensor, labels_N: Tensor, val_NF: Tensor, val_labels_N: Tensor, *, classes: int) -> Classifier:
    """The logistic regression that is right most often on the validation images; of equals the plainest.

    Where classes are unequal, one that weighs all of them alike is tried as well. Where validation images are few, the
    choice is made by all images, each part of them answered by what was learnt from the others.
    """
    mean_F, std_F = x_NF.mean(0), x_NF.std(0).clamp(min=1e-6)
    x, val = (((each - mean_F) / std_F).numpy() for each in (x_NF, val_NF))
    labels, val_labels = labels_N.numpy(), val_labels_N.numpy()
    counts = np.bincount(labels)
    unequal = counts.max() >= POLICY.unequal * counts[counts > 0].min()
    best: tuple[tuple[float, float], Classifier] | None = None
    for balanced in (False, True) if unequal else (False,):
        found = _regression(balanced)
        judge = _folded(x, labels, val, val_labels, balanced) if len(val_labels) < POLICY.few_images else None
        for strength in STRENGTHS:
            _fit(found, strength, x, labels)
            weight_KF, bias_K = _by_class(found.coef_, found.intercept_, found.classes_, classes)
            weight_KF = weight_KF / std_F
            bias_K = bias_K - weight_KF @ mean_F
            score = score_classes(val_NF @ weight_KF.T + bias_K, val_labels_N)
            chosen_by = (score.value, score.parts["balanced"]) if judge is None else (judge(strength), 0.0)
            if best is None or chosen_by > best[0]:
                best = (
                    chosen_by,
                    Classifier(
                        weight=weight_KF, bias=bias_K, strength=strength, balanced=balanced, val_accuracy=score.value
                    ),
                )
    assert best is not None
    return best[1]


def _regression(balanced: bool) -> Any:
    from sklearn.linear_model import LogisticRegression

    weights = "balanced" if balanced else None
    return LogisticRegression(max_iter=ITERATIONS, tol=TOLERANCE, warm_start=True, class_weight=weights)


def _fit(found: Any, strength: float, x: np.ndarray, labels: np.ndarray) -> None:
    """From where it was fitted last, which is much nearer than nothing."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found.set_params(C=strength).fit(x, labels)


def _folded(
    x: np.ndarray, labels: np.ndarray, val: np.ndarray, val_labels: np.ndarray, balanced: bool
) -> Callable[[float], float]:
    """From a strength to the share of all images that is right, a fifth at a time; a class of one image is never."""
    from sklearn.model_selection import KFold

    everything, truth = np.concatenate([x, val]), np.concatenate([labels, val_labels])
    parts = list(KFold(FOLDS, shuffle=True, random_state=0).split(everything)) if len(truth) >= FOLDS else []
    fitted = [_regression(balanced) for _ in parts]

    def right(strength: float) -> float:
        hits = 0
        for found, (known, asked) in zip(fitted, parts, strict=True):
            if len(np.unique(truth[known])) > 1:
                _fit(found, strength, everything[known], truth[known])
                hits += int((found.predict(everything[asked]) == truth[asked]).sum())
        return hits / len(truth)

    return right


def left_out(x_NF: Tensor, labels_N: Tensor) -> float:
    """The share of images that a ridge classifier of all the others is right about, as regularised as suits it best.

    Leaving one image out costs nothing more than one fit: what it would answer follows from the fit to all.
    """
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.preprocessing import StandardScaler

    labels = labels_N.numpy()
    counts = np.bincount(labels)
    kept = counts[labels] > 1  # of a class with one image nobody else knows
    if len(np.unique(labels[kept])) < 2:
        return 0.0
    found = RidgeClassifierCV(alphas=RIDGES, scoring="accuracy")
    found.fit(StandardScaler().fit_transform(x_NF[kept].numpy()), labels[kept])
    return float(found.best_score_)


@torch.no_grad()
def put(model: BuiltNetwork, classifier: Classifier) -> None:
    """Make it the network's classifier; each of two heads, whose mean is the answer, and with no norm before it."""
    for module in model.head.get_submodule("classifier").modules():
        if isinstance(module, nn.Linear):
            module.weight.copy_(classifier.weight)
            module.bias.copy_(classifier.bias)
        elif isinstance(module, BatchNorm):
            module.reset_parameters()
            statistics(module)[1].fill_(1 - module.eps)


def _by_class(coef: np.ndarray, intercept: np.ndarray, known: np.ndarray, classes: int) -> tuple[Tensor, Tensor]:
    """One row a class: of two, scikit-learn keeps the difference alone; a class without images is never answered."""
    if len(known) == 2:
        coef, intercept = np.concatenate([-coef, coef]) / 2, np.concatenate([-intercept, intercept]) / 2
    weight_KF, bias_K = torch.zeros(classes, coef.shape[1]), torch.full((classes,), -1e4)
    weight_KF[known] = torch.from_numpy(coef).float()
    bias_K[known] = torch.from_numpy(intercept).float()
    return weight_KF, bias_K
