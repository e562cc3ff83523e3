"""Each family's deploy form as a file: the same answer, no batch norm left, passes whose time can be told."""

import onnx
import onnxruntime
import pytest
import torch
from nn_helpers import image, randomise, relative_error
from zoo_helpers import FAMILIES, brief, of_new_kinds

from ridgepoint.arch.blocks import BLOCKS
from ridgepoint.arch.zoo import list_rivals, load
from ridgepoint.cost.pass_times import STAND_INS
from ridgepoint.cost.rows import network_rows
from ridgepoint.cost.samples import sample_network
from ridgepoint.deploy.export import export_for_timing
from ridgepoint.nn.create import create_model

ATTENDING = ("fastvit_sa12", "fastvit_mci0", "mobilenetv5_base")


def test_they_have_every_kind_of_block():
    assert {block.tag() for name in (*FAMILIES, *ATTENDING) for _, block in load(name).rows()} == set(BLOCKS)


@pytest.mark.parametrize("name", of_new_kinds((*FAMILIES, *ATTENDING)))
@pytest.mark.filterwarnings("ignore")
@torch.no_grad()
def test_the_file_of_a_small_network_answers_alike(name, tmp_path):
    network, path = brief(name, height=64), tmp_path / "model.onnx"
    model, x = randomise(create_model(network), size=64), image(1, *network.input)
    export_for_timing(model, network.input_shape, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    assert relative_error(torch.from_numpy(found), model(x)) < 1e-4
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert "BatchNormalization" not in kinds or "hybrid" in name


def test_calibration_tells_the_time_of_every_pass_of_every_rival():
    """A kind that it times no file of has another one in its place."""
    timed = {row.kind for number in range(150) for row in network_rows(sample_network(number))}
    wanted = {row.kind for name in list_rivals() for row in network_rows(load(name))}
    assert wanted - timed <= STAND_INS.keys() and set(STAND_INS.values()) <= timed
