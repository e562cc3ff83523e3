"""FFN, IB, ConvNext and ExtraDW at equal latency."""

from ridgepoint.arch.blocks.inverted import UniversalInvertedBottleneck
from ridgepoint.arch.network import Network, Stage
from ridgepoint.probe.finding import SLOWER, Finding
from ridgepoint.probe.study import Published, Study
from ridgepoint.probe.variant import Variant, body

_CHANNELS, _RATIOS = 160, (2, 4, 8)
_KERNELS = {"FFN": (0, 0), "IB": (0, 3), "ConvNext": (3, 0), "ExtraDW": (3, 3)}


def _two(start: int, middle: int, ratio: int) -> Variant:
    block = UniversalInvertedBottleneck(
        start_kernel=start, middle_kernel=middle, expand_channels=ratio * _CHANNELS, out_channels=_CHANNELS
    )
    return body(Network(name="uib", input=(_CHANNELS, 16, 16), stem=(), stages=(Stage(blocks=(block, block)),)))


def _more(over: str, under: str, *, ours: bool = False) -> Finding:
    return Finding(
        claim=f"In the same time {over} does more MACs than {under}.",
        over=over,
        under=under,
        at_least=SLOWER,
        quantity="MACs in the same time",
        ours=ours,
    )


STUDY = Study(
    name="uib",
    title="How many MACs does each kind of UIB do in the same time?",
    about="Two blocks with 160 channels at 16x16, 2, 4 and 8 times expanded, depthwise kernels 3x3. The widths of each "
    "kind give its MACs as a function of time; compared is the time of the other kind, 4 times expanded.",
    source="MobileNetV4, arXiv:2404.10518, section 4.1 and Table 1",
    variants={
        f"{kind}, x{ratio}": _two(start, middle, ratio)
        for kind, (start, middle) in _KERNELS.items()
        for ratio in _RATIOS
    },
    groups={kind: tuple(f"{kind}, x{ratio}" for ratio in _RATIOS) for kind in _KERNELS},
    published=(
        Published(
            "Pixel 8 EdgeTPU, networks searched for about 2.65 ms",
            "MobileNetV4, Table 1",
            {"IB": 6.1, "ConvNext": 6.9},
            unit="GMACs",
            quantity="MACs in the same time",
        ),
    ),
    findings=(_more("ConvNext", "IB"), _more("FFN", "IB", ours=True), _more("IB", "ExtraDW", ours=True)),
)
