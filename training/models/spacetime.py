# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Joint and divided space-time attention (SDTC equations 2 and 3, figure 4; Bertasius et al., TimeSformer)."""

from __future__ import annotations

from torch import Tensor, nn

from training.models.vit import Mlp, SelfAttention


class JointAttention(nn.Module):
    """Equation 2: vanilla MHSA over all tokens of all frames, pre-norm and residual, followed by an FFN."""

    def __init__(self, channels: int, heads: int, ffn_ratio: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attention = SelfAttention(channels, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.ffn = Mlp(channels, int(channels * ffn_ratio))

    def forward(self, x: Tensor) -> Tensor:
        """x B x T x L x C -> same; every token sees every other one."""
        batch, frames, places, channels = x.shape
        flat = x.reshape(batch, frames * places, channels)  # Concat_L
        flat = flat + self.attention(self.norm1(flat))
        flat = flat + self.ffn(self.norm2(flat))
        return flat.reshape(batch, frames, places, channels)


class TemporalAttention(nn.Module):
    """TA+ of equation 3: a token attends to the same place in all frames; residual."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.attention = SelfAttention(channels, heads)

    def forward(self, x: Tensor) -> Tensor:
        """x B x T x L x C -> same."""
        batch, frames, places, channels = x.shape
        tubes = self.norm(x).transpose(1, 2).reshape(batch * places, frames, channels)
        mixed = self.attention(tubes).reshape(batch, places, frames, channels)
        return x + mixed.transpose(1, 2)


class SpatialAttention(nn.Module):
    """SA+ of equation 3: a token attends to all tokens of its own frame; residual."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.attention = SelfAttention(channels, heads)

    def forward(self, x: Tensor) -> Tensor:
        """x B x T x L x C -> same."""
        batch, frames, places, channels = x.shape
        images = self.norm(x).reshape(batch * frames, places, channels)
        return x + self.attention(images).reshape(x.shape)


class DividedAttention(nn.Module):
    """Equation 3: FFN(SA+(TA+(x))), the FFN residual as in TimeSformer."""

    def __init__(self, channels: int, heads: int, ffn_ratio: float) -> None:
        super().__init__()
        self.temporal = TemporalAttention(channels, heads)
        self.spatial = SpatialAttention(channels, heads)
        self.norm = nn.LayerNorm(channels)
        self.ffn = Mlp(channels, int(channels * ffn_ratio))

    def forward(self, x: Tensor) -> Tensor:
        """x B x T x L x C -> same."""
        x = self.spatial(self.temporal(x))
        return x + self.ffn(self.norm(x))


class MotionEncoder(nn.Module):
    """Patch-level and frame-level motion encoder alike: joint blocks (equation 2), then divided blocks (equation 3)."""

    def __init__(self, channels: int, heads: int, ffn_ratio: float, joint_blocks: int, divided_blocks: int) -> None:
        super().__init__()
        joint = [JointAttention(channels, heads, ffn_ratio) for _ in range(joint_blocks)]
        divided = [DividedAttention(channels, heads, ffn_ratio) for _ in range(divided_blocks)]
        self.blocks = nn.Sequential(*joint, *divided)

    def forward(self, x: Tensor) -> Tensor:
        """x B x T x L x C -> same."""
        return self.blocks(x)
