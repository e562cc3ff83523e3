"""The latency table: sums of rows, rows that equal blocks share, and what is refused rather than guessed."""

import time
from pathlib import Path

import msgspec
import pytest
from cost_helpers import stored

from ridgepoint.arch.document import parse_network
from ridgepoint.arch.network import Network, place_blocks
from ridgepoint.arch.zoo import load
from ridgepoint.cost.table import Conditions, LatencyTable, Sample, load_table, row_key
from ridgepoint.cost.tabled import TabledModel
from ridgepoint.errors import InputError

HERE = Conditions(device="a cpu", runtime="onnxruntime", runtime_version="1.0", threads=1)


def network(name: str, *widths: int, classes: int = 10) -> Network:
    rows = [{"block": "conv", "kernel": 3, "out_channels": width} for width in widths]
    raw = {"name": name, "input": [3, 8, 8], "num_classes": classes, "stages": [{"blocks": rows}]}
    return parse_network(raw, source=name)


def filled(*networks: Network, ms: float = 1.0) -> LatencyTable:
    table = LatencyTable(conditions=HERE, overhead=stored(0.5))
    for each in networks:
        for number, block in enumerate(place_blocks(each, deploy=True)):
            table.rows.setdefault(row_key(block.recipe, block.input), stored(ms * (number + 1)))
    return table


def test_a_tabled_latency_is_the_sum_of_rows_and_overhead():
    found = TabledModel(filled(network("a", 8, 16))).latency(network("a", 8, 16))
    assert found.kind == "tabled" and found.rows == 3  # two blocks and the head
    assert found.interpolated == () and found.low_ms is None
    assert found.ms == pytest.approx(0.5 + 1.0 + 2.0 + 3.0)
    assert (found.device, found.runtime, found.threads) == ("a cpu", "onnxruntime", 1)


def test_equal_blocks_share_a_row():
    """8 -> 8 at 8x8 twice in one network is one row; the first block of another network is the same row."""
    twice = network("twice", 8, 8, 8)
    assert len(filled(twice).rows) == 3  # 3 -> 8, 8 -> 8, and the head
    other = network("other", 8, 24)
    missing = TabledModel(filled(twice)).missing(other)
    assert [block.path for block in missing] == ["stages.0.1", "head"]


@pytest.mark.parametrize("change", ["input", "classes", "width", "kernel"])
def test_blocks_that_differ_have_rows_of_their_own(change: str):
    base = network("a", 8)
    other = {
        "input": base.at(height=16),
        "classes": base.with_classes(11),
        "width": network("a", 16),
        "kernel": parse_network(
            {
                "name": "a", "input": [3, 8, 8], "num_classes": 10,
                "stages": [{"blocks": [{"block": "conv", "kernel": 5, "out_channels": 8}]}],
            },
            source="a",
        ),
    }[change]  # fmt: skip
    assert TabledModel(filled(base)).missing(other)


def test_a_network_that_was_not_measured_is_an_error_and_never_zero():
    table = filled(network("a", 8))
    with pytest.raises(InputError, match=r"no row for 2 of 3 blocks of b\. Run `ridgepoint calibrate`"):
        TabledModel(table).latency(network("b", 8, 24))
    with pytest.raises(InputError, match="no row for"):
        TabledModel(LatencyTable(conditions=HERE, overhead=stored(0.5))).latency(load("mobilenetv4_conv_small"))


def test_what_is_missing_is_told_once():
    repeated = network("a", 8, 8, 8, 8)
    missing = TabledModel(LatencyTable(conditions=HERE, overhead=stored(0.0))).missing(repeated)
    assert [block.path for block in missing][:1] == ["stages.0.0"]
    assert len(missing) == 3


def test_row_names_are_the_same_in_every_process():
    """A table is a file: its names must not depend on the process that wrote it."""
    block, other = (place_blocks(network(*given), deploy=True)[0] for given in (("a", 8), ("z", 8, 16)))
    key = row_key(block.recipe, block.input)
    assert key == row_key(other.recipe, other.input)
    assert len(key) == 16 and int(key, 16) >= 0


def test_a_table_comes_back_from_its_file(tmp_path: Path):
    table = filled(network("a", 8))
    table.networks["digest"] = stored(2.5)
    table.save(tmp_path / "table.json", doubted=False)
    assert load_table(tmp_path / "table.json", conditions=HERE) == table


