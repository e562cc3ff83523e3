"""Published weights as data, and how they are had: a folder, the cache, a mirror; down, slow, cut off, damaged."""

import os
from pathlib import Path

import pytest
import timm
import torch
from hub_server import HubServer, elsewhere, reached
from nn_helpers import randomise
from safetensors.torch import save_file

from ridgepoint.arch.zoo import list_models, load
from ridgepoint.errors import InputError
from ridgepoint.nn.build import build
from ridgepoint.nn.create import create_model
from ridgepoint.nn.published import (
    Normalisation,
    find_published,
    known_by_file,
    list_weights,
    published_weights,
    usual_weights,
)
from ridgepoint.nn.reach import FOLDER, lying, reach
from ridgepoint.nn.weight_file import read_weight_file
from ridgepoint.nn.weights import load_weights, normalisation_of, save_weights

NAME = "mobilenetv3_small_050"
ROW = usual_weights(NAME)
ON_HUB = [row for row in published_weights() if row.repository is not None]


@pytest.mark.parametrize("row", ON_HUB, ids=lambda row: row.name)
def test_the_table_says_what_timm_says(row):
    config = timm.get_pretrained_cfg(row.name)
    assert row.repository == f"timm/{row.name}" and config.hf_hub_id == row.repository
    assert (row.normalisation.mean, row.normalisation.std) == (config.mean, config.std)
    assert config.input_size == (3, row.size, row.size)
    assert row.classes == config.num_classes
    assert row.licence.open == (config.license in ("apache-2.0", "mit"))


def test_licences_that_are_not_open_are_told_and_names_are_unique():
    names = [row.name for row in published_weights()]
    assert len(names) == len(set(names)) and {row.network for row in published_weights()} <= set(list_models())
    assert not find_published("mobileone_s0").licence.open
    assert "Apple" in find_published("mobileone_s0").licence.words
    assert "Snap" in find_published("efficientformer_l1").licence.words
    assert find_published("tf_mobilenetv3_small_100").padding == "same"


def test_names_tags_networks_and_files_find_them():
    assert (
        find_published("mobilenetv2_100.ra_in1k")
        == find_published("mobilenetv2_100")
        == usual_weights("mobilenetv2_100")
    )
    assert find_published("ra_in1k", network="mobilenetv2_110d").network == "mobilenetv2_110d"
    assert find_published("ra_in1k") is None and find_published("no_such", network=NAME) is None
    assert (
        known_by_file(Path(f"a/{ROW.name}.safetensors")) == known_by_file(Path(f"{ROW.name}/model.safetensors")) == ROW
    )
    assert known_by_file(Path("mobilenetv2_100.tf_in1k_from_int8.safetensors")).network == "tf_mobilenetv2_100"
    assert {row.network for row in list_weights("mobileone*")} == {f"mobileone_s{size}" for size in range(5)}


def test_grey_images_get_the_mean_of_the_colours():
    wanted = Normalisation(mean=(0.2, 0.4, 0.6), std=(0.1, 0.2, 0.3))
    assert wanted.for_channels(3) is wanted
    assert wanted.for_channels(1) == Normalisation(mean=(0.4,), std=(0.2,))


