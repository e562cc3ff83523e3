"""Loading is complete and checked: what is left over, what does not fit, what is adapted, and what is refused."""

import os
import pickle
import shutil

import pytest
import timm
import torch
import torchvision
from hub_server import HubServer, created, elsewhere
from nn_helpers import image, randomise, relative_error
from safetensors.torch import save_file
from timm.utils import reparameterize_model
from zoo_helpers import brief

from ridgepoint.arch.zoo import load
from ridgepoint.errors import InputError
from ridgepoint.nn.create import create_model
from ridgepoint.nn.fuse import fuse
from ridgepoint.nn.hub import read_weights
from ridgepoint.nn.weights import load_weights, save_weights

NAME = "mobilenetv4_conv_small_035"


@pytest.fixture(scope="module")
def donor():
    return randomise(timm.create_model(NAME), size=64)


def same_answers(model, reference, size=(64, 96), allowed=1e-5) -> bool:
    x = image(2, 3, *size)
    with torch.no_grad():
        return relative_error(model.eval()(x), reference.eval()(x)) < allowed


def test_a_safetensors_file_and_a_pth_file_load_alike(donor, tmp_path):
    save_file(donor.state_dict(), tmp_path / "w.safetensors")
    torch.save(donor.state_dict(), tmp_path / "w.pth")
    torch.save({"state_dict": {f"module.{k}": v for k, v in donor.state_dict().items()}}, tmp_path / "wrapped.pth")
    for name in ("w.safetensors", "w.pth", "wrapped.pth"):
        assert same_answers(create_model(NAME, pretrained=tmp_path / name), donor)


def test_our_own_files_load_through_the_same_function_and_say_their_padding(tmp_path):
    model = randomise(create_model("tf_mobilenetv3_small_minimal_100"))
    save_weights(model, tmp_path / "ours.safetensors")
    assert read_weights(tmp_path / "ours.safetensors").metadata["padding"] == "same"
    assert same_answers(
        create_model("tf_mobilenetv3_small_minimal_100", pretrained=tmp_path / "ours.safetensors"), model
    )
    with pytest.raises(InputError, match=r"'same' padding, but mobilenetv3_small_minimal_100 pads 'symmetric'"):
        create_model("mobilenetv3_small_minimal_100", pretrained=tmp_path / "ours.safetensors")


def test_a_fused_model_of_ours_saves_and_loads(tmp_path):
    model = fuse(randomise(create_model(brief("mobileone_s0")), size=64))
    save_weights(model, tmp_path / "deploy.safetensors")
    other = fuse(create_model(brief("mobileone_s0")).eval())
    assert load_weights(other, tmp_path / "deploy.safetensors").naming == "ours"
    assert same_answers(other, model)


def test_mobileone_in_timms_deploy_form_loads_into_a_fused_model():
    reference = randomise(timm.create_model("mobileone_s4"), size=64)
    deploy = reparameterize_model(reference)
    model = fuse(create_model("mobileone_s4").eval())
    load_weights(model, deploy.state_dict())
    assert same_answers(model, reference, allowed=1e-4)
    with pytest.raises(InputError, match=r"deploy form: call fuse\(model\) first"):
        load_weights(create_model("mobileone_s4"), deploy.state_dict())


APPLE = (("stem.", "stage0."), ("conv_kxk", "rbr_conv"), ("conv_scale", "rbr_scale"), ("identity", "rbr_skip"))


@pytest.mark.parametrize("deploy", [False, True])
def test_mobileone_by_its_authors_names(deploy):
    reference = randomise(timm.create_model("mobileone_s4"), size=64)
    source = (reparameterize_model(reference) if deploy else reference).state_dict()
    renamed = {}
    for key, value in source.items():
        for theirs, apples in (*APPLE, ("attn.fc1", "se.reduce"), ("attn.fc2", "se.expand"), ("head.fc", "linear")):
            key = key.replace(theirs, apples)
        if key.startswith("stages."):
            _, number, rest = key.split(".", 2)
            key = f"stage{int(number) + 1}.{rest}"
        renamed[key] = value
    model = create_model("mobileone_s4").eval()
    model = fuse(model) if deploy else model
    assert load_weights(model, renamed).naming == "apple_mobileone"
    assert same_answers(model, reference, allowed=1e-4)


def test_a_tensor_that_nothing_takes_is_an_error_that_names_it(donor):
    with pytest.raises(InputError, match=r"1 given tensors are left over: extra\.weight"):
        load_weights(create_model(NAME), {**donor.state_dict(), "extra.weight": torch.zeros(1)})


def test_a_tensor_that_is_missing_is_an_error_that_names_it(donor):
    tensors = dict(donor.state_dict())
    del tensors["blocks.2.0.pw_exp.bn.running_var"]
    with pytest.raises(InputError, match=r"1 tensors of the network are missing: stages\.2\.0.*running_var"):
        load_weights(create_model(NAME), tensors)


def test_a_wrong_shape_is_an_error_and_nothing_is_loaded(donor):
    model = create_model(NAME)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    tensors = {**donor.state_dict(), "conv_head.weight": torch.zeros(7, 336, 1, 1)}
    with pytest.raises(InputError, match=r"conv_head\.weight is \(7, 336, 1, 1\), head\.hidden\.conv\.weight needs"):
        load_weights(model, tensors)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_weights_of_another_network_are_refused(donor):
    with pytest.raises(InputError, match="are not those of mobilenetv3_small_050"):
        load_weights(create_model("mobilenetv3_small_050"), donor.state_dict())
    with pytest.raises(InputError, match=r"tensors do not fit mobilenetv4_conv_small"):
        load_weights(create_model("mobilenetv4_conv_small"), donor.state_dict())


