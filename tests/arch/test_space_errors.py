"""Wrong space files: one message that names the file, the key, what was given and what is allowed."""

from pathlib import Path

import pytest
import yaml

from ridgepoint.arch.space import load_space
from ridgepoint.errors import ArchitectureError

GOOD = """
name: mine
input: [3, 32, 32]
stem:
  - {block: conv, kernel: 3, stride: 2, out_channels: {choice: [8, 16], name: width}}
stages:
  - depth: {choice: [1, 2]}
    blocks:
      - {block: uib, start_kernel: 0, middle_kernel: 3, expand_ratio: 2, out_channels: {choice: [8, 16], name: width}}
      - {block: conv, kernel: {choice: [3, 5]}, out_channels: 16}
head: {head: pooled, conv_channels: {choice: [32, 64]}}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


def test_the_file_that_the_others_are_made_from_is_right(tmp_path: Path):
    assert load_space(write(tmp_path, GOOD)).size == 2 * (1 + 2) * 2


WIDTH = "out_channels: {choice: [8, 16], name: width}"
KERNEL = "kernel: {choice: [3, 5]}"
HEAD = "head: {head: pooled, conv_channels: {choice: [32, 64]}}"
WRONG = [
    (KERNEL, "kernel: {choice: []}", r"stages\.0\.blocks\.1\.kernel\.choice: is \[\]"),
    (KERNEL, "kernel: {choice: 3}", r"stages\.0\.blocks\.1\.kernel\.choice: is 3"),
    (KERNEL, "kernel: {choice: [3], nam: k}", r"blocks\.1\.kernel: unknown key 'nam'; did you mean 'name'"),
    (KERNEL, "kernel: {choise: [3, 5]}", r"stages\.0\.blocks\.1\.kernel: is \{'choise'"),
    (KERNEL, "kernel: {choice: [3, five]}", r"stages\.0\.blocks\.1\.kernel: is 'five'"),
    (KERNEL, "kernel: {choice: [3, five, 5]}", r"stages\.0\.blocks\.1\.kernel: is 'five'"),
    (KERNEL, "kernel: {choice: [-3, 5]}", r"stages\.0\.blocks\.1\.kernel: is -3"),
    (KERNEL, "kernl: {choice: [3, 5]}", r"blocks\.1: unknown key 'kernl'; did you mean 'kernel'"),
    (
        f"stride: 2, {WIDTH}",
        "out_channels: {choice: [8, 24], name: width}",
        r"'width' .* options, \[8, 24\] and \[8, 16\]",
    ),
    ("choice: [1, 2]", "choice: [1, 3]", r"stages\.0\.depth: is 3\. Allowed: 0 to 2"),
    ("choice: [1, 2]", "choice: [one, 2]", r"stages\.0\.depth: is 'one'"),
    ("depth: {", "deep: {", r"stages\.0: unknown key 'deep'; did you mean 'depth'"),
    ("blocks:", "block:", r"stages\.0: unknown key 'block'; did you mean 'blocks'"),
    ("stages:", "stage:", r"unknown key 'stage'; did you mean 'stages'"),
    (HEAD, "head: {choice: [{head: poold}, {head: pooled}]}", r"head\.head: is 'poold'; did you mean 'pooled'"),
    (HEAD, "heads: {choice: [{head: pooled}]}", r"unknown key 'heads'; did you mean 'head'"),
    ("[3, 32, 32]", "[3, 32]", "input: .*length 3"),
    ("[3, 32, 32]", "[3, 32, {choice: [32, -1]}]", r"input\.2: is -1"),
]


@pytest.mark.parametrize("good, bad, told", WRONG, ids=[bad for _, bad, _ in WRONG])
def test_what_is_wrong_is_named_with_file_and_key(tmp_path: Path, good: str, bad: str, told: str):
    assert GOOD.count(good) == 1, "each case changes one place"
    with pytest.raises(ArchitectureError, match=rf"mine\.yaml: .*{told}"):
        load_space(write(tmp_path, GOOD.replace(good, bad)))


def test_whole_stages_and_lists_of_blocks_cannot_be_choices(tmp_path: Path):
    good = yaml.safe_load(GOOD)
    for key, value, told in (
        ("stages", {"choice": [good["stages"]]}, r"mine\.yaml: stages: is .*Allowed: a list"),
        ("stages", [{"choice": good["stages"]}], r"mine\.yaml: stages\.0: is .*Allowed: a mapping"),
        ("stem", {"choice": [good["stem"]]}, r"mine\.yaml: stem: is .*Allowed: a list"),
        ("stages", [{"blocks": {"choice": [[]]}}], r"mine\.yaml: stages\.0\.blocks: is .*Allowed: a list"),
    ):
        with pytest.raises(ArchitectureError, match=told):
            load_space(write(tmp_path, yaml.safe_dump({**good, key: value})))


def test_an_end_that_is_no_network_is_found_when_the_file_is_read(tmp_path: Path):
    """Only the last option asks for a residual connection across a stride."""
    wrong = GOOD.replace("expand_ratio: 2,", "expand_ratio: 2, stride: {choice: [1, 2]}, residual: true,")
    with pytest.raises(ArchitectureError, match=r"mine\.yaml: stages\.0\.0\.join: cannot add"):
        load_space(write(tmp_path, wrong))


def test_a_space_without_a_choice_is_a_network(tmp_path: Path):
    with pytest.raises(ArchitectureError, match=r"mine\.yaml: no choice is left open"):
        load_space(write(tmp_path, "name: mine\ninput: [3, 8, 8]\nstages: []\n"))


def test_unknown_names_and_missing_files(tmp_path: Path):
    with pytest.raises(ArchitectureError, match="unknown space 'mobilenetv4_con'; did you mean 'mobilenetv4_conv'"):
        load_space("mobilenetv4_con")
    with pytest.raises(ArchitectureError, match="there is no such file"):
        load_space(tmp_path / "absent.yaml")
    with pytest.raises(ArchitectureError, match="cannot be read"):
        load_space(write(tmp_path, "name: [unclosed"))


INNER = "kernel: {choice: [{choice: [3, five]}, 5]}"
WHOLE = "{choice: [{block: conv, kernel: {choice: [3, 5, 4]}, out_channels: 16}, null]}"
ROW = "{block: conv, kernel: {choice: [3, 5]}, out_channels: 16}"
UNUSUAL = [
    (KERNEL, INNER, r"stages\.0\.blocks\.1\.kernel: is 'five'"),
    (ROW, WHOLE, r"stages\.0\.1\.conv: a convolution has a kernel of 4"),
    ("choice: [1, 2]", "choice: [0, 1]", r"stages\.0\.depth: never keeps more than 1 of 2 rows"),
    ("depth: {choice: [1, 2]}", "depth: 1", r"stages\.0\.depth: never keeps more than 1 of 2 rows"),
    (HEAD, "head: {head: pooled, depth: {choice: [1]}}", r"head: unknown key 'depth' in a row"),
    (ROW, "{choice: [{depth: 1, blocks: [{block: conv, out_channels: 8}]}, null]}", r"unknown key 'depth' in a row"),
    (KERNEL, f"kernel: {{choice: {list(range(1, 2003, 2))}}}", r"Allowed: a list of 1 to 1,000 options"),
    (KERNEL, "kernel: {choice: [3, 5], name: 7}", r"kernel\.name: is 7\. Allowed: `str`"),
    ("name: mine", "name: [mine]", r"name: is \['mine'\]"),
    ("name: mine", f"name: {'m' * 201}", r"name: is 'm+\.\.\.m+'\. Allowed: `str` of length <= 200"),
    ("out_channels: 16}", "out_channels: {choice: [0, 16]}}", r"out_channels: is 0\. Allowed: `int` >= 1"),
]


@pytest.mark.parametrize("good, bad, told", UNUSUAL, ids=[bad[:50] for _, bad, _ in UNUSUAL])
def test_every_option_is_tried_wherever_it_lies(tmp_path: Path, good: str, bad: str, told: str):
    assert GOOD.count(good) == 1, "each case changes one place"
    with pytest.raises(ArchitectureError, match=rf"mine\.yaml: .*{told}"):
        load_space(write(tmp_path, GOOD.replace(good, bad)))


def test_shared_choices_that_cannot_be_counted_are_told(tmp_path: Path):
    rows = "  - {choice: [null, {block: conv, out_channels: 8, kernel: {choice: [3, 5], name: k%d}}]}\n"
    many = "".join(rows % number for number in range(40))
    with pytest.raises(ArchitectureError, match=r"mine\.yaml: too many shared choices are in parts that may"):
        load_space(write(tmp_path, GOOD.replace("stages:", many + many + "stages:")))


def test_spaces_of_any_size_end(tmp_path: Path):
    row = "  - {block: conv, out_channels: 8, kernel: {choice: [1, 3, 5, 7, 9, 11, 13, 15]}}\n"
    for rows, told in ((400, "holds more than 1e300 networks"), (1100, "choices are left open. Allowed: 1,000")):
        with pytest.raises(ArchitectureError, match=told):
            load_space(write(tmp_path, GOOD.replace("stages:", row * rows + "stages:")))
    rows = "  - {block: conv, out_channels: 8, repeat: 9000}\n"
    kernels = f"{{block: conv, out_channels: 8, kernel: {{choice: {list(range(1, 255, 2))}}}}}"
    with pytest.raises(ArchitectureError, match="too many options in too many blocks"):
        load_space(write(tmp_path, GOOD.replace(ROW, kernels).replace("stages:", rows + "stages:")))