def test_a_folder_comes_first_by_file_or_as_on_the_hub(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    torch.manual_seed(3)
    donor = build(load(NAME))
    for place in (tmp_path / "one" / f"{ROW.name}.safetensors", tmp_path / "two" / ROW.name / "model.safetensors"):
        place.parent.mkdir(parents=True)
        save_weights(donor, place)
        monkeypatch.setenv(FOLDER, str(tmp_path / place.relative_to(tmp_path).parts[0]))
        found = lying(ROW)
        assert (found.where, found.path) == ("folder", place) and reach(ROW) == found
        for given in (True, "lamb_in1k"):
            model = create_model(NAME, pretrained=given)
            given = donor.state_dict()
            assert all(torch.equal(value, given[name]) for name, value in model.state_dict().items())
    monkeypatch.setenv(FOLDER, str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"RIDGEPOINT_WEIGHTS is .*none', and there is no such folder"):
        create_model(NAME, pretrained=True)


def test_weights_that_the_hub_has_not_say_where_they_come_from():
    row = find_published("tf_mobilenetv2_100.tf_in1k_from_int8")
    with pytest.raises(InputError, match=r"come from Coral's.*as mobilenetv2_100\.tf_in1k_from_int8\.safetensors"):
        reach(row)


def test_what_weights_want_travels_in_their_file(tmp_path: Path):
    wanted = Normalisation(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    save_weights(build(load(NAME)), tmp_path / "w.safetensors", normalisation=wanted)
    assert normalisation_of(read_weight_file(tmp_path / "w.safetensors", "w")) == wanted
    save_weights(build(load(NAME)), tmp_path / "w.safetensors")
    assert normalisation_of(read_weight_file(tmp_path / "w.safetensors", "w")) is None


@pytest.mark.parametrize("name", [NAME, "mobilenetv2_050", "mobilenetv4_conv_small_050"])
def test_a_backbone_without_a_classifier_loads_and_leaves_that_fresh(name: str):
    donor = randomise(timm.create_model(name))
    tensors = {key: value for key, value in donor.state_dict().items() if not key.startswith("classifier.")}
    model = build(load(name).with_classes(5))
    assert set(load_weights(model, tensors).reset) == {"head.classifier.weight", "head.classifier.bias"}
    assert torch.equal(model.state_dict()["stem.0.conv.weight"], tensors["conv_stem.weight"])
    first = next(iter(tensors))
    with pytest.raises(InputError, match=r"[13] tensors of the network are missing"):
        load_weights(model, {key: value for key, value in tensors.items() if key != first})


def ask(url: str, cache: Path, patience_s: float | None = None, **more: str) -> str:
    """What is said of weights at a hub; with patience, by a process that can be stopped."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", FOLDER))}
    env |= {"HF_ENDPOINT": url, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "3"}
    return elsewhere(reached, env | more, ROW, patience_s)


@pytest.fixture
def hub(tmp_path: Path) -> HubServer:
    server = HubServer(tmp_path / "hub")
    save_file(build(load(NAME)).state_dict(), server.add(ROW.repository) / "model.safetensors")
    return server


def test_a_hub_that_cannot_be_reached_says_what_to_download_and_where_to_put_it(tmp_path: Path):
    told = ask("http://127.0.0.1:9", tmp_path)
    assert told.startswith("refused") and "the mirror http://127.0.0.1:9" in told and "cannot be reached" in told
    assert f"download http://127.0.0.1:9/{ROW.repository}/resolve/main/model.safetensors" in told
    assert f"put it as {ROW.name}.safetensors into a folder, and set RIDGEPOINT_WEIGHTS" in told
    assert "cannot be reached" in ask("http://127.0.0.1:9", tmp_path, HF_HUB_OFFLINE="1")


def test_a_slow_hub_is_left_after_a_while_and_the_cache_is_asked_first(hub: HubServer, tmp_path: Path):
    hub.slow_s = 0.2
    with hub:
        assert "were not here after 1 s" in ask(hub.url, tmp_path / "cache", 1)
        hub.slow_s = 0.0
        assert ask(hub.url, tmp_path / "cache", 60).startswith("hub ")
        hub.requests.clear()
        assert ask(hub.url, tmp_path / "cache", 5).startswith("cache ")
        assert not hub.requests


@pytest.mark.parametrize(
    ("fault", "patience_s", "told"), [("cut", None, "cannot be fetched"), ("wrong", 25, "is damaged or another file")]
)
def test_half_a_file_and_another_one_are_never_taken(
    hub: HubServer, tmp_path: Path, fault: str, patience_s: float | None, told: str
):
    hub.cut, hub.wrong = (5000 if fault == "cut" else None), fault == "wrong"
    with hub:
        said = ask(hub.url, tmp_path / "cache", patience_s)
        assert said.startswith("refused") and told in said, said
        hub.cut, hub.wrong = None, False
        assert ask(hub.url, tmp_path / "cache").startswith("hub "), "nothing wrong was kept"


def test_a_file_that_was_damaged_in_the_cache_is_fetched_again(hub: HubServer, tmp_path: Path):
    with hub:
        path = Path(ask(hub.url, tmp_path / "cache").split(maxsplit=1)[1].strip())
        path.resolve().write_bytes(path.read_bytes()[:-10])
        assert ask(hub.url, tmp_path / "cache").startswith("hub ")
