"""Variants differ in what they say they differ in, and in nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from _pytest.mark import ParameterSet

from ridgepoint.arch.shape import Shape
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.deploy.runtimes import open_session
from ridgepoint.deploy.runtimes.onnx_graph import optimised_graph
from ridgepoint.nn import layers
from ridgepoint.nn.count import count
from ridgepoint.nn.fuse import fuse
from ridgepoint.probe.changes import MultiHeadAttention, NaiveHardSwish
from ridgepoint.probe.studies import STUDIES

torch.set_num_threads(1)


def module(study: str, variant: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return STUDIES[study].variants[variant].make().eval()


def macs(study: str, variant: str) -> int:
    shape = STUDIES[study].variants[variant].input
    with torch.device("meta"):
        model = module(study, variant)
    return count(fuse(model), (shape.channels, shape.height, shape.width)).macs


def output(study: str, variant: str) -> tuple[int, ...]:
    shape = STUDIES[study].variants[variant].input
    with torch.no_grad():
        return tuple(module(study, variant)(torch.zeros(1, shape.channels, shape.height, shape.width)).shape)


def test_the_plain_network_has_thirty_convolutions() -> None:
    deployed = fuse(module("skips", "the plain network"))
    assert sum(isinstance(part, torch.nn.Conv2d) for part in deployed.modules()) == 30


@pytest.mark.parametrize(
    ("study", "variants"),
    [
        ("activations", ("ReLU", "ReLU6", "h-sigmoid", "GELU", "SiLU", "h-swish", "naive h-swish")),
        ("skips", ("the plain network", "the network with skips")),
        ("reshapes", ("4D throughout", "3D throughout", "4D and 3D in turn")),
        ("norms", ("Conv-BN", "LN-Linear", "Linear")),
        ("groups", tuple(STUDIES["groups"].variants)),
        ("h_swish", tuple(STUDIES["h_swish"].variants)),
    ],
)
def test_variants_of_one_study_have_equal_macs(study: str, variants: tuple[str, ...]) -> None:
    assert len({macs(study, variant) for variant in variants}) == 1


def test_stems_end_at_the_same_shapes() -> None:
    assert output("stems", "the 7x7 embedding") == output("stems", "the pair of 3x3") == (1, 48, 56, 56)
    assert output("stems", "the 16x16 embedding") == output("stems", "the chain of four 3x3") == (1, 384, 14, 14)


def test_naive_h_swish_is_h_swish() -> None:
    x = torch.linspace(-6, 6, 101)
    torch.testing.assert_close(NaiveHardSwish()(x), torch.nn.functional.hardswish(x))
    assert not any(isinstance(part, torch.nn.Hardswish) for part in module("activations", "naive h-swish").modules())
    assert sum(isinstance(part, NaiveHardSwish) for part in module("activations", "naive h-swish").modules()) == 30


def test_skip_connections_add_the_input_to_every_block_that_keeps_its_shape() -> None:
    added = [part for part in module("skips", "the network with skips").modules() if isinstance(part, layers.Parallel)]
    skips = [part for part in added if part.branches == ("skip", "body")]
    assert len(skips) == 14 - 3, "14 pairs, of which three stride"
    x = torch.randn(1, 48, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(skips[0](x), x + skips[0].body(x))


def test_multi_head_attention_is_torchs() -> None:
    heads, dim, side = 3, 4, 5
    maps = [torch.randn(2, heads * dim, side, side) for _ in range(3)]
    query, key, value = (x.view(2, heads, dim, side * side).transpose(2, 3) for x in maps)
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    found = MultiHeadAttention(heads, dim)(*maps)
    torch.testing.assert_close(found, expected.transpose(2, 3).reshape(2, heads * dim, side, side))


def test_multi_head_attention_has_a_key_and_a_value_for_every_head() -> None:
    """Per block: 7 more keys and values of 64 from 512 channels at 12x12; the two products are the same."""
    more = 3 * 2 * 7 * 64 * 512
    shared, own = (module("attention", f"multi-{kind} attention") for kind in ("query", "head"))
    assert sum(p.numel() for p in own.parameters()) - sum(p.numel() for p in shared.parameters()) == more
    assert macs("attention", "multi-head attention") - macs("attention", "multi-query attention") == more * 144


def test_keys_at_half_resolution_are_the_published_network() -> None:
    full, half = (macs("key_value_stride", f"{each} resolution") for each in ("full", "half"))
    assert (round(full / 1e6), round(half / 1e6)) == (1387, 1271)


def test_the_runtime_makes_one_graph_of_norms_left_in_and_folded(tmp_path: Path) -> None:
    graphs = {}
    for name in ("Conv-BN", "unfolded Conv-BN", "Linear"):
        variant = STUDIES["norms"].variants[name]
        export_for_timing(variant.make(), variant.input, tmp_path / "file.onnx", folded=variant.folded)
        graphs[name] = optimised_graph(tmp_path / "file.onnx")
    assert graphs["Conv-BN"] == graphs["unfolded Conv-BN"]
    assert graphs["Conv-BN"].digest != graphs["Linear"].digest
    assert graphs["Conv-BN"].operators["Conv"] == 12


def test_graphs_are_told_apart_by_weight_shapes_attributes_and_wiring_and_not_by_values(tmp_path: Path) -> None:
    class Wired(torch.nn.Module):
        def __init__(self, width: int = 8, kernel: int = 1, stride: int = 1, swapped: bool = False):
            super().__init__()
            self.first, self.second = (torch.nn.Conv2d(8, width, kernel, stride, kernel // 2) for _ in range(2))
            self.swapped = swapped

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            one, two = self.first(x), self.second(x).relu()
            return two - one if self.swapped else one - two

    def digest(**choices: int) -> str:
        export_for_timing(Wired(**choices), Shape(8, 6, 6), tmp_path / "file.onnx")
        return optimised_graph(tmp_path / "file.onnx").digest

    assert digest() == digest(), "weights differ, which is not structure"
    assert len({digest(), digest(width=16), digest(kernel=3), digest(stride=2), digest(swapped=True)}) == 5


def every_variant() -> Iterator[ParameterSet]:
    """The last of each study; the others, of the same kinds of layers, are for `make soak`."""
    for study, found in STUDIES.items():
        *others, _ = found.variants
        for variant in found.variants:
            yield pytest.param(study, variant, marks=[pytest.mark.soak] * (variant in others))


@pytest.mark.parametrize(("study", "variant"), list(every_variant()))
def test_every_variant_can_be_exported_and_run(study: str, variant: str, tmp_path: Path) -> None:
    """The runtime computes what torch computes; whole networks see small images."""
    shape = STUDIES[study].variants[variant].input
    check(study, variant, Shape(3, 64, 64) if shape.channels == 3 else shape, tmp_path / "variant.onnx")


def check(study: str, variant: str, shape: Shape, path: Path) -> None:
    made = module(study, variant)
    export_for_timing(made, shape, path, folded=STUDIES[study].variants[variant].folded)
    x = torch.randn(1, shape.channels, shape.height, shape.width)
    with torch.no_grad():
        expected = made(x).numpy()
    found = open_session(path).run(x.numpy())
    assert abs(found - expected).max() <= 1e-3 * abs(expected).max(), variant
