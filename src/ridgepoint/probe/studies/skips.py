"""Skip connections and squeeze-excitation in a 30-layer network."""

from ridgepoint.probe.changes import skip_connections
from ridgepoint.probe.finding import SLOWER, Finding
from ridgepoint.probe.study import Study
from ridgepoint.probe.thirty_layers import thirty_layers
from ridgepoint.probe.variant import body

STUDY = Study(
    name="skips",
    title="What do skip connections and squeeze-excitation cost?",
    about="30 plain convolutions; the same with the input added to every block that keeps its shape; with a "
    "squeeze-excitation before every activation; with both.",
    source="MobileOne, arXiv:2206.04040, section 3.1",
    variants={
        "the plain network": body(thirty_layers()),
        "the network with skips": body(thirty_layers(), skip_connections),
        "the network with SE": body(thirty_layers(se=True)),
        "the network with both": body(thirty_layers(se=True), skip_connections),
    },
    findings=(
        Finding(
            claim="Skip connections cost time.",
            over="the network with skips",
            under="the plain network",
            at_least=SLOWER,
        ),
        Finding(
            claim="Squeeze-excitation costs time.",
            over="the network with SE",
            under="the plain network",
            at_least=SLOWER,
        ),
    ),
)