def test_what_another_process_saved_meanwhile_stays_and_counts_here(tmp_path: Path):
    """Else a run that is resumed would go by other times than those that it began with."""
    path = tmp_path / "table.json"
    filled(network("a", 8)).save(path, doubted=False)
    mine, others = (load_table(path, conditions=HERE) for _ in range(2))
    for table, digest, ms in ((others, "both", 1.0), (others, "theirs", 2.0), (mine, "both", 3.0), (mine, "mine", 4.0)):
        table.networks[digest] = stored(ms)
    others.rows["doubted"] = msgspec.structs.replace(stored(9.0), doubt="busy")
    others.samples.append(Sample(network=network("a", 8), ms=1.0, at=time.time()))
    others.save(path, doubted=True, calibrating=True)
    mine.save(path, doubted=False)
    assert {digest: each.ms for digest, each in mine.networks.items()} == {"both": 1.0, "theirs": 2.0, "mine": 4.0}
    kept = load_table(path, conditions=HERE)
    assert (kept.networks, kept.rows, kept.samples) == (mine.networks, mine.rows, others.samples)
    assert "doubted" not in kept.rows and not mine.samples


def test_old_and_doubted_times_are_taken_again():
    """What a busy machine or another month told is missing, unless the user accepts times of busy machines."""
    one, other, third = network("a", 8), network("b", 16), network("c", 24)

    def table() -> LatencyTable:
        found = filled(one, other, third)
        doubted, old = (
            row_key(block.recipe, block.input)
            for block in (place_blocks(each, deploy=True)[0] for each in (other, third))
        )
        found.rows[doubted] = msgspec.structs.replace(stored(9.0), doubt="busy")
        found.rows[old] = msgspec.structs.replace(stored(9.0), at=time.time() - 31 * 24 * 3600)
        return found

    def missing(found: LatencyTable) -> list[int]:
        return [len(TabledModel(found).missing(each)) for each in (one, other, third)]

    assert missing(table()) == [0, 0, 0]
    assert missing(table().trim(doubted=False)) == [0, 1, 1]
    assert missing(table().trim(doubted=True)) == [0, 0, 1]


@pytest.mark.parametrize(
    "other",
    [
        {"device": "another cpu"},
        {"runtime": "litert"},
        {"runtime_version": "1.1"},
        {"threads": 2},
        {"place": "ssh://pi@board"},
        {"precision": "int8"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_table_of_other_conditions_is_refused(tmp_path: Path, other: dict[str, object]):
    filled(network("a", 8)).save(tmp_path / "table.json", doubted=False)
    fields = {name: getattr(HERE, name) for name in HERE.__struct_fields__}
    with pytest.raises(InputError, match=r"table\.json: was measured on .* Delete it or give another file"):
        load_table(tmp_path / "table.json", conditions=Conditions(**{**fields, **other}))
    assert Conditions(**{**fields, **other}).file_name() != HERE.file_name()


def test_a_table_of_an_older_version_is_this_machine_s_in_float32(tmp_path: Path):
    """Such a table names neither place nor precision, in its file's name neither."""
    table = filled(network("a", 8))
    document = msgspec.to_builtins(table)
    for name in ("place", "precision"):
        del document["conditions"][name]
    (tmp_path / "table.json").write_bytes(msgspec.json.encode(document))
    assert load_table(tmp_path / "table.json", conditions=HERE) == table
    assert HERE.file_name() == "onnxruntime-1.0-t1-df290a40de.json"
    with pytest.raises(InputError, match="was measured on"):
        load_table(tmp_path / "table.json", conditions=msgspec.structs.replace(HERE, precision="int8"))


def test_a_tabled_latency_names_place_and_precision():
    there = msgspec.structs.replace(HERE, place="ssh://pi@board", precision="int8")
    found = TabledModel(LatencyTable(conditions=there, overhead=stored(0.5), rows=filled(network("a", 8)).rows))
    latency = found.latency(network("a", 8))
    assert (latency.place, latency.precision) == ("ssh://pi@board", "int8")


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"rows": {"a": "fast"}}'])
def test_what_is_no_table_is_refused(tmp_path: Path, content: str):
    (tmp_path / "table.json").write_text(content)
    with pytest.raises(InputError, match=r"table\.json: is no latency table"):
        load_table(tmp_path / "table.json", conditions=HERE)


def test_a_table_that_cannot_be_read_is_told(tmp_path: Path):
    with pytest.raises(InputError, match="there is no such file"):
        load_table(tmp_path / "absent.json", conditions=HERE)
    with pytest.raises(InputError, match="is a folder"):
        load_table(tmp_path, conditions=HERE)
