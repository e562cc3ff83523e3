"""Networks by name: arguments, feature maps, training mode."""

import pytest
import torch
from nn_helpers import image, randomise
from torch import nn
from zoo_helpers import brief

from ridgepoint.arch.document import dump_network
from ridgepoint.arch.zoo import load
from ridgepoint.errors import ArchitectureError, InputError
from ridgepoint.nn.count import count
from ridgepoint.nn.create import create_model
from ridgepoint.nn.fuse import fuse
from ridgepoint.nn.layers import StochasticDepth

NAME = "mobilenetv3_small_050"


def test_by_name_by_file_and_by_value_are_the_same_network(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(dump_network(load(NAME)))
    shapes = [
        {key: value.shape for key, value in create_model(given).state_dict().items()}
        for given in (NAME, path, str(path), load(NAME))
    ]
    assert all(one == shapes[0] for one in shapes)


def test_an_unknown_argument_is_an_error():
    with pytest.raises(TypeError, match="num_class"):
        create_model(NAME, num_class=10)


def test_an_unknown_name_is_an_error_that_suggests_the_nearest():
    with pytest.raises(ArchitectureError, match="'mobilenetv3_smal_050'; did you mean 'mobilenetv3_small_050'"):
        create_model("mobilenetv3_smal_050")


def test_classes_channels_and_rates():
    model = create_model(NAME, num_classes=7, in_channels=5, drop_rate=0.25, drop_path_rate=0.2)
    assert model(image(2, 5, 32, 32)).shape == (2, 7)
    assert [module.p for module in model.modules() if isinstance(module, nn.Dropout)] == [0.25]
    rates = [module.rate for module in model.modules() if isinstance(module, StochasticDepth)]
    assert rates == sorted(rates)
    assert rates[0] > 0
    assert rates[-1] == pytest.approx(0.2)


def test_stochastic_depth_drops_whole_images_and_keeps_the_mean():
    layer = StochasticDepth(0.3).train()
    x = torch.ones(4000, 2, 1, 1)
    out = layer(x)
    assert out.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert torch.equal(out[:, 0], out[:, 1])
    assert out.mean().item() == pytest.approx(1.0, abs=0.05)
    assert torch.equal(layer.eval()(x), x)


@pytest.mark.parametrize("name", [NAME, "mobilenetv4_hybrid_medium_075", "mobileone_s0", "efficientformer_l1"])
def test_feature_maps_have_the_strides_and_channels_they_say(name):
    model = create_model(name, features_only=True).eval()
    maps = model(image(1, 3, 100, 76))
    assert [map_.shape[1] for map_ in maps] == list(model.channels)
    assert model.strides == ((4, 8, 16, 32) if name == "efficientformer_l1" else (2, 4, 8, 16, 32))
    for map_, stride in zip(maps, model.strides, strict=True):
        assert map_.shape[2:] == (-(-100 // stride), -(-76 // stride))


def test_chosen_maps_are_those_of_the_whole_list():
    whole = randomise(create_model(NAME, features_only=True), size=64)
    some = create_model(NAME, features_only=True, out_indices=(-1, 1)).eval()
    some.load_state_dict(whole.state_dict())
    x = image(1, 3, 64, 64)
    with torch.no_grad():
        first, second = some(x)
        maps = whole(x)
    assert torch.equal(first, maps[4])
    assert torch.equal(second, maps[1])
    assert some.strides == (32, 4)


def test_maps_that_do_not_exist_are_an_error():
    with pytest.raises(InputError, match=r"mobilenetv3_small_050 has the maps 0 to 4 at strides \[2, 4, 8, 16, 32\]"):
        create_model(NAME, features_only=True, out_indices=(5,))
    with pytest.raises(InputError, match="needs features_only=True"):
        create_model(NAME, out_indices=(1,))


def test_feature_maps_of_the_folded_network_are_the_same():
    model = randomise(create_model(brief("mobileone_s0"), features_only=True), size=64).double()
    x = image(1, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        for map_, expected in zip(fuse(model)(x), model(x), strict=True):
            torch.testing.assert_close(map_, expected, rtol=1e-10, atol=1e-10 * expected.abs().max().item())


def test_count_leaves_the_model_as_it_was():
    model = create_model(NAME).train()
    model.stages[0].eval()
    modes = [module.training for module in model.modules()]
    before = model.stem[0].norm.running_mean.clone()
    count(model, (3, 64, 64))
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(model.stem[0].norm.running_mean, before)


def test_count_by_hand():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Flatten(), nn.Linear(8 * 16, 10))
    assert count(model, (3, 8, 8)).params == (27 * 8 + 8) + (128 * 10 + 10)
    assert count(model, (3, 8, 8)).macs == 27 * 8 * 16 + 1280
