"""Teachers: a training's folder, an exported file, and networks of ours, timm and torchvision with weights files."""

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision import models

from ridgepoint.arch.document import dump_network
from ridgepoint.arch.zoo import load
from ridgepoint.data import Preprocessing
from ridgepoint.deploy.export import export_artefact
from ridgepoint.distill.teachers import open_teacher
from ridgepoint.errors import InputError
from ridgepoint.nn.build import build
from ridgepoint.nn.weights import save_weights
from ridgepoint.train.folder import About, save_training

CLASSES = ("ant", "bee", "cat")
VIEWS = torch.randint(0, 256, (37, 3, 40, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
SMALL = Preprocessing(height=32, width=32, channels=3, resize=32, mean=(0.5,) * 3, std=(0.25,) * 3)


def resized(size: int) -> torch.Tensor:
    return torch.nn.functional.interpolate(VIEWS.float(), (size, size), mode="bilinear", antialias=True)


def close(teacher, expected: torch.Tensor) -> None:
    """What the teacher answers is what its network says to the resized views; uint8 rounds the resizing."""
    given = teacher.logits(VIEWS)
    assert given.shape == expected.shape == (37, 3) and given.dtype == torch.float32
    torch.testing.assert_close(given, expected, rtol=0.02, atol=0.02 * float(expected.std()))
    alone = torch.cat([teacher.logits(VIEWS[index : index + 1]) for index in (0, 36)])
    assert torch.equal(alone, given[[0, 36]]), "whoever is asked along"


@pytest.fixture(scope="module")
def ours() -> torch.nn.Module:
    torch.manual_seed(0)
    network = load("mobilenetv3_small_050").at(height=32).with_classes(3)
    model = build(network)
    model(SMALL.normalize(resized(32).round()))  # the norms have seen something
    return model.eval()


@pytest.fixture(scope="module")
def files(ours, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By kind, where the teacher lies."""
    trained, exported = (tmp_path_factory.mktemp(name) for name in ("trained", "exported"))
    about = About(labels=CLASSES, preprocessing=SMALL, val_accuracy=0.5, steps=1, seconds=1.0)
    save_training(trained, ours, about)
    file = exported / "model.onnx"
    export_artefact(ours, file, network=ours.network, preprocessing=SMALL, labels=CLASSES)
    return {"folder": trained, "onnx": file, "exported folder": exported}


@pytest.mark.parametrize("kind", ["folder", "onnx", "exported folder"])
@torch.no_grad()
def test_ours(ours, files: dict[str, Path], kind: str):
    teacher = open_teacher(str(files[kind]), CLASSES)
    assert teacher.classes == CLASSES
    close(teacher, ours(SMALL.normalize(resized(32))))
    with pytest.raises(InputError, match=r"its 3 classes \(ant, bee, cat\) are not the data's 2 \(ant, bee\)"):
        open_teacher(str(files[kind]), CLASSES[:2])


@torch.no_grad()
def test_ours_by_name_with_weights(ours, tmp_path: Path):
    """At the network's own 224 px, colour normalised by ImageNet's statistics, as trainings from weights do."""
    architecture, weights = tmp_path / "small.yaml", tmp_path / "weights.safetensors"
    architecture.write_text(dump_network(ours.network))
    save_weights(ours, weights)
    teacher = open_teacher(f"{architecture}@{weights}", CLASSES)
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    close(teacher, ours((resized(32) / 255 - mean) / std))
    with pytest.raises(InputError, match=r"does not hold weights of .* with 2 classes"):
        open_teacher(f"{architecture}@{weights}", CLASSES[:2])


@torch.no_grad()
def test_timm(tmp_path: Path):
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=3).eval()
    torch.save(model.state_dict(), tmp_path / "resnet.pth")
    teacher = open_teacher(f"timm:test_resnet@{tmp_path / 'resnet.pth'}", CLASSES)
    config = timm.data.resolve_model_data_config(model)
    mean, std = (torch.tensor(config[name]).view(3, 1, 1) for name in ("mean", "std"))
    close(teacher, model((resized(config["input_size"][1]) / 255 - mean) / std))


@torch.no_grad()
def test_torchvision(tmp_path: Path):
    torch.manual_seed(0)
    model = models.shufflenet_v2_x0_5(num_classes=3).eval()
    save_file(model.state_dict(), tmp_path / "net.safetensors")
    text = f"torchvision:shufflenet_v2_x0_5@{tmp_path / 'net.safetensors'}"
    teacher = open_teacher(text, CLASSES)
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    close(teacher, model((resized(224) / 255 - mean) / std))
    with pytest.raises(InputError, match=r"with 2 classes, which the data have \(size mismatch for fc"):
        open_teacher(text, CLASSES[:2])


@torch.no_grad()
def test_grey_views_are_shown_to_a_colour_teacher_as_grey(ours, tmp_path: Path):
    about = About(labels=CLASSES, preprocessing=SMALL, val_accuracy=0.5, steps=1, seconds=1.0)
    save_training(tmp_path, ours, about)
    teacher = open_teacher(str(tmp_path), CLASSES)
    grey = VIEWS[:, :1]
    torch.testing.assert_close(teacher.logits(grey), teacher.logits(grey.expand(-1, 3, -1, -1)))


def test_the_digest_tells_weights_apart(ours, tmp_path: Path):
    about = About(labels=CLASSES, preprocessing=SMALL, val_accuracy=0.5, steps=1, seconds=1.0)
    other = build(ours.network)
    digests = []
    for folder, model in ((tmp_path / "a", ours), (tmp_path / "b", ours), (tmp_path / "c", other)):
        folder.mkdir()
        save_training(folder, model, about)
        digests.append(open_teacher(str(folder), CLASSES).digest)
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    "text, told",
    [
        ("nowhere", "no such file or folder. Allowed: the folder of a training"),
        ("keras:resnet50@x.pth", "no library 'keras'"),
        ("timm:resnet5@x.pth", "timm has no such model; did you mean 'resnet5"),
        ("torchvision:resnet5@x.pth", "torchvision has no such classifier; did you mean 'resnet50'"),
        ("torchvision:resnet18@nowhere.pth", "nowhere.pth"),
        ("mobilenetv9@nowhere.pth", "mobilenetv9"),
    ],
)
def test_what_is_no_teacher_is_refused(text: str, told: str):
    with pytest.raises(InputError, match=told):
        open_teacher(text, CLASSES)


def test_what_finds_places_is_no_teacher_of_classes_whatever_its_labels(tmp_path: Path):
    """A segmenter of as many classes, by the same names: it gave a map where a student wants a number a class."""
    network = load("lraspp_mobilenet_v3_large").at(height=32, width=32).with_classes(len(CLASSES))
    model = build(network).eval()
    trained, file = tmp_path / "trained", tmp_path / "model.onnx"
    trained.mkdir()
    about = About(labels=CLASSES, preprocessing=SMALL, val_accuracy=0.5, steps=1, seconds=1.0, task="segmentation")
    save_training(trained, model, about)
    export_artefact(model, file, network=network, preprocessing=SMALL, labels=CLASSES, task="segmentation")
    for text in (str(trained), str(file), f"{network.name}@{trained}"):
        with pytest.raises(InputError, match=r"--teacher .*lraspp, gives a class map; what is wanted here is classes"):
            open_teacher(text, CLASSES)
