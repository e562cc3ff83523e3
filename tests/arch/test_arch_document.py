"""Networks as text: strict reading, errors that name file, key, what was given and what is allowed."""

import copy
import pickle
import subprocess
import sys

import msgspec
import pytest
import yaml

from ridgepoint.arch.document import dump_network, parse_network
from ridgepoint.arch.network import place_blocks
from ridgepoint.arch.zoo import list_models, load
from ridgepoint.errors import ArchitectureError

GOOD = yaml.safe_load("""
name: tiny
input: [3, 32, 32]
conventions: {activation: hard_swish}
stem:
  - {block: conv, out_channels: 8, stride: 2}
stages:
  - blocks:
      - {block: uib, start_kernel: 3, middle_kernel: 5, expand_ratio: 4, out_channels: 16, stride: 2}
      - {block: uib, start_kernel: 3, expand_ratio: 2, out_channels: 16, repeat: 2}
      - {block: mqa, heads: 2, key_dim: 8, value_dim: 8}
head: {head: pooled, conv_channels: 32}
num_classes: 10
""")


def edited(where: str, value):
    """The good document with one value changed; `-` removes a key."""
    document = copy.deepcopy(GOOD)
    *steps, last = where.split(".")
    at = document
    for step in steps:
        at = at[int(step)] if isinstance(at, list) else at[step]
    if value == "-":
        del at[last]
    else:
        at[int(last) if isinstance(at, list) else last] = value
    return document


def test_the_good_document_reads_and_its_shorthands_are_resolved():
    network = parse_network(GOOD, source="tiny.yaml")
    rows = dict(network.rows())
    assert rows["stages.0.0"].expand_channels == 32
    assert rows["stages.0.1"] == rows["stages.0.2"]
    assert rows["stages.0.1"].variant == "ConvNext"
    assert str(place_blocks(network)[-1].output) == "10"


def test_a_repeated_row_strides_once_and_a_share_of_the_expansion_is_squeezed():
    row = {"block": "ib", "expand_ratio": 3, "se_ratio": 0.25, "out_channels": 16, "stride": 2, "repeat": 3}
    plain = {"block": "ib", "expand_ratio": 3, "se_ratio": 0, "out_channels": 16}
    network = parse_network({**copy.deepcopy(GOOD), "stages": [{"blocks": [row, plain]}]}, source="tiny.yaml")
    blocks = network.stages[0].blocks
    assert [block.stride for block in blocks] == [2, 1, 1, 1]
    assert [block.expand_channels for block in blocks] == [3 * 8, 3 * 16, 3 * 16, 3 * 16]
    # a quarter is 6 and 12: rounded to multiples of 8
    assert [block.se_channels for block in blocks] == [8, 16, 16, None]


