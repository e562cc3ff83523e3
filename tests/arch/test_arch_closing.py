"""The end that a task gives to networks and spaces."""

import msgspec
import pytest

from ridgepoint.arch.closing import Closing
from ridgepoint.arch.heads.classification import PooledHead
from ridgepoint.arch.heads.detector import Detector
from ridgepoint.arch.heads.lraspp import LiteRAspp
from ridgepoint.arch.space import load_space
from ridgepoint.arch.zoo import load
from ridgepoint.errors import ArchitectureError


def test_a_networks_own_head_is_kept_unless_the_task_has_one():
    network, own = load("mobilenetv3_small_050"), PooledHead(conv_channels=64)
    kept = Closing(num_classes=3).close(network)
    assert kept.num_classes == 3 and kept.head == network.head != own
    assert Closing(num_classes=1, head=own).close(network).head == own


def test_a_space_is_closed_as_its_networks_are():
    space, closing = load_space("mobilenetv4_conv_32px"), Closing(num_classes=1, head=PooledHead(conv_channels=64))
    closed = closing.close_space(space)
    found, before = (each.decode(each.complete(lambda choice: 0)) for each in (closed, space))
    assert found == closing.close(before)


def test_a_head_that_gives_something_else_is_refused_unless_the_task_has_one():
    network = load("lraspp_mobilenet_v3_large")
    space = load_space("mobilenetv4_conv_32px").closed(head=msgspec.to_builtins(LiteRAspp()))
    for close in (lambda closing: closing.close(network), lambda closing: closing.close_space(space)):
        with pytest.raises(ArchitectureError, match=r"lraspp, gives a class map.*normed, pooled, tokens"):
            close(Closing(num_classes=3))
        close(Closing(num_classes=3, answers="a class map"))
        close(Closing(num_classes=3, head=PooledHead()))
    assert not Closing(num_classes=3).fits(network) and Closing(num_classes=3).fits(load("mobilenetv1_100"))


def test_a_network_without_the_maps_that_a_head_takes_is_named_with_those_that_it_has():
    """Published maps of classes stop at stride 8, where a detector goes on: nobody who typed a name knows of taps."""
    network = load("deeplabv3_mobilenetv2_voc")
    closing = Closing(num_classes=3, head=Detector(), answers="boxes", keep=True)
    told = r"deeplab.*has maps at strides 2, 4, 8; .*boxes.* takes those at 8, 16"
    with pytest.raises(ArchitectureError, match=told):
        closing.close(network)
    assert not closing.fits(network) and closing.fits(load("mobilenetv4_conv_small"))
