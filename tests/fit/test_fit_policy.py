"""The rules by which a network is chosen: complete, with reasons, and readable from a result."""

import msgspec
import pytest

from ridgepoint.fit import plan
from ridgepoint.fit.policy import POLICY, Policy
from ridgepoint.fit.settings import make_settings
from ridgepoint.run.result import Rule
from ridgepoint.train.recipe import load_recipe


def test_every_rule_tells_its_value_and_its_reason():
    rules = msgspec.convert(msgspec.to_builtins(POLICY.rules()), dict[str, Rule])
    assert list(rules) == list(Policy.__struct_fields__)
    for name, rule in rules.items():
        assert rule.value == getattr(POLICY, name) and len(rule.reason.split()) > 4


def test_a_rule_is_settable_in_one_place(monkeypatch: pytest.MonkeyPatch):
    settings = make_settings(data="digits", latency_ms=1.0, time_s=100.0)
    monkeypatch.setattr(plan, "POLICY", Policy(search_share=0.1, longest_s=3.0))
    made = plan.make_plan(settings, load_recipe("small_images"), elapsed_s=0.0, kept_s=0.0, trainings=3, candidates=2)
    assert made.search_until_s == pytest.approx(10.0) and made.short_s == 3.0 and made.full_s == pytest.approx(30.0)
