"""Opening a teacher: a run of ours, an exported file, or a network of our zoo, timm or torchvision with weights."""

from pathlib import Path

import torch
from torch import nn

from ridgepoint.arch.closing import check_answers
from ridgepoint.arch.zoo import load
from ridgepoint.data import Preprocessing
from ridgepoint.data.resolution import IMAGENET_MEAN, IMAGENET_STD
from ridgepoint.deploy.artefact import load_artefact
from ridgepoint.deploy.runtimes import find_runtime, runtimes_for
from ridgepoint.distill.teacher import Teacher, digest_of
from ridgepoint.errors import InputError, nearest
from ridgepoint.nn.build import BuiltNetwork, build
from ridgepoint.nn.fuse import fuse
from ridgepoint.nn.hub import read_weights
from ridgepoint.nn.published import usual_weights
from ridgepoint.nn.weights import load_weights
from ridgepoint.train.accelerator import CPU
from ridgepoint.train.folder import ABOUT, load_training
from ridgepoint.train.start import AUTO, of_published, start_from

FORMS = (
    "the folder of a training, an exported file, or a network with weights: mobilenetv4_conv_small@FILE (or "
    "@auto, or @TAG of `ridgepoint weights`), timm:resnet50@FILE, torchvision:resnet50@FILE"
)


def open_teacher(text: str, classes: tuple[str, ...], accelerator: torch.device = CPU) -> Teacher:
    """A teacher for the given classes.

    A weights file names no classes: its classifier must have as many, and they are taken to be in the data's order.

    Args:
        text: A run folder, an exported file, or ``[LIBRARY:]NAME@WEIGHTS``; of the zoo also ``NAME@auto``, ``@TAG``.
        classes: Those of the data.
        accelerator: Where it computes its answers; an exported file answers on the CPU.

    Raises:
        InputError: If nothing of this kind is there, it cannot be read, gives no classes, or knows other ones.
    """
    path = Path(text)
    name, at, weights = text.partition("@")
    if path.is_dir() and (path / ABOUT).exists():
        teacher = _training(path, accelerator)
    elif path.is_dir() or runtimes_for(path):
        teacher = _artefact(path)
    elif at:
        library, _, network = name.rpartition(":")
        openers = {"": _zoo, "timm": _timm, "torchvision": _torchvision}
        if library not in openers:
            raise InputError(f"--teacher {text}: no library '{library}'; {nearest(library, ('timm', 'torchvision'))}")
        module, preprocessing = openers[library](network, weights, len(classes))
        teacher = _of_module(text, module, preprocessing, None, accelerator)
    else:
        raise InputError(f"--teacher {text}: there is no such file or folder. Allowed: {FORMS}")
    teacher.check_classes(classes)
    return teacher


def _of_module(
    name: str,
    module: nn.Module,
    preprocessing: Preprocessing,
    classes: tuple[str, ...] | None,
    accelerator: torch.device,
) -> Teacher:
    module = module.eval()
    digest = digest_of(module.state_dict(), preprocessing)
    answering = (fuse(module) if isinstance(module, BuiltNetwork) else module).to(accelerator)
    return Teacher(
        name=name,
        digest=digest,
        classes=classes,
        preprocessing=preprocessing,
        forward=lambda images: answering(images.to(accelerator)).cpu(),
    )


def _training(folder: Path, accelerator: torch.device) -> Teacher:
    model, about = load_training(folder)
    check_answers(model.network.head, "classes", f"--teacher {folder}")
    return _of_module(str(folder), model, about.preprocessing, about.labels, accelerator)


def _artefact(path: Path) -> Teacher:
    artefact = load_artefact(path)
    check_answers(artefact.network.head, "classes", f"--teacher {path}")
    session = artefact.session
    return Teacher(
        name=str(path),
        digest=find_runtime(session.runtime).digest(session.path),
        classes=artefact.labels,
        preprocessing=artefact.preprocessing,
        forward=lambda images: torch.from_numpy(artefact.answers(images.numpy())),
    )


def _zoo(name: str, weights: str, classes: int) -> tuple[nn.Module, Preprocessing]:
    """At the network's own input, normalised as the weights want; as `train --weights` does where that is not known."""
    network = load(name).with_classes(classes)
    check_answers(network.head, "classes", f"--teacher {name}")
    module = build(network)
    start = of_published(usual_weights(name)) if weights == AUTO else start_from(weights, network=name)
    if load_weights(module, start.path).reset:
        raise InputError(_other_classes(name, weights, classes))
    channels, height, width = network.input
    grey = channels == 1
    preprocessing = Preprocessing(
        height=height,
        width=width,
        channels=channels,
        resize=min(height, width),
        mean=(0.5,) if grey else IMAGENET_MEAN,
        std=(0.5,) if grey else IMAGENET_STD,
    )
    return module, start.prepared(preprocessing)


def _timm(name: str, weights: str, classes: int) -> tuple[nn.Module, Preprocessing]:
    try:
        import timm
    except ImportError:
        raise InputError("--teacher timm:...: timm is not installed. Install it with: pip install timm") from None
    if not timm.is_model(name):
        raise InputError(f"--teacher timm:{name}: timm has no such model; {nearest(name, timm.list_models())}")
    module = timm.create_model(name, num_classes=classes)
    _fill(module, name, weights, classes)
    config = timm.data.config.resolve_model_data_config(module)
    _, height, width = config["input_size"]
    return module, _colour(height, width, config["mean"], config["std"])


def _torchvision(name: str, weights: str, classes: int) -> tuple[nn.Module, Preprocessing]:
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise InputError(f"--teacher torchvision:{name}: torchvision has no such classifier; {nearest(name, known)}")
    module = models.get_model(name, weights=None, num_classes=classes)
    _fill(module, name, weights, classes)
    published = models.get_model_weights(name).DEFAULT.transforms()
    size = published.crop_size[0]
    return module, _colour(size, size, published.mean, published.std)


def _colour(height: int, width: int, mean: tuple[float, ...], std: tuple[float, ...]) -> Preprocessing:
    return Preprocessing(
        height=height, width=width, channels=3, resize=min(height, width), mean=tuple(mean), std=tuple(std)
    )


def _fill(module: nn.Module, name: str, weights: str, classes: int) -> None:
    """Load a state dict whole, or say what does not fit."""
    try:
        module.load_state_dict(read_weights(weights).tensors)
    except RuntimeError as error:
        reasons = str(error).splitlines()[1:2]  # below torch's heading
        raise InputError(_other_classes(name, weights, classes, *reasons)) from None


def _other_classes(name: str, weights: str, classes: int, why: str = "") -> str:
    reason = f" ({why.strip()})" if why else ""
    return (
        f"--teacher: {weights} does not hold weights of {name} with {classes} classes, which the data have"
        f"{reason}. Train it on the data first, for example: ridgepoint train NAME DATA --weights FILE"
    )
