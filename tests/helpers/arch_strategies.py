"""Random networks from the whole language: any block mix that fits together, any valid size."""

from hypothesis import settings
from hypothesis import strategies as st

from ridgepoint.arch.blocks.attention import MobileMultiQueryAttention
from ridgepoint.arch.blocks.convnext import ConvNeXt
from ridgepoint.arch.blocks.convolution import Conv, Separable
from ridgepoint.arch.blocks.efficientformer import AttentionMixer, PoolMixer
from ridgepoint.arch.blocks.efficientformer_v2 import AttentionReduction, ConvMlp, TalkingMixer
from ridgepoint.arch.blocks.efficientvit import LinearAttentionBlock
from ridgepoint.arch.blocks.fastvit import LargeKernelReduction, NormedAttention, RepMixer
from ridgepoint.arch.blocks.inverted import FusedInvertedBottleneck, InvertedBottleneck, UniversalInvertedBottleneck
from ridgepoint.arch.blocks.mobileone import MobileOne, RepConv
from ridgepoint.arch.blocks.repvit import RepViT, RepViTReduction
from ridgepoint.arch.blocks.starnet import Star
from ridgepoint.arch.conventions import Conventions
from ridgepoint.arch.heads.classification import NormedHead, PooledHead, TokenHead
from ridgepoint.arch.network import Network, Stage


def examples(count: int) -> int:
    """How many to draw: so many, and more of them where each run draws new ones."""
    return count * settings.default.max_examples // 100


ACTIVATIONS = ("relu", "relu6", "hard_swish", "hard_sigmoid", "sigmoid", "silu", "gelu", "gelu_tanh")
channels = st.integers(1, 24)
kernels = st.sampled_from((1, 3, 5, 7))
strides = st.integers(1, 3)
activations = st.sampled_from((*ACTIVATIONS, None))

conventions = st.builds(
    Conventions,
    activation=st.sampled_from(ACTIVATIONS),
    padding=st.sampled_from(("symmetric", "same")),
    norm_eps=st.sampled_from((1e-5, 1e-3)),
    layer_scale=st.sampled_from((None, 1e-5, 1.0)),
    norm_kind=st.sampled_from(("batch", "batch", "rms")),
)
heads = {"heads": st.integers(1, 3), "key_dim": st.integers(1, 6), "value_dim": st.integers(1, 6)}
# Blocks that take a map of any size and channels.
pool_mixers = st.builds(PoolMixer, expand_channels=channels, kernel=st.sampled_from((3, 5)))
map_blocks = st.one_of(
    st.builds(Conv, out_channels=channels, kernel=kernels, stride=strides, bias=st.booleans(), activation=activations),
    st.builds(
        Separable,
        out_channels=channels,
        kernel=kernels,
        stride=strides,
        activation=activations,
        se_channels=st.none() | channels,
    ),
    st.builds(
        InvertedBottleneck,
        expand_channels=channels,
        out_channels=channels,
        kernel=kernels,
        stride=strides,
        se_channels=st.none() | channels,
        activation=activations,
        residual=st.sampled_from((None, False)),
        always_expand=st.booleans(),
        early_norms=st.booleans(),
    ),
    st.builds(FusedInvertedBottleneck, expand_channels=channels, out_channels=channels, kernel=kernels, stride=strides),
    st.builds(
        UniversalInvertedBottleneck,
        expand_channels=channels,
        out_channels=channels,
        start_kernel=st.sampled_from((0, 3, 5)),
        middle_kernel=st.sampled_from((3, 5)),
        stride=strides,
    ),
    st.builds(
        UniversalInvertedBottleneck,
        expand_channels=channels,
        out_channels=channels,
        start_kernel=st.sampled_from((0, 3)),
    ),
    st.builds(
        MobileMultiQueryAttention,
        heads=st.integers(1, 3),
        key_dim=st.integers(1, 6),
        value_dim=st.integers(1, 6),
        kv_stride=st.integers(1, 3),
    ),
    st.builds(RepConv, out_channels=channels, kernel=kernels, stride=strides, branches=st.integers(1, 3)),
    st.builds(
        MobileOne, out_channels=channels, kernel=kernels, stride=strides, branches=st.integers(1, 3), se=st.booleans()
    ),
    pool_mixers,
    st.builds(RepMixer, expand_channels=channels, kernel=kernels, mlp_kernel=kernels),
    st.builds(LargeKernelReduction, out_channels=channels, kernel=kernels, stride=strides),
    st.builds(NormedAttention, expand_channels=channels, **heads, position_kernel=st.sampled_from((0, 3))),
    st.builds(ConvMlp, expand_channels=channels, kernel=kernels),
    st.builds(TalkingMixer, expand_channels=channels, **heads, half=st.booleans()),
    st.builds(AttentionReduction, out_channels=channels, **heads, kernel=kernels, stride=strides),
    st.builds(LinearAttentionBlock, heads=st.integers(1, 3), key_dim=st.integers(1, 6)),
    st.builds(Star, expand_channels=channels, kernel=kernels),
    st.builds(ConvNeXt, expand_channels=channels, kernel=kernels, response_norm=st.booleans()),
    st.builds(RepViT, expand_channels=channels, kernel=kernels, se=st.booleans()),
    st.builds(
        RepViTReduction,
        first_channels=channels,
        out_channels=channels,
        expand_channels=channels,
        kernel=kernels,
        stride=strides,
    ),
)
token_blocks = st.builds(
    AttentionMixer,
    expand_channels=channels,
    heads=st.integers(1, 3),
    key_dim=st.integers(1, 6),
    value_dim=st.integers(1, 6),
    activation=st.sampled_from(ACTIVATIONS),
)
pooled_heads = st.builds(
    PooledHead,
    conv_channels=st.none() | channels,
    hidden_channels=st.none() | channels,
    hidden_norm=st.booleans(),
    hidden_bias=st.sampled_from((None, True, False)),
    activation=activations,
)
token_heads = st.builds(TokenHead, distilled=st.booleans()) | st.builds(NormedHead, distilled=st.booleans())


@st.composite
def networks(draw) -> Network:
    """A network that fits together: stem, stages of map blocks, perhaps blocks of tokens, and a head for either."""
    stages = draw(st.lists(st.lists(map_blocks, min_size=1, max_size=3), min_size=1, max_size=3))
    tokens = draw(st.lists(token_blocks | pool_mixers, max_size=3))
    stages[-1] += tokens
    return Network(
        name=draw(st.sampled_from(("a", "net_1", "ä b"))),
        input=(draw(st.integers(1, 4)), draw(st.integers(7, 40)), draw(st.integers(7, 40))),
        conventions=draw(conventions),
        stem=tuple(draw(st.lists(map_blocks, max_size=1))),
        stages=tuple(Stage(blocks=tuple(stage)) for stage in stages),
        head=draw(token_heads if tokens else token_heads | pooled_heads),
        num_classes=draw(st.integers(1, 12)),
    )
