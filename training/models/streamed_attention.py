# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The motion encoders' attention and FFN as they are exported: the same function, tokens as rows of one matrix.

ONNX Runtime fuses a bias into a product of two matrices (Gemm), not into a batched one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.models.vit import Mlp, SelfAttention


def with_rows(module: nn.Module) -> nn.Module:
    """The same module, its attentions and FFNs replaced by these in place."""
    for name, part in module.named_children():
        if isinstance(part, SelfAttention):
            setattr(module, name, StreamedAttention(part))
        elif isinstance(part, Mlp):
            setattr(module, name, StreamedMlp(part))
        else:
            with_rows(part)
    return module


class StreamedAttention(nn.Module):
    """SelfAttention, its fused projection taken apart and its scale moved into the query's.

    The key's bias adds the same to all that a softmax compares, so it is left out; the value's passes through, for
    shares sum to 1, and joins the projection's.
    """

    def __init__(self, attention: SelfAttention) -> None:
        super().__init__()
        self.heads = attention.heads
        scale = (attention.proj.in_features // self.heads) ** -0.5
        query, key, value = attention.qkv.weight.detach().chunk(3)
        query_bias, _, value_bias = attention.qkv.bias.detach().chunk(3)
        weight, bias = attention.proj.weight.detach(), attention.proj.bias.detach()
        self.query, self.key, self.value = linear(query * scale, query_bias * scale), linear(key), linear(value)
        self.proj = linear(weight, bias + weight @ value_bias)

    def forward(self, x: Tensor) -> Tensor:
        """x B x L x C -> B x L x C."""
        _, length, channels = x.shape
        rows = x.reshape(-1, channels)
        q, k, v = (
            layer(rows).reshape(-1, length, self.heads, channels // self.heads).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = torch.softmax(q @ k.transpose(2, 3), dim=-1) @ v
        return self.proj(mixed.transpose(1, 2).reshape(-1, channels)).reshape(-1, length, channels)


class StreamedMlp(nn.Module):
    """Mlp on rows."""

    def __init__(self, mlp: Mlp) -> None:
        super().__init__()
        self.fc1, self.fc2 = mlp.fc1, mlp.fc2

    def forward(self, x: Tensor) -> Tensor:
        """x ... x dim -> ... x out."""
        rows = self.fc2(F.gelu(self.fc1(x.reshape(-1, x.shape[-1]))))
        return rows.reshape(*x.shape[:-1], rows.shape[-1])


def linear(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    """A linear layer of these weights, outputs x inputs, which are copied."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().clone())
    return layer
