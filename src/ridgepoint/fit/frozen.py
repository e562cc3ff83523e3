"""Frozen features and a linear classifier on them: what weights are worth on given images, in seconds.

Shapes: N images, F features, K classes.
"""

import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from ridgepoint.arch.shape import Shape
from ridgepoint.data import ArraySplit, Preprocessing
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.runtimes import open_session
from ridgepoint.nn.build import BuiltNetwork
from ridgepoint.nn.fuse import fuse
from ridgepoint.nn.norms import statistics
from ridgepoint.seeds import seed_for
from ridgepoint.train.accelerator import ALL_THREADS, CPU

STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03)
"""scikit-learn's C, the inverse of regularisation; of standardised features."""

RIDGES = tuple(10.0**power for power in (1, 2, 2.5, 3, 3.5, 4, 5))
"""Of standardised features, as sums over all images."""

BATCH, ITERATIONS, TOLERANCE = 64, 100, 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class Classifier:
    """Logits are weight_KF x + bias_K; `strength` is the one of `STRENGTHS` that was best on the validation images."""

    weight: Tensor
    bias: Tensor
    strength: float
    val_accuracy: float


def linear_classifier(
    model: BuiltNetwork, train: ArraySplit, val: ArraySplit, preprocessing: Preprocessing, *, classes: int, seed: int,
    accelerator: torch.device = CPU, most: int,
) -> Classifier:  # fmt: skip
    """Logistic regression on what a network's classifier reads; regularised as the validation images like it best.

    Args:
        model: In eval mode; left as it is.
        train: Canvases or crops; of canvases the centre is seen.
        val: Crops.
        preprocessing: How pixels become inputs.
        classes: How many there are.
        seed: Of the images that are drawn where there are too many.
        accelerator: Where the features are computed.
        most: How many training images are looked at.
    """
    generator = torch.Generator().manual_seed(seed_for(seed, "frozen"))
    chosen = torch.randperm(len(train), generator=generator)[:most].sort().values
    x_NF = features(model, train.images[chosen], preprocessing, accelerator)
    val_NF = features(model, val.images, preprocessing, accelerator)
    return regression(x_NF, train.labels[chosen], val_NF, val.labels, classes=classes)


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
    """The logistic regression that is right most often on the validation images; of equals the plainest."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean_F, std_F = x_NF.mean(0), x_NF.std(0).clamp(min=1e-6)
    standard_NF = ((x_NF - mean_F) / std_F).numpy()
    best: Classifier | None = None
    found = LogisticRegression(max_iter=ITERATIONS, tol=TOLERANCE, warm_start=True)  # each starts where the last ended
    for strength in STRENGTHS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            found.set_params(C=strength).fit(standard_NF, labels_N.numpy())
        weight_KF, bias_K = _by_class(found.coef_, found.intercept_, found.classes_, classes)
        weight_KF = weight_KF / std_F
        bias_K = bias_K - weight_KF @ mean_F
        right = (val_NF @ weight_KF.T + bias_K).argmax(1) == val_labels_N
        accuracy = float(right.float().mean())
        if best is None or accuracy > best.val_accuracy:
            best = Classifier(weight=weight_KF, bias=bias_K, strength=strength, val_accuracy=accuracy)
    assert best is not None
    return best


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
