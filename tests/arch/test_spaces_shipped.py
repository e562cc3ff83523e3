"""The spaces that come with the package: sizes by hand, published networks as members, rows that mean what they say."""

import numpy as np
import pytest

from ridgepoint.arch.blocks.convolution import Conv
from ridgepoint.arch.blocks.efficientformer import PoolMixer
from ridgepoint.arch.blocks.inverted import InvertedBottleneck
from ridgepoint.arch.document import parse_network
from ridgepoint.arch.network import place_blocks
from ridgepoint.arch.space import load_space
from ridgepoint.arch.zoo import list_spaces, load

# A UIB after the first of its stage: start 3 x middle 3 x expansion 3. The first: start 3 x middle 2 x expansion 3.
UIB, FIRST = 27, 18
# A stage of MnasNet: kernel 2 x depth x width 3 x operators (3 expansions with SE or without; dense with 3; separable).
SIZES = {
    # stem 4; fused 2 x 4; each stage: its width, then for every depth the blocks kept; head 4
    "mobilenetv4_conv": 4 * 8 * (5 * sum(FIRST * UIB**n for n in range(3)))
    * (5 * sum(FIRST * UIB**n for n in range(5))) * (5 * sum(FIRST * UIB**n for n in range(4))) * 4,
    # stem 4; width 4 x fused 2, one UIB more or not; depths 1 to 3 (UIB with 3 middle kernels, expansions 2 to 4)
    "mobilenetv4_conv_32px": 4 * (4 * 2 * (1 + UIB)) * (5 * FIRST * (1 + UIB + UIB**2))
    * (4 * FIRST * (1 + UIB + UIB**2)) * 3,
    # attention: absent or 2, 4, 8 heads; the third stage keeps 1, 3, 4, 5, 6, 7 UIBs after the first, the fourth 1, 3,
    # 5, 7 without and 8, 9, 10, 11 with 1 to 4 attentions
    "mobilenetv4_hybrid": 4 * 8 * (5 * sum(FIRST * UIB**n for n in range(3)))
    * (5 * FIRST * (UIB + UIB**3 + sum((4 * UIB) ** n * UIB**3 for n in range(1, 5))))
    * (5 * FIRST * (UIB + UIB**3 + UIB**5 + UIB**7 + sum((4 * UIB) ** n * UIB**7 for n in range(1, 5)))) * 4 * 3,
    # attention: absent or 2, 4 heads; depths 1, 2, 4, 6 of rows uib, uib, (attention, uib), (attention, uib)
    "mobilenetv4_hybrid_32px": 4 * (4 * FIRST * (1 + UIB)) * (5 * FIRST * (1 + UIB + 3 * UIB**2 + 9 * UIB**3))
    * (4 * FIRST * (1 + UIB + 3 * UIB**2 + 9 * UIB**3)) * 3,
    "mobilenetv3": 3 * 3 * (2 * 4 * 3 * (3 * 2 + 3 + 1)) ** 5 * 3 * 3,
    "mobilenetv3_32px": 3 * (2 * 3 * 3 * (3 * 2 + 1)) ** 4 * 3,
    # kernel 3 x expansion 2, and skip after the first of a stage
    "proxylessnas": 3 * (6 * 7**3) ** 5 * 6,
    "proxylessnas_32px": 3 * (6 * 7**2) ** 4 * 6,
    "metaformer": 3 * 4 * 2**3 * (7 * 2**3) * (11 * 3**6) * (17 * 3**5),
    "metaformer_32px": 3 * 4 * 2**3 * (7 * 3**4) * (9 * 3**4),
    # kernel 2 a block; expansion 3 and SE 2 a stage
    "repvit": 4 * 5 * (3 * 2 * sum(2**n for n in (1, 2, 4))) * (5 * 3 * 2 * sum(2**n for n in (1, 2, 4)))
    * (5 * 3 * 2 * sum(2**n for n in (2, 4, 6, 8, 10, 12, 14, 24))) * (5 * 3 * 2 * sum(2**n for n in (1, 2, 4))),
    # kernels 2 x 2 a mixer, in the last stage or 3 heads x kernel 2; expansion 3 and the reduction's kernel 2 a stage
    "fastvit": 4 * (3 * (4 + 4**2)) * (4 * 2 * 3 * (4 + 4**2)) * (4 * 2 * 3 * (4**2 + 4**4 + 4**6))
    * (4 * 2 * 3 * (10 + 10**2)),
    # expansion 3 a block, or no block; attention with 2 heads more
    "efficientformerv2": 2 * 3 * (3 * 4**3) * (3 * 3 * 4**3) * (5 * 3 * 4**7 * 7**4) * (4 * 2 * 3 * 4**3 * 7**4),
    "mobileone": 4 * (3 * 6) * (3 * 8) * (3 * 8) * (3 * 8),
    "mobileone_32px": 4 * (3 * 6) * (3 * 6) * (3 * 6),
}  # fmt: skip


