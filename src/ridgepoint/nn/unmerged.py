"""Attentions with heads as an axis of their own: merged with the batch, ncnn loses track of where images end.

Its tensors have four axes at most, beside the batch, which nothing may touch. Shapes: B batch, C channels, H heads, P
places in a patch, N positions, D dims.
"""

from torch import Tensor
from torch.nn import functional as F

from ridgepoint.nn.attention import MultiHeadAttention, SeparableAttention


class UnmergedMultiHeadAttention(MultiHeadAttention):
    """See `MultiHeadAttention`."""

    def forward(self, x: Tensor) -> Tensor:
        """Places in a patch go with the heads: both attend apart."""
        batch, _, height, width = x.shape
        wide = self.heads * self.key_dim
        parts = x.split((wide, wide, self.heads * self.value_dim), 1)
        query_BHDN, key_BHDN, value_BHDN = (self.heads_of(part) for part in parts)
        shares_BHNN = ((query_BHDN * self.key_dim**-0.5).transpose(2, 3) @ key_BHDN).softmax(-1)
        mixed_BHDN = value_BHDN @ shares_BHNN.transpose(2, 3)
        return self.joined(mixed_BHDN, batch, height, width)

    def heads_of(self, part: Tensor) -> Tensor:
        """(B, heads*D, H, W) -> (B, heads*P, D, N)."""
        batch, channels, height, width = part.shape
        dim, places = channels // self.heads, self.patch**2
        if places == 1:
            return part.reshape(batch, self.heads, dim, height * width)
        apart_BHDPN = F.pixel_unshuffle(part, self.patch).reshape(
            batch, self.heads, dim, places, height * width // places
        )
        return apart_BHDPN.transpose(2, 3).reshape(batch, self.heads * places, dim, height * width // places)

    def joined(self, mixed: Tensor, batch: int, height: int, width: int) -> Tensor:
        """(B, heads*P, D, N) -> (B, heads*D, H, W)."""
        if self.patch == 1:
            return mixed.reshape(batch, self.heads * self.value_dim, height, width)
        places = self.patch**2
        together_BHDPN = mixed.reshape(batch, self.heads, places, self.value_dim, -1).transpose(2, 3)
        maps = together_BHDPN.reshape(
            batch, self.heads * self.value_dim * places, height // self.patch, width // self.patch
        )
        return F.pixel_shuffle(maps, self.patch)


class UnmergedSeparableAttention(SeparableAttention):
    """See `SeparableAttention`."""

    def forward(self, x: Tensor) -> Tensor:
        """Positions of equal place in patches as channels of a smaller map."""
        batch, channels, height, width = x.shape
        places = self.patch**2
        rows_BCPN = F.pixel_unshuffle(x, self.patch).reshape(batch, channels, places, height * width // places)
        query_B1PN, key_BCPN, value_BCPN = rows_BCPN.split((1, self.channels, self.channels), 1)
        context_BCP1 = (key_BCPN * query_B1PN.softmax(-1)).sum(-1, keepdim=True)
        mixed_BCPN = value_BCPN.relu() * context_BCP1
        maps = mixed_BCPN.reshape(batch, self.channels * places, height // self.patch, width // self.patch)
        return F.pixel_shuffle(maps, self.patch)
