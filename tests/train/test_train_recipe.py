"""Recipes: what is read, what `--set` means, and what is refused with which words."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from ridgepoint.errors import InputError
from ridgepoint.train.mixing import Mixing
from ridgepoint.train.optimizer import SGD, AdamW
from ridgepoint.train.recipe import RECIPES, Recipe, list_recipes, load_recipe, parse_changes


@pytest.mark.parametrize("name", list_recipes())
def test_every_shipped_recipe_loads_and_is_named_like_its_file(name: str):
    assert load_recipe(name).name == name


@pytest.mark.parametrize(
    "text, value",
    [
        ("lr=1e-3", 1e-3), ("lr=0.01", 0.01), ("lr=.5", 0.5), ("lr=1E-2", 1e-2), ("lr=3e+0", 3.0),
        ("batch_size=5", 5), ("clip=null", None), ("flag=true", True), ("flag=false", False),
        ("optimizer.kind=sgd", "sgd"), ("lr=-0.5", -0.5), ("lr = 0.01", 0.01), ("name=a=b", "a=b"),
        ("warmup=5/300", 1 / 60), ("warmup=1/0", "1/0"), ("schedule={kind: step, at: [1/2, 1e-1]}",
                                                          {"kind": "step", "at": [0.5, 0.1]}),
    ],
)  # fmt: skip
def test_set_reads_values_as_people_mean_them(text: str, value: Any):
    (found,) = parse_changes([text]).values()
    assert found == value and type(found) is type(value)


def test_changes_reach_the_recipe():
    changes = ["optimizer.lr=1e-3", "epochs=2", "clip=null", "optimizer.kind=sgd", "mixing.mixup=0.2"]
    recipe = load_recipe("small_images", parse_changes(changes))
    assert (recipe.optimizer, recipe.epochs, recipe.clip) == (SGD(lr=1e-3), 2, None)
    assert recipe.mixing == Mixing(mixup=0.2)


@pytest.mark.parametrize(
    "change, told",
    [
        ("optimizer.lrr=0.1", "'optimizer.lrr'; did you mean 'lr'"),
        ("lr=0.1", "'lr'; did you mean 'optimizer.lr'"),
        ("policy=null", "'policy'; did you mean 'augmentation.policy'"),
        ("epoch=3", "'epoch'; did you mean 'epochs'"),
        ("optimizer.lr=fast", "optimizer.lr is 'fast'. Allowed: a number"),
        ("optimizer.lr=0", "optimizer.lr is 0. Allowed: a number > 0"),
        ("optimizer.lr=inf", "optimizer.lr is 'inf'. Allowed: a number"),
        ("optimizer.lr=true", "optimizer.lr is True. Allowed: a number"),
        ("optimizer.kind=adam", "optimizer.kind is 'adam'; did you mean 'adamw'"),
        ("optimizer={kind: sgd}", "optimizer is {'kind': 'sgd'}: Object missing required field `lr`"),
        ("optimizer.betas=[0.9, 2]", "optimizer.betas.1 is 2. Allowed: a number <= 1"),
        ("optimizer=sgd", "optimizer is 'sgd'. Allowed: a mapping"),
        (
            "schedule.kind=linear",
            "schedule.kind is 'linear'; did you mean 'cosine'? Allowed: constant, cosine, exponential, step",
        ),
        ("schedule.warmup=1.5", "schedule.warmup is 1.5. Allowed: a number <= 1"),
        ("weight_decay.start=1", "weight_decay is {'start': 1}: Object missing required field `end`"),
        (
            "augmentation={policy: {kind: randaugment, magnitude: 15}}",
            "augmentation.policy.magnitude is 15. Allowed: a",
        ),
        ("augmentation={horizontal_flip: 2}", "augmentation horizontal_flip is 2"),
        ("undecayed=[norms]", "'norms'; did you mean 'norm'"),
        ("precision=float16", "precision is 'float16'; did you mean 'bfloat16'"),
        ("epochs=1.5", "epochs is 1.5. Allowed: a whole number"),
        ("epochs=0", "epochs is 0. Allowed: a whole number >= 1"),
        ("batch_size=1", "batch_size is 1. Allowed: a whole number >= 2"),
        ("optimizer.lr=[", "optimizer.lr is '['"),
    ],
)
def test_what_is_not_allowed_is_told(change: str, told: str):
    with pytest.raises(InputError) as error:
        load_recipe("small_images", parse_changes([change]))
    assert told in str(error.value) and "small_images" in str(error.value)


def test_a_text_without_a_sign_is_told():
    with pytest.raises(InputError, match="--set 'lr': has no '='"):
        parse_changes(["lr"])


def write(folder: Path, text: str | bytes) -> str:
    path = folder / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_a_recipe_from_a_file(tmp_path: Path):
    recipe = load_recipe(write(tmp_path, "name: mine\noptimizer: {kind: adamw, lr: 1e-3}\nclip: null\n"))
    assert (recipe.name, recipe.optimizer, recipe.clip) == ("mine", AdamW(lr=1e-3), None)


@pytest.mark.parametrize(
    "text, told",
    [
        ("name: mine\nweight_decy: 0.1\n", "'weight_decy'; did you mean 'weight_decay'"),
        ("name: mine\nepochs: many\n", "epochs is 'many'. Allowed: a whole number"),
        ("epochs: 3\n", "name"),
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


def test_the_learning_rate_follows_the_batch_as_the_recipe_says():
    linear = load_recipe("mobileone_s0")
    assert linear.lr(0.5, 256) == pytest.approx(2 * linear.lr(0.5, 128))
    root = load_recipe("mobileone_s0", {"lr_scaling.rule": "sqrt"})
    assert root.lr(0.5, 256) == pytest.approx(2 * root.lr(0.5, 64)) == pytest.approx(linear.lr(0.5, 256))
    assert load_recipe("small_images").lr(0.1, 7) == load_recipe("small_images").optimizer.lr


def test_published_recipes_say_where_they_come_from():
    for path in RECIPES.glob("*.yaml"):
        opening = path.read_text().split("name:")[0]
        for word in ("Source:", "Command: ridgepoint ", "Hardware:", "Expected:"):
            assert word in opening, f"{path.stem} does not say its {word}"


def test_a_recipe_survives_being_written_and_read():
    for name in list_recipes():
        recipe = load_recipe(name)
        assert msgspec.convert(msgspec.to_builtins(recipe), Recipe) == recipe
