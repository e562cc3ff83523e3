"""A device's card: residuals of families left out, honest coverage, and the zoo's front."""

import json
from pathlib import Path

import numpy as np
import pytest
from cli_helpers import run as ridgepoint

from ridgepoint.arch.zoo import load
from ridgepoint.cost.card import Card, device_card
from ridgepoint.cost.device import load_device
from ridgepoint.cost.roofline import predict_latency
from ridgepoint.report.device import device_page

NAME = "pixel6-cpu"


@pytest.fixture(scope="module")
def card() -> Card:
    return device_card(load_device(NAME))


def test_its_residuals_are_those_that_the_profile_tells_of(card: Card):
    fit = card.device.fit
    assert len(card.residuals) == fit.networks and len(card.families) == fit.families
    assert np.median([abs(each.error) for each in card.residuals]) == pytest.approx(fit.left_out_median_error, abs=6e-4)
    ends = [card.device.interval_of(each.family in ("convnext", "fastvit")) for each in card.residuals]
    inside = [low <= each.ratio <= high for (low, high), each in zip(ends, card.residuals, strict=True)]
    assert np.mean(inside) >= 0.8 and card.covered <= sum(inside) + 1


def test_nothing_of_the_zoo_beats_what_is_on_its_front(card: Card):
    for each in card.front:
        assert not any(other.ms < each.ms and other.top1 > each.top1 for other in card.zoo)
        assert each.ms == pytest.approx(predict_latency(load(each.name), NAME).ms)
    assert [each.ms for each in card.front] == sorted(each.ms for each in card.front) and len(card.front) > 5


def test_the_page_holds_it_all_and_fetches_nothing(card: Card):
    page = device_page(card)
    assert f"{card.covered} of {len(card.residuals)}" in page and all(each.name in page for each in card.front)
    assert "http://" not in page.split("plotly")[0] and 'src="http' not in page and page.count("data-figure=") == 3


def test_the_command_writes_it(tmp_path: Path):
    done = ridgepoint("devices", NAME, "--html", tmp_path / "card.html", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 0 and told["device"]["name"] == NAME and len(told["front"]) > 5
    assert (tmp_path / "card.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("pixel9",), "did you mean"),
        (("--html", "x.html"), "is of one device"),
        ((NAME, "--probe", "ssh://x"), "Leave"),
    ],
)
def test_what_is_no_device_is_refused(words: tuple[str, ...], told: str, tmp_path: Path):
    done = ridgepoint("devices", *words, cwd=tmp_path)
    assert done.returncode == 2 and told in done.stderr, done.stderr
