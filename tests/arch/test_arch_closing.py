"""The end that a task gives to networks and spaces."""

from ridgepoint.arch.closing import Closing
from ridgepoint.arch.head import PooledHead
from ridgepoint.arch.space import load_space
from ridgepoint.arch.zoo import load


def test_a_networks_own_head_is_kept_unless_the_task_has_one():
    network, own = load("mobilenetv3_small_050"), PooledHead(conv_channels=64)
    kept = Closing(num_classes=3).close(network)
    assert kept.num_classes == 3 and kept.head == network.head != own
    assert Closing(num_classes=1, head=own).close(network).head == own


def test_a_space_is_closed_as_its_networks_are():
    space, closing = load_space("mobilenetv4_conv_32px"), Closing(num_classes=1, head=PooledHead(conv_channels=64))
    closed = space.closed(**closing.keys())
    found, before = (each.decode(each.complete(lambda choice: 0)) for each in (closed, space))
    assert found == closing.close(before)