def test_another_number_of_classes_leaves_the_classifier_fresh_and_says_so(donor):
    model = create_model(NAME, num_classes=7)
    fresh = model.head.classifier.weight.clone()
    report = load_weights(model, donor.state_dict())
    assert report.reset == ("head.classifier.weight", "head.classifier.bias")
    assert torch.equal(model.head.classifier.weight, fresh)
    assert torch.equal(model.stem[0].conv.weight, donor.conv_stem.weight)


def test_a_grey_image_gets_the_answer_of_the_rgb_network_for_grey(donor):
    model = create_model(NAME, in_channels=1).eval()
    assert load_weights(model, donor.state_dict()).adapted == ("stem.0.conv.weight",)
    grey = image(2, 1, 64, 64)
    with torch.no_grad():
        assert relative_error(model(grey), donor(grey.expand(-1, 3, -1, -1))) < 1e-5


def test_six_channels_that_repeat_rgb_get_the_answer_of_the_rgb_network(donor):
    model = create_model(NAME, in_channels=6).eval()
    load_weights(model, donor.state_dict())
    rgb = image(2, 3, 64, 64)
    with torch.no_grad():
        assert relative_error(model(rgb.repeat(1, 2, 1, 1)), donor(rgb)) < 1e-5


def test_an_attention_bias_is_resized_to_the_grid_of_another_input_size():
    reference = randomise(timm.create_model("efficientformer_l1"), size=224)
    network = load("efficientformer_l1").at(height=256)
    model = create_model(network).eval()
    report = load_weights(model, reference.state_dict())
    assert report.adapted == ("stages.3.4.attention.body.attention.bias",)
    plain = create_model("efficientformer_l1").eval()
    load_weights(plain, reference.state_dict())
    x = image(1, 3, 256, 256)
    with torch.no_grad():
        assert relative_error(model(x), plain(x)) < 1e-5


def test_torchvisions_norm_epsilon_comes_with_its_weights():
    model = create_model("mobilenetv3_small_100")
    report = load_weights(model, torchvision.models.mobilenet_v3_small().state_dict())
    assert "norm_eps=0.001" in report.adapted
    assert model.network.conventions.norm_eps == model.stem[0].norm.eps == 1e-3


def test_a_file_that_holds_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("executed",))

    torch.save({"weight": Evil()}, tmp_path / "evil.pth")
    (tmp_path / "pickle.pth").write_bytes(pickle.dumps([1, 2], protocol=2))
    (tmp_path / "torn.safetensors").write_bytes(b"\x08\x00")
    for name, said in (
        ("evil.pth", "objects besides tensors, which could run any code and are never loaded"),
        ("pickle.pth", "Allowed"),
        ("torn.safetensors", "cannot be read"),
    ):
        with pytest.raises(InputError, match=said):
            create_model(NAME, pretrained=tmp_path / name)
    with pytest.raises(InputError, match=r"there is no weight file 'nowhere\.pth'"):
        create_model(NAME, pretrained="nowhere.pth")


def test_a_name_that_sounds_of_tensorflow_warns_before_the_wrong_padding(donor, tmp_path):
    save_file(donor.state_dict(), tmp_path / "tf_small.safetensors")
    with pytest.warns(UserWarning, match=r"SAME padding, but mobilenetv4_conv_small_035 pads 'symmetric'"):
        create_model(NAME, pretrained=tmp_path / "tf_small.safetensors")


def test_a_network_without_published_weights_says_so():
    with pytest.raises(InputError, match="no published weights are known for 'mobilenetv4_hybrid_large_075'"):
        create_model("mobilenetv4_hybrid_large_075", pretrained=True)


def test_pretrained_fetches_from_the_hub_once_and_then_from_the_cache(tmp_path):
    donor, usual = randomise(timm.create_model("mobilenetv3_small_050"), size=64), "mobilenetv3_small_050.lamb_in1k"
    with HubServer(tmp_path / "hub") as server:
        hub = {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_DISABLE_XET": "1"}
        env = {**os.environ, **hub, "HF_HUB_OFFLINE": "0"}
        folder = server.add(f"timm/{usual}")
        save_file(donor.state_dict(), folder / "model.safetensors")
        assert elsewhere(created, env, "mobilenetv3_small_050", tmp_path / "first.pth") == ""
        said = elsewhere(created, env, "mobilenetv3_small_050.no_such", tmp_path / "none.pth")
        assert "the hub has no repository 'timm/mobilenetv3_small_050.no_such'" in said
        assert same_answers(create_model("mobilenetv3_small_050", pretrained=tmp_path / "first.pth"), donor)
        assert any("lamb_in1k" in line for line in server.requests)
        shutil.rmtree(folder)
        server.requests.clear()
        assert elsewhere(created, env, usual, tmp_path / "second.pth") == ""
        assert not any("lamb_in1k" in line for line in server.requests)
        assert same_answers(create_model("mobilenetv3_small_050", pretrained=tmp_path / "second.pth"), donor)
