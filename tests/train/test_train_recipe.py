"""Recipes: what is read, what `--set` means, and what is refused with which words."""

from pathlib import Path
from typing import Any

import pytest

from ridgepoint.errors import InputError
from ridgepoint.train.recipe import list_recipes, load_recipe, parse_changes


@pytest.mark.parametrize("name", list_recipes())
def test_every_shipped_recipe_loads_and_is_named_like_its_file(name: str):
    assert load_recipe(name).name == name


@pytest.mark.parametrize(
    "text, value",
    [
        ("lr=1e-3", 1e-3), ("lr=0.01", 0.01), ("lr=.5", 0.5), ("lr=1E-2", 1e-2), ("lr=3e+0", 3.0),
        ("batch_size=5", 5), ("clip_norm=null", None), ("flag=true", True), ("flag=false", False),
        ("optimizer=sgd", "sgd"), ("lr=-0.5", -0.5), ("lr = 0.01", 0.01), ("name=a=b", "a=b"),
    ],
)  # fmt: skip
def test_set_reads_values_as_people_mean_them(text: str, value: Any):
    (found,) = parse_changes([text]).values()
    assert found == value and type(found) is type(value)


def test_changes_reach_the_recipe():
    recipe = load_recipe("small_images", parse_changes(["lr=1e-3", "epochs=2", "clip_norm=null", "optimizer=sgd"]))
    assert (recipe.lr, recipe.epochs, recipe.clip_norm, recipe.optimizer) == (1e-3, 2, None, "sgd")


@pytest.mark.parametrize(
    "change, told",
    [
        ("lrr=0.1", "'lrr'; did you mean 'lr'"),
        ("epoch=3", "'epoch'; did you mean 'epochs'"),
        ("lr=fast", "lr is 'fast'. Allowed: a number"),
        ("lr=0", "lr is 0. Allowed: a number > 0"),
        ("lr=inf", "lr is inf"),
        ("lr=true", "lr is True. Allowed: a number"),
        ("epochs=1.5", "epochs is 1.5. Allowed: a whole number"),
        ("epochs=0", "epochs is 0. Allowed: a whole number >= 1"),
        ("batch_size=1", "batch_size is 1. Allowed: a whole number >= 2"),
        ("warmup=1.5", "warmup is 1.5. Allowed: a number <= 1"),
        ("optimizer=adam", "optimizer is 'adam'"),
        ("lr=[", "lr is '['"),
    ],
)
def test_what_is_not_allowed_is_told(change: str, told: str):
    with pytest.raises(InputError) as error:
        load_recipe("small_images", parse_changes([change]))
    assert told in str(error.value) and "small_images" in str(error.value)


def test_a_text_without_a_sign_is_told():
    with pytest.raises(InputError, match="--set lr: has no '='"):
        parse_changes(["lr"])


def write(folder: Path, text: str | bytes) -> str:
    path = folder / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_a_recipe_from_a_file(tmp_path: Path):
    recipe = load_recipe(write(tmp_path, "name: mine\nlr: 1e-3\nclip_norm: null\n"))
    assert (recipe.name, recipe.lr, recipe.clip_norm) == ("mine", 1e-3, None)


@pytest.mark.parametrize(
    "text, told",
    [
        ("name: mine\nweight_decy: 0.1\n", "'weight_decy'; did you mean 'weight_decay'"),
        ("name: mine\nepochs: many\n", "epochs is 'many'. Allowed: a whole number"),
        ("lr: 0.1\n", "name"),
        ("", "mine"),
        ("- 1\n", "mine"),
        ("name: [\n", "mine"),
        (b"\xff\xfe\x00", "mine"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str | bytes, told: str):
    with pytest.raises(InputError) as error:
        load_recipe(write(tmp_path, text))
    assert told in str(error.value) and "mine" in str(error.value)


def test_names_and_files_that_are_not_there(tmp_path: Path):
    with pytest.raises(InputError, match="unknown recipe 'small_image'; did you mean 'small_images'"):
        load_recipe("small_image")
    with pytest.raises(InputError, match="there is no such file"):
        load_recipe(str(tmp_path / "absent.yaml"))
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(InputError, match=r"folder\.yaml"):
        load_recipe(str(tmp_path / "folder.yaml"))