ROW = "stages.0.blocks.0"
WRONG = [
    ("stage", [], r"tiny\.yaml: unknown key 'stage'; did you mean 'stages'\?"),
    ("stages", "-", r"the key 'stages' is missing"),
    ("stages", {}, r"stages: is \{\}\. Allowed: a list"),
    ("input", [3, 32], r"input: .*length 3"),
    ("input", [3, 32, "big"], r"input\.2: is 'big'\. Allowed: `?int"),
    ("input", [3, 32, 0], r"input\.2: is 0\. Allowed: `?int`? >= 1"),
    ("num_classes", 0, r"num_classes: is 0\. Allowed: `?int`? >= 1"),
    ("num_classes", "ten", r"num_classes: is 'ten'\. Allowed: `?int"),
    ("conventions.activation", "rleu", r"conventions\.activation: is 'rleu'; did you mean 'relu'\?"),
    ("conventions.pading", "same", r"unknown key 'pading'; did you mean 'padding'\?"),
    ("conventions.padding", "valid", r"conventions\.padding: is 'valid'; .*Allowed: same, symmetric"),
    (f"{ROW}.block", "uibb", r"stages\.0\.blocks\.0\.block: is 'uibb'; did you mean 'uib'\?"),
    (f"{ROW}.block", "-", r"stages\.0\.blocks\.0: the key 'block' is missing"),
    (f"{ROW}.out_channels", -16, r"stages\.0\.blocks\.0\.out_channels: is -16\. Allowed: `?int`? >= 1"),
    (f"{ROW}.out_channels", "16", r"stages\.0\.blocks\.0\.out_channels: is '16'\. Allowed: `?int"),
    (f"{ROW}.out_channels", 16.5, r"out_channels: is 16\.5\. Allowed: `?int"),
    (f"{ROW}.out_channels", True, r"out_channels: is True\. Allowed: `?int"),
    (f"{ROW}.out_channels", "-", r"missing required field `out_channels`"),
    (f"{ROW}.expand_ration", 4, r"unknown key 'expand_ration'"),
    (f"{ROW}.expand_ratio", -2, r"expand_ratio: is -2\. Allowed: a number above 0"),
    (f"{ROW}.stride", 0, r"stages\.0\.blocks\.0\.stride: is 0\. Allowed: `?int`? >= 1"),
    (f"{ROW}.middle_kernel", -1, r"middle_kernel: is -1\. Allowed: `?int`? >= 0"),
    (f"{ROW}.middle_kernel", 4, r"stages\.0\.0\..*a convolution has a kernel of 4\. Allowed: odd kernels"),
    (f"{ROW}.se_ratio", 0.25, r"stages\.0\.blocks\.0: unknown key 'se_channels'"),
    (f"{ROW}.se_ratio", 2, r"stages\.0\.blocks\.0\.se_ratio: is 2\. Allowed: 0 to 1"),
    ("stages.0.blocks.1.repeat", 0, r"stages\.0\.blocks\.1\.repeat: is 0\. Allowed: a whole number from 1"),
    ("stages.0.blocks.0", "uib", r"stages\.0\.blocks\.0: is 'uib'\. Allowed: a mapping"),
    ("head.head", "pool", r"head\.head: is 'pool'; .*pooled"),
    ("name", "", r"name: is ''\. Allowed: `?str`? of length >= 1"),
    ("name", "a\nb", r"name: is 'a\\nb'\. Allowed: `?str`? matching"),
    ("input", [3, 2**21, 32], r"input\.1: is 2097152\. Allowed: `?int`? <= 1048576"),
    ("conventions.norm_eps", 0, r"conventions\.norm_eps: is 0\. Allowed: `?float`? > 0"),
    (f"{ROW}.expand_ratio", 1e300, r"expand_ratio: is 1e\+300\. Allowed: a number above 0, at most 1000"),
    (f"{ROW}.middle_kernel", 257, r"middle_kernel: is 257\. Allowed: `?int`? <= 255"),
    (f"{ROW}.out_channels", 10**400, r"out_channels: is 10+ ?\.\.\. ?0+\."),
    ("stages.0.blocks.1.repeat", 10**9, r"stages\.0\.blocks\.1: the network has more than 10,000 blocks with this row"),
    ("head.hidden", 12, r"unknown key 'hidden'; did you mean 'hidden_"),
]


@pytest.mark.parametrize(("where", "value", "said"), WRONG, ids=[f"{where}={value}" for where, value, _ in WRONG])
def test_a_wrong_document_is_an_error_that_says_where_and_what_is_allowed(where, value, said):
    with pytest.raises(ArchitectureError, match=said) as caught:
        parse_network(edited(where, value), source="tiny.yaml")
    assert str(caught.value).startswith("tiny.yaml")
    assert "$" not in str(caught.value)


UIB = {"block": "uib", "expand_channels": 32, "out_channels": 16}
TOKENS = {"block": "attention_mixer", "expand_channels": 32, "heads": 2, "key_dim": 4, "value_dim": 4}
IMPOSSIBLE = [
    ([{**UIB, "stride": 2}], r"a uib with stride 2 needs a depthwise convolution: give start_kernel or middle_kernel"),
    ([{**UIB, "residual": True}], r"cannot add 8x16x16 and 16x16x16: both branches need one shape"),
    ([{**UIB, "middle_kernel": 3, "stride": 2, "residual": True, "out_channels": 8}], r"cannot add 8x16x16 and 8x8x8"),
    ([TOKENS, UIB], r"a 1x1 convolution needs a map, but its input is 8x16x16 tokens \(tokens\)"),
    ([TOKENS, {"block": "mqa", "heads": 2, "key_dim": 4, "value_dim": 4}], r"needs a map"),
    ([TOKENS], r"head\..*needs a map"),
    ([{"block": "pool_mixer", "expand_channels": 8, "kernel": 2}], r"an average pool has a kernel of 2"),
]


