"""Multi-head against multi-query attention."""

from ridgepoint.arch.blocks.attention import MobileMultiQueryAttention
from ridgepoint.arch.network import Network, Stage
from ridgepoint.probe.changes import own_keys_and_values
from ridgepoint.probe.finding import SLOWER, Finding
from ridgepoint.probe.study import Published, Study
from ridgepoint.probe.variant import body

_THREE = Network(
    name="attention",
    input=(512, 12, 12),
    stem=(),
    stages=(Stage(blocks=(MobileMultiQueryAttention(heads=8, key_dim=64, value_dim=64),) * 3),),
)
_TABLE = "MobileNetV4, arXiv:2404.10518, Table 2"

STUDY = Study(
    name="attention",
    title="Multi-head or multi-query attention?",
    about="Three attention blocks with 8 heads of 64 at 12x12 and 512 channels, as in MobileNetV4-Hybrid-L. The "
    "paper's figures are what three such blocks add to a network; their heads are not told.",
    source=f"{_TABLE}, section 4.2",
    variants={"multi-query attention": body(_THREE), "multi-head attention": body(_THREE, own_keys_and_values)},
    published=(
        Published(
            "Pixel 7 EdgeTPU",
            _TABLE,
            {"multi-head attention": 9.69 - 4.31, "multi-query attention": 5.16 - 4.31},
            "ms added",
        ),
        Published(
            "Pixel 8 EdgeTPU",
            _TABLE,
            {"multi-head attention": 2.76 - 2.35, "multi-query attention": 2.60 - 2.35},
            "ms added",
        ),
        Published(
            "Galaxy S23 GPU",
            _TABLE,
            {"multi-head attention": 16.46 - 13.15, "multi-query attention": 15.10 - 13.15},
            "ms added",
        ),
    ),
    findings=(
        Finding(
            claim="Multi-head attention is slower than multi-query attention.",
            over="multi-head attention",
            under="multi-query attention",
            at_least=SLOWER,
        ),
    ),
)
