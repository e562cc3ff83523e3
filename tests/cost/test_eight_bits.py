"""What int8 leaves in float, by networks made for it and networks that are not."""

import pytest

from ridgepoint.arch.zoo import load
from ridgepoint.cost.eight_bits import in_float


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("mobilenetv2_100", ()),
        ("mobilenetv4_conv_small", ()),
        ("tf_efficientnet_lite0", ()),
        ("mobileone_s0", ()),
        ("mobileone_s4", ("sigmoid",)),
        ("mobilenetv3_small_100", ("hard_sigmoid", "hard_swish")),
        ("mobilenetv3_small_minimal_100", ()),
        ("mobilenetv4_hybrid_medium", ("attention",)),
        ("efficientformer_l1", ("attention", "gelu", "layernorm")),
        ("efficientvit_b0", ("attention", "hard_swish", "layernorm")),
        ("efficientnet_b0", ("sigmoid", "silu")),
        ("poolformer_s12", ("gelu", "groupnorm", "layernorm")),
    ],
)
def test_what_stays_in_float(name: str, kinds: tuple[str, ...]):
    assert in_float(load(name)) == kinds
