"""Exported files in the real runtime: batches, metadata, parity with the source, and files that are refused."""

import copy
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from torch import nn
from train_helpers import small_network

from ridgepoint.data import detect
from ridgepoint.deploy.artefact import load_artefact
from ridgepoint.deploy.export import export_artefact, export_for_timing
from ridgepoint.deploy.runtimes import find_runtime, open_session
from ridgepoint.deploy.verify import verify
from ridgepoint.errors import InputError, ParityError, RunError
from ridgepoint.tasks.classification import CLASSIFICATION
from ridgepoint.tasks.predict import predict
from ridgepoint.tasks.softmax import softmax

LABELS = tuple(str(digit) for digit in range(10))


def test_metadata_comes_back(exported: Path, data):
    artefact = load_artefact(exported)
    assert artefact.labels == LABELS
    assert artefact.preprocessing == data.preprocessing
    assert artefact.network == small_network()
    assert artefact.session.input_shape == (1, 16, 16)
    assert artefact.session.runtime == "onnxruntime" and artefact.session.version == find_runtime("onnxruntime").version
    props = {entry.key: entry.value for entry in onnx.load(exported).metadata_props}
    assert set(props) >= {"ridgepoint.labels", "ridgepoint.preprocessing", "ridgepoint.network", "ridgepoint.version"}


def test_labels_of_any_script_come_back(trained, data, tmp_path: Path):
    labels = ("Küche", "猫", "a b", 'quo"te', "", "🙂", "6", "7", "8", "9")
    export_artefact(
        trained, tmp_path / "m.onnx", network=small_network(), preprocessing=data.preprocessing, labels=labels
    )
    assert load_artefact(tmp_path / "m.onnx").labels == labels


def test_norms_are_folded_in_the_file(exported: Path, trained):
    operators = {node.op_type for node in onnx.load(exported).graph.node}
    assert "BatchNormalization" not in operators
    assert any(isinstance(module, nn.BatchNorm2d) for module in trained.modules()), "the source still has them"


def test_logits_equal_the_sources_on_real_images(exported: Path, trained, data):
    artefact = load_artefact(exported)
    parity = verify(trained, artefact, data.val.images, agree=CLASSIFICATION.agree)
    assert parity.count == len(data.val) and parity.document()["top1_agreement"] == parity.agreement == 1.0
    assert 0 < parity.max_relative_diff < 1e-4
    with torch.no_grad():
        expected = trained(data.preprocessing.normalize(data.val.images[:5])).numpy()
    np.testing.assert_allclose(artefact.logits(data.val.images[:5].numpy()), expected, rtol=1e-3, atol=1e-4)


def test_both_kinds_of_batch_run(exported: Path, trained, data, tmp_path: Path):
    about = {"network": small_network(), "preprocessing": data.preprocessing, "labels": LABELS}
    export_artefact(trained, tmp_path / "dynamic.onnx", batch="dynamic", **about)
    for path, batch in ((exported, 1), (tmp_path / "dynamic.onnx", None)):
        session = open_session(path)
        assert session.static_batch == batch
        for count in (1, 3):
            x = data.preprocessing.normalize(data.val.images[:count])
            with torch.no_grad():
                np.testing.assert_allclose(session.run(x.numpy()), trained(x).numpy(), rtol=1e-3, atol=1e-4)


def test_predict_gives_the_label_of_an_image_file(exported: Path, trained, data, tmp_path: Path):
    dataset = detect("digits", seed=0)
    artefact = load_artefact(exported)
    expected = artefact.logits(data.val.images[:8].numpy())
    for index in range(8):
        image = dataset.val.load(index)
        path = tmp_path / f"{index}.png"
        (image if isinstance(image, Image.Image) else Image.open(image)).save(path)
        found = [(each["label"], each["probability"]) for each in predict(artefact, path, top=3).document["top"]]
        order = np.argsort(-expected[index])[:3]
        assert [label for label, _ in found] == [LABELS[i] for i in order]
        assert [share for _, share in found] == pytest.approx(list(softmax(expected[index])[order]), rel=1e-3)
    assert sum(each["probability"] for each in predict(artefact, path, top=10).document["top"]) == pytest.approx(1.0)


def test_softmax_of_large_logits_is_finite():
    np.testing.assert_allclose(softmax(np.array([[1000.0, 1000.0]])), [[0.5, 0.5]])


def test_other_weights_in_the_file_are_found(exported: Path, trained, data):
    other = copy.deepcopy(trained)
    with torch.no_grad():
        next(iter(other.parameters())).mul_(1.5)
    with pytest.raises(ParityError, match=r"disagrees with its source on 100 images.*Do not ship it"):
        verify(other, load_artefact(exported), data.val.images[:100], agree=CLASSIFICATION.agree)


def test_a_small_difference_in_one_logit_is_found(exported: Path, trained, data):
    """Too small to change any top-1, and larger than what float32 explains."""
    other = copy.deepcopy(trained)
    bias = [parameter for name, parameter in other.named_parameters() if name.endswith("bias")][-1]
    with torch.no_grad():
        logits = trained(data.preprocessing.normalize(data.val.images[:64]))
        bias[logits.mean(0).argmin()] += 1.5e-3 * float(logits.abs().max())  # of the class that is never near the top
    with pytest.raises(ParityError, match=r"top-1 agreement 1\.0000"):
        verify(other, load_artefact(exported), data.val.images[:64], agree=CLASSIFICATION.agree)


def test_logits_that_are_no_numbers_are_no_agreement(exported: Path, trained, data):
    other = copy.deepcopy(trained)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.fill_(float("nan"))
    with pytest.raises(ParityError):
        verify(other, load_artefact(exported), data.val.images[:8], agree=CLASSIFICATION.agree)


def test_a_foreign_file_is_refused(tmp_path: Path):
    path = tmp_path / "foreign.onnx"
    from ridgepoint.arch.shape import Shape

    export_for_timing(nn.Conv2d(3, 4, 3), Shape(3, 8, 8), path)
    with pytest.raises(InputError, match=r"foreign\.onnx: holds no labels and preprocessing.*ridgepoint"):
        load_artefact(path)


@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_what_is_no_onnx_file_is_refused(tmp_path: Path, content: bytes | None):
    path = tmp_path / "broken.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.onnx: "):
        load_artefact(path)


def test_a_truncated_file_is_refused(exported: Path, tmp_path: Path):
    path = tmp_path / "short.onnx"
    path.write_bytes(exported.read_bytes()[:-500])
    with pytest.raises(InputError, match=r"short\.onnx: ONNX Runtime cannot load it"):
        load_artefact(path)


def test_a_runtime_that_is_not_there_is_refused_with_the_nearest(exported: Path):
    with pytest.raises(InputError, match="unknown runtime 'onnxruntme'; did you mean 'onnxruntime'"):
        load_artefact(exported, runtime="onnxruntme")


def test_a_model_in_train_mode_is_not_exported(trained, data, tmp_path: Path):
    model = copy.deepcopy(trained).train()
    with pytest.raises(InputError, match="train mode"):
        export_artefact(
            model, tmp_path / "m.onnx", network=small_network(), preprocessing=data.preprocessing, labels=LABELS
        )
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_told(trained, data, tmp_path: Path):
    with pytest.raises(RunError, match="cannot be written"):
        export_artefact(
            trained,
            tmp_path / "no" / "m.onnx",
            network=small_network(),
            preprocessing=data.preprocessing,
            labels=LABELS,
        )