@pytest.mark.parametrize(("blocks", "said"), IMPOSSIBLE)
def test_an_impossible_network_is_an_error_that_starts_with_the_blocks_path(blocks, said):
    document = {**copy.deepcopy(GOOD), "stages": [{"blocks": blocks}]}
    with pytest.raises(ArchitectureError, match=said) as caught:
        parse_network(document, source="tiny.yaml")
    assert str(caught.value).startswith(("tiny.yaml: stages.0.", "tiny.yaml: head"))


@pytest.mark.parametrize("name", list_models())
def test_every_network_of_the_zoo_reads_back_equal(name, tmp_path):
    network = load(name)
    (tmp_path / "copy.yaml").write_text(dump_network(network), encoding="utf-8")
    (tmp_path / "copy.json").write_bytes(msgspec.json.encode(network))
    for copied in (load(tmp_path / "copy.yaml"), load(tmp_path / "copy.json")):
        assert copied == network
        assert hash(copied) == hash(network)
        assert copied.digest == network.digest


def test_a_file_that_is_missing_or_is_no_yaml_says_so(tmp_path):
    (tmp_path / "torn.yaml").write_text("name: [", encoding="utf-8")
    (tmp_path / "list.yaml").write_text("- 1", encoding="utf-8")
    for name, said in (
        ("no.yaml", "no such file"),
        ("torn.yaml", "cannot be read"),
        ("list.yaml", "Allowed: a mapping"),
    ):
        with pytest.raises(ArchitectureError, match=said):
            load(tmp_path / name)


def test_an_unknown_model_suggests_the_nearest():
    with pytest.raises(ArchitectureError, match="'mobilnetv4_conv_small'; did you mean 'mobilenetv4_conv_small'"):
        load("mobilnetv4_conv_small")


def test_a_network_has_one_digest_in_every_process():
    """What travels comes back with equal values that are other objects; this process knows the digest already."""
    network = load("mobilenetv4_conv_small")
    program = "import pickle, sys; print(pickle.load(sys.stdin.buffer).digest)"
    elsewhere = subprocess.run([sys.executable, "-c", program], input=pickle.dumps(network), capture_output=True)
    assert elsewhere.stdout.decode().strip() == network.digest


def test_the_digest_is_of_the_structure_not_of_the_name():
    network = load("mobilenetv4_conv_small")
    assert msgspec.structs.replace(network, name="other").digest == network.digest
    assert network.with_classes(10).digest != network.digest


@pytest.mark.parametrize("kind", ["uib", "ib", "fused_ib"])
def test_a_strided_block_that_keeps_its_channels_has_no_residual(kind):
    row = {"block": kind, "expand_channels": 32, "out_channels": 8, "stride": 2}
    row |= {"middle_kernel": 3} if kind == "uib" else {}
    network = parse_network({**copy.deepcopy(GOOD), "stages": [{"blocks": [row]}]}, source="tiny.yaml")
    assert str(place_blocks(network)[1].output) == "8x8x8"


def test_blocks_are_counted_over_all_stages():
    row = {"block": "conv", "out_channels": 8, "repeat": 5000}
    network = parse_network({**GOOD, "stem": [], "stages": [{"blocks": [row]}, {"blocks": [row]}]}, source="tiny.yaml")
    assert sum(len(stage.blocks) for stage in network.stages) == 10_000
    with pytest.raises(ArchitectureError, match=r"stages\.1\.blocks\.0: the network has more than 10,000 blocks"):
        parse_network({**GOOD, "stages": [{"blocks": [row]}, {"blocks": [row]}]}, source="tiny.yaml")


@pytest.mark.parametrize(
    "line, told",
    [
        ("width: 0", "width: is 0. Allowed: `float` > 0"),
        ("width: -1", "width: is -1. Allowed: `float` > 0"),
        ("width: 1e9", "width: is 1000000000.0. Allowed: `float` <= 16"),
        ("keep: [steem]", "keep.0: is 'steem'; did you mean 'stem'?"),
        ("input: [3, 0, 32]", "input.1: is 0. Allowed: `int` >= 1"),
    ],
)
def test_a_variant_is_within_reason(tmp_path, line, told):
    path = tmp_path / "variant.yaml"
    path.write_text(f"name: mine\nbase: mobileone_s0\n{line}\n")
    with pytest.raises(ArchitectureError) as caught:
        load(path)
    assert told in str(caught.value)
