"""Branches before and after re-parameterisation."""

from ridgepoint.arch.zoo import load
from ridgepoint.probe.finding import SLOWER, Finding
from ridgepoint.probe.study import Study
from ridgepoint.probe.variant import whole

_NETWORKS = {"MobileOne-S0": "mobileone_s0", "MobileOne-S1": "mobileone_s1"}

STUDY = Study(
    name="branches",
    title="What do unfolded branches cost?",
    about="MobileOne as it is trained, with up to six parallel branches (S0; S1: up to three), and folded into single "
    "convolutions.",
    source="MobileOne, arXiv:2206.04040, sections 3.1 and 3.2",
    variants={
        f"{title} {form}": whole(load(name), folded=folded)
        for title, name in _NETWORKS.items()
        for form, folded in (("with branches", False), ("folded", True))
    },
    findings=tuple(
        Finding(
            claim=f"Parallel branches cost time until they are folded ({title}).",
            over=f"{title} with branches",
            under=f"{title} folded",
            at_least=SLOWER,
        )
        for title in _NETWORKS
    ),
)
