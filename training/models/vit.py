# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Plain Vision Transformer backbone, as in ViTPose (Xu et al., arXiv:2204.12484): one image -> one token grid.

Parameters are named as in the official checkpoints (patch_embed.proj, blocks.0.attn.qkv, last_norm). ViTPose's patch
convolution has padding 2. Its position embedding has a row for a class token too, which ViTPose adds to every token:
`pos_embed` here has the tokens' rows only, and an official one fits after `pos[:, 1:] + pos[:, :1]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class ViTConfig:
    """Sizes of a backbone. `image_size` is (height, width) in pixels; both are multiples of `patch`.

    stem: "patch" is ViTPose's single convolution; "conv" is a stack of stride-2 3x3 convolutions (Xiao et al., "Early
    Convolutions Help Transformers See Better"), which learns from scratch much sooner and is meant for tiny models.
    """

    image_size: tuple[int, int] = (256, 192)
    patch: int = 16
    padding: int = 2
    dim: int = 768
    depth: int = 12
    heads: int = 12
    mlp_ratio: float = 4.0
    drop_path: float = 0.0
    stem: Literal["patch", "conv"] = "patch"

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tokens."""
        return self.image_size[0] // self.patch, self.image_size[1] // self.patch


VIT_SIZES = {
    "vit-s": ViTConfig(dim=384, depth=12, heads=12),
    "vit-b": ViTConfig(dim=768, depth=12, heads=12),
    "vit-l": ViTConfig(dim=1024, depth=24, heads=16),
    "vit-h": ViTConfig(dim=1280, depth=32, heads=16),
}


class PatchEmbed(nn.Module):
    """ViTPose's embedding: one convolution of stride `patch`."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, config.dim, config.patch, stride=config.patch, padding=config.padding)

    def forward(self, image: Tensor) -> Tensor:
        """image B x 3 x H x W -> B x L x C."""
        return self.proj(image).flatten(2).transpose(1, 2)


class ConvStem(nn.Module):
    """3x3 convolutions down to the token grid, one more at each middle resolution, then a 1x1 projection."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        steps = config.patch.bit_length() - 1
        widths = [3] + [min(config.dim, 24 << i) for i in range(steps)]
        layers: list[nn.Module] = []
        for i, (wide_in, wide_out) in enumerate(zip(widths, widths[1:], strict=False)):
            layers += _conv_bn_relu(wide_in, wide_out, stride=2)
            if 0 < i < steps - 1:
                layers += _conv_bn_relu(wide_out, wide_out, stride=1)
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], config.dim, 1))

    def forward(self, image: Tensor) -> Tensor:
        """image B x 3 x H x W -> B x L x C."""
        return self.layers(image).flatten(2).transpose(1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) v over the last two axes, ... x L x d each."""
    if torch.onnx.is_in_onnx_export():  # the exporter's own version of it is slower by a few reshapes
        return torch.softmax((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1), dim=-1) @ v
    if q.device.type == "cpu" and q.dtype == torch.bfloat16:  # torch's fused kernel takes 2 to 8 times as long there
        shares = torch.softmax((q @ k.transpose(-2, -1)).float() * q.shape[-1] ** -0.5, dim=-1)
        return shares.to(v.dtype) @ v
    return F.scaled_dot_product_attention(q, k, v)


class SelfAttention(nn.Module):
    """Multi-head self-attention over axis -2, with one fused projection for query, key and value."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"width {dim} is not a multiple of the number of heads {heads}")
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """x B x L x C -> B x L x C."""
        batch, length, dim = x.shape
        qkv = self.qkv(x).reshape(batch, length, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each B x heads x L x C/heads
        mixed = attend(q, k, v)
        return self.proj(mixed.transpose(1, 2).reshape(batch, length, dim))


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, dim: int, hidden: int, out: int | None = None) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, out or dim)

    def forward(self, x: Tensor) -> Tensor:
        """x ... x dim -> ... x out."""
        return self.fc2(F.gelu(self.fc1(x)))


class DropPath(nn.Module):
    """Drops a residual branch for a whole sample with probability `rate` in training (stochastic depth)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """x B x ... -> same shape."""
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        mask = torch.rand(x.shape[0], *[1] * (x.dim() - 1), device=x.device) < keep
        return x * mask / keep


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, config: ViTConfig, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.dim, eps=1e-6)
        self.attn = SelfAttention(config.dim, config.heads)
        self.norm2 = nn.LayerNorm(config.dim, eps=1e-6)
        self.mlp = Mlp(config.dim, int(config.dim * config.mlp_ratio))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """x B x L x C -> B x L x C."""
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class ViT(nn.Module):
    """Backbone: B x 3 x H x W normalised RGB -> B x L x C tokens in row-major grid order."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = PatchEmbed(config) if config.stem == "patch" else ConvStem(config)
        rows, columns = config.grid
        self.pos_embed = nn.Parameter(torch.zeros(1, rows * columns, config.dim))
        rates = [config.drop_path * i / max(1, config.depth - 1) for i in range(config.depth)]
        self.blocks = nn.ModuleList(Block(config, rate) for rate in rates)
        self.last_norm = nn.LayerNorm(config.dim, eps=1e-6)
        self.apply(_init_weights)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, image: Tensor) -> Tensor:
        """image B x 3 x H x W (normalised RGB) -> B x L x C."""
        x = self.patch_embed(image) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.last_norm(x)


def _conv_bn_relu(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


def _init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
