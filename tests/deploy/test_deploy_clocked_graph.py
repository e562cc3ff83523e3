"""What is clocked is what ships: the files of both exporters become the same passes in the runtime."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from zoo_helpers import FAMILIES, FURTHER, brief

from ridgepoint.arch.document import parse_network
from ridgepoint.data.preprocess import Preprocessing
from ridgepoint.deploy.export import export_artefact, export_for_timing
from ridgepoint.deploy.runtimes.onnx_graph import optimised_graph
from ridgepoint.nn.create import create_model

SHOWN = ("fastvit_t8", "efficientformer_l1", "convnextv2_atto", "tf_mobilenetv3_small_075")
"""They have GELUs, a scale beside a product, a norm of squares, padding of one side."""
VIEWS = {"Flatten", "Reshape"}  # which cost nothing
ALIKE = {"MatMul": "Gemm"}  # products without a bias


def passes(path: Path) -> Counter[str]:
    counted: Counter[str] = Counter()
    for name, count in optimised_graph(path).operators.items():
        if name not in VIEWS:
            counted[ALIKE.get(name, name)] += count
    return counted


@pytest.mark.parametrize(
    "name",
    [*SHOWN, *(pytest.param(name, marks=pytest.mark.soak) for name in (*FAMILIES, *FURTHER) if name not in SHOWN)],
)
@pytest.mark.filterwarnings("ignore")
def test_the_clocked_file_has_the_passes_of_the_one_that_ships(name: str, tmp_path: Path):
    network, clocked, shipped = brief(name, height=64), tmp_path / "clocked.onnx", tmp_path / "shipped.onnx"
    model = create_model(network).eval()
    export_for_timing(model, network.input_shape, clocked)
    side = Preprocessing(height=64, width=64, channels=3, resize=64, mean=(0.5,) * 3, std=(0.5,) * 3)
    labels = [str(number) for number in range(network.num_classes)]
    with torch.no_grad():
        export_artefact(model, shipped, network=network, preprocessing=side, labels=labels)
    assert passes(clocked) == passes(shipped)


def test_a_map_that_is_a_multiple_of_the_grid_is_pooled_in_either_file(tmp_path: Path):
    """Its kernel is a number for an exporter that traces, too."""
    halves = [
        {
            "blocks": [
                {
                    "block": "uib",
                    "start_kernel": 0,
                    "middle_kernel": 3,
                    "expand_ratio": 2,
                    "stride": 2,
                    "out_channels": 8,
                }
            ]
        }
        for _ in range(4)
    ]
    document = {"name": "grids", "input": [3, 64, 64], "num_classes": 4, "stages": halves}
    document |= {"conventions": {"padding": "same"}}
    document |= {"stem": [{"block": "conv", "stride": 2, "out_channels": 8}]}
    document |= {"head": {"head": "msfa", "conv_channels": 16, "hidden_channels": 8, "grid": 2}}
    network, path = parse_network(document, source="here"), tmp_path / "clocked.onnx"
    export_for_timing(create_model(network), network.input_shape, path)
    assert passes(path)["AveragePool"] == 1
