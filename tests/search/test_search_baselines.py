"""The zoo networks that a found network must beat: which are chosen, in what order, and at what size they run."""

import msgspec
import pytest
from search_helpers import MacsLatency, macs_ms

from ridgepoint.arch.network import place_blocks
from ridgepoint.arch.zoo import list_rivals, top1
from ridgepoint.search.baselines import within_budget, zoo_networks


@pytest.fixture(scope="module")
def zoo():
    return zoo_networks(3, 64, 64, 10)


def test_the_strongest_come_first_and_each_is_the_largest_of_its_family(zoo):
    budget = 15.0
    found = within_budget(zoo, MacsLatency(), budget, count=100)
    assert found and all(ms <= budget and ms == macs_ms(network) for network, ms in found)
    fitting = {
        family: [network.name for network in networks if macs_ms(network) <= budget] for family, networks in zoo.items()
    }
    largest = {names[-1] for names in fitting.values() if names}
    names = [network.name for network, _ in found]
    assert set(names[: len(largest)]) == largest
    assert set(names) == {name for family in fitting.values() for name in family}
    first, *_ = names
    assert top1(first) == max(map(top1, largest)), "one millisecond for a million MACs: what was expected is so"
    smaller = [top1(name) for name in names[len(largest) :]]
    assert smaller == sorted(smaller, reverse=True)


@pytest.mark.parametrize("count", [1, 3])
def test_few_are_asked_for_their_latency(zoo, count: int):
    model = MacsLatency()
    assert len(within_budget(zoo, model, 15.0, count=count)) == count
    assert len(model.asked) == len(set(model.asked)) <= 3 * count + 1, "no table rows are measured for nothing"


def test_families_are_walked_where_their_macs_mislead(zoo):
    """Networks of one family take three times as long for a MAC, and of another a third of the time."""

    class Misleading(MacsLatency):
        def latency(self, network):
            family = network.name.removeprefix("tf_").split("_")[0]
            return msgspec.structs.replace(super().latency(network), ms=factor(family) * macs_ms(network))

    def factor(family: str) -> float:
        return {"efficientnet": 3.0, "mobilenetv4": 1 / 3}.get(family, 1.0)

    found = dict((network.name, ms) for network, ms in within_budget(zoo, Misleading(), 30.0, count=100))
    for family in ("efficientnet", "mobilenetv4"):
        fitting = {each.name for each in zoo[family] if factor(family) * macs_ms(each) <= 30.0}
        assert fitting == {each.name for each in zoo[family]} & found.keys()


def test_where_time_is_over_nothing_more_is_asked(zoo):
    model = MacsLatency()
    found = within_budget(zoo, model, 15.0, count=100, go_on=lambda: len(model.asked) < 4)
    assert len(model.asked) == 4 and 0 < len(found) <= 4


@pytest.mark.parametrize("count", [0, 1, 4])
def test_so_many_as_asked(zoo, count: int):
    model = MacsLatency()
    assert len(within_budget(zoo, model, 1e9, count=count)) == count
    assert bool(model.asked) == bool(count), "nothing is measured for nothing"


def test_nothing_fits_a_budget_of_nothing(zoo):
    told: list[str] = []
    assert within_budget(zoo, MacsLatency(), 1e-9, count=3, progress=told.append) == []
    assert sorted(told) == sorted(networks[0].name for networks in zoo.values())


@pytest.mark.parametrize("height, width", [(16, 16), (28, 28), (17, 40), (32, 32), (224, 224)])
def test_every_network_keeps_at_least_a_2x2_map(height: int, width: int):
    found = zoo_networks(1, height, width, 7)
    assert {network.name for networks in found.values() for network in networks} == set(list_rivals())
    for networks in found.values():
        for network in networks:
            assert network.input == (1, height, width) and network.num_classes == 7
            last = [block for block in place_blocks(network) if block.path != "head"][-1].output
            assert last.height >= 2 and last.width >= 2, network.name


def test_rivals_are_what_their_files_say(zoo):
    names = {family: {network.name for network in networks} for family, networks in zoo.items()}
    assert names["mobilenetv1"] == {"mobilenetv1_100"}
    assert names["mobilenetv2"] == {"mobilenetv2_050", "mobilenetv2_100", "mobilenetv2_140"}
    others = {"efficientnet_b0", "efficientnet_b1", "efficientnet_em", "efficientnet_es"}
    assert names["efficientnet"] == {f"tf_efficientnet_lite{number}" for number in range(5)} | others
    smallest = [macs_ms(networks[0]) for networks in zoo.values()]
    assert smallest == sorted(smallest), "families in the order of their smallest members"


def test_photographs_keep_the_published_strides():
    (small,) = [network for network in zoo_networks(3, 224, 224, 10)["mobilenetv1"]]
    last = [block for block in place_blocks(small) if block.path != "head"][-1].output
    assert (last.height, last.width) == (7, 7)
