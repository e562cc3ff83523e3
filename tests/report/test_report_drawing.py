"""Drawings and block rows of zoo networks."""

import re
from xml.etree import ElementTree

import pytest

from ridgepoint.arch.zoo import list_models, load
from ridgepoint.cost.count import cost
from ridgepoint.report.blocks import block_rows, stages
from ridgepoint.report.drawing import WIDTH, draw

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", list_models())
def test_every_model_of_the_zoo_is_drawn_whole(name: str) -> None:
    network = load(name)
    rows = block_rows(network)
    root = ElementTree.fromstring(draw(network))
    bands = root.findall(f"{SVG}rect[@class='band']")
    assert len(bands) == len(stages(rows))
    bars = [rect for rect in root.iter(f"{SVG}rect") if "pale" in rect.get("class", "")]
    assert len(bars) == len(rows)  # a slab per block, repeated ones too
    height = float(root.get("height", "0"))
    for rect in root.iter(f"{SVG}rect"):
        x, y, wide, tall = (float(rect.get(key, "0")) for key in ("x", "y", "width", "height"))
        assert x >= 0 and x + wide <= WIDTH and y >= 0 and y + tall <= height and wide > 0 and tall > 0


@pytest.mark.parametrize("name", ["mobilenetv4_hybrid_medium", "mobileone_s4", "efficientformer_l7"])
def test_rows_add_up_to_the_counts_of_the_network(name: str) -> None:
    network = load(name)
    rows = block_rows(network)
    train, deploy = cost(network), cost(network, form="deploy")
    assert sum(row.macs for row in rows) == train.macs and sum(row.params for row in rows) == train.params
    assert sum(row.deploy_macs for row in rows) == deploy.macs
    assert sum(row.deploy_params for row in rows) == deploy.params


def test_rows_of_mobilenetv4_conv_small_against_its_table() -> None:
    # arXiv:2404.10518, Table 11, the rows of the third stage.
    rows = [row for row in block_rows(load("mobilenetv4_conv_small")) if row.stage == "stage 3"]
    names = ["UIB ExtraDW", "UIB IB", "UIB IB", "UIB IB", "UIB IB", "UIB ConvNext"]
    assert [row.name for row in rows] == names
    assert [row.widths for row in rows] == [(64, 192, 96), *[(96, 192, 96)] * 4, (96, 384, 96)]
    assert [row.stride for row in rows] == [2, 1, 1, 1, 1, 1]
    assert [row.residual for row in rows] == [False, True, True, True, True, True]
    (stage,) = [groups for name, groups in stages(block_rows(load("mobilenetv4_conv_small"))) if name == "stage 3"]
    assert [group.repeat for group in stage] == [1, 4, 1]


def test_a_rep_branch_is_no_residual() -> None:
    assert not any(row.residual for row in block_rows(load("mobileone_s0")))


def test_the_drawing_shows_names_widths_resolutions_and_shares() -> None:
    text = re.sub(r"<[^>]+>", " ", draw(load("efficientformer_l7")))
    text = re.sub(r"\s+", " ", text)
    assert "18 × Pool mixer 3×3 384 → 1536 → 384" in text
    assert "7×7 tokens" in text and "1000 classes" in text
    # By hand: 18 blocks of 2 * 384 * 1536 * 14 * 14 MACs.
    assert 18 * 2 * 384 * 1536 * 196 == 4_161_798_144 and "4.16 G" in text


def test_a_name_with_markup_stays_text() -> None:
    import msgspec

    drawn = draw(msgspec.structs.replace(load("mobileone_s0"), name="<b>&"))
    assert ElementTree.fromstring(drawn).findtext(f"{SVG}title") == "<b>&"