def test_every_shipped_space_has_its_size_checked():
    assert set(SIZES) == set(list_spaces())


@pytest.mark.parametrize("name", list_spaces())
def test_size_by_hand(name: str):
    assert load_space(name).size == SIZES[name]


@pytest.mark.parametrize("name", list_spaces())
def test_members_fit_together_and_come_back_from_their_code(name: str):
    space, rng = load_space(name), np.random.default_rng(1)
    for _ in range(3):
        network = space.sample(rng)
        place_blocks(network, deploy=True)
        assert space.decode(space.encode(network)) == network


@pytest.mark.parametrize("name", [name for name in list_spaces() if not name.endswith("_32px")])
def test_a_space_for_photographs_ends_on_a_thirty_second_of_the_side(name: str):
    network = load_space(name).sample(np.random.default_rng(0))
    assert place_blocks(network)[-2].output.height == 7


@pytest.mark.parametrize("name", [name for name in list_spaces() if name.endswith("_32px")])
def test_a_space_for_small_images_keeps_a_4x4_map(name: str):
    network = load_space(name).sample(np.random.default_rng(0))
    assert network.input == (3, 32, 32)
    assert place_blocks(network)[-2].output.height == 4


@pytest.mark.parametrize(
    ("space", "member"),
    [
        ("mobilenetv4_hybrid", "mobilenetv4_hybrid_medium"),
        ("metaformer", "efficientformer_l1"),
        ("repvit", "repvit_m0_9"),
        ("repvit", "repvit_m1_0"),
        ("repvit", "repvit_m1_1"),
        ("repvit", "repvit_m1_5"),
        ("fastvit", "fastvit_t8"),
        ("fastvit", "fastvit_t12"),
        ("fastvit", "fastvit_s12"),
        ("fastvit", "fastvit_sa12"),
        ("efficientformerv2", "efficientformerv2_s0"),
        ("efficientformerv2", "efficientformerv2_s1"),
        ("efficientformerv2", "efficientformerv2_s2"),
        ("mobileone", "mobileone_s0"),
        ("mobileone", "mobileone_s1"),
        ("mobileone", "mobileone_s2"),
        ("mobileone", "mobileone_s3"),
    ],
)
def test_published_networks_are_members(space: str, member: str):
    network = load(member)
    assert load_space(space).closed(input=list(network.input)).contains(network)


def test_a_factorised_stage_has_blocks_that_are_alike_and_one_stride():
    space = load_space("mobilenetv3")
    deep = space.decode(
        space.complete(lambda choice: len(choice.options) - 1 if choice.name.startswith("depth") else 0)
    )
    first, *rest = deep.stages[0].blocks
    assert len(rest) == 3
    assert [block.stride for block in deep.stages[0].blocks] == [2, 1, 1, 1]
    assert all(isinstance(block, InvertedBottleneck) and block.expand_channels == 3 * 16 for block in rest)
    assert first.expand_channels == 3 * 8


def test_every_slot_of_proxylessnas_is_one_row_of_the_published_costs():
    """Six stages of 4, 4, 4, 4, 4 and 1 layers, and the widths of TuNAS's table."""
    space = load_space("proxylessnas")
    network = space.decode(space.complete(lambda choice: 0))
    assert [len(stage.blocks) for stage in network.stages] == [4, 4, 4, 4, 4, 1]
    assert [stage.blocks[0].out_channels for stage in network.stages] == [32, 40, 80, 96, 192, 320]
    assert [stage.blocks[0].stride for stage in network.stages] == [2, 2, 2, 1, 2, 1]


def test_a_4d_block_and_a_convolution_may_follow_a_3d_one_and_bring_the_reshape():
    rows = [
        {"block": "attention_mixer", "expand_ratio": 2, "heads": 2, "key_dim": 4, "value_dim": 4},
        {"block": "pool_mixer", "expand_ratio": 2},
        {"block": "attention_mixer", "expand_ratio": 2, "heads": 2, "key_dim": 4, "value_dim": 4},
        {"block": "conv", "out_channels": 16, "stride": 2},
    ]
    network = parse_network({"name": "mixed", "input": [8, 6, 4], "stages": [{"blocks": rows}]}, source="mixed")
    placed = place_blocks(network)
    assert [str(block.output) for block in placed[:4]] == ["8x6x4 tokens", "8x6x4", "8x6x4 tokens", "16x3x2"]
    reshapes = [at.path for block in placed for at in block.layers if type(at.layer).__name__ in ("ToTokens", "ToMap")]
    assert reshapes == [f"stages.0.{i}.{'to_tokens' if i % 2 == 0 else 'to_map'}" for i in range(4)]
    assert isinstance(network.stages[0].blocks[1], PoolMixer) and isinstance(network.stages[0].blocks[3], Conv)
