# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A trained SDTCMoveNet as it is exported: the same function, arranged for a stream of frames on a CPU.

What depends on one crop alone is computed once a crop and cached; linear layers in a row become one. Tokens lie
channels last (L x C) wherever they meet matrix products, and convolutions get channels in multiples of 8: ONNX
Runtime's fast kernels want both.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.models.realign import realigned_tokens
from training.models.sdtc_movenet import FLOOR, SDTCMoveNet
from training.models.semantics import POOL, ResidualHead, Semantics
from training.models.smml import SMCA, SMML, FrameAggregation, SelfFeatureRefinement
from training.models.streamed_attention import linear, with_rows
from training.models.trajectory import Tracks, Trajectory
from training.models.vit import attend

BLOCK = 8  # channels that ONNX Runtime's convolutions take at a time where there is AVX2 and no more


def streamed(network: SDTCMoveNet) -> SDTCMoveNet:
    """A copy of the network that answers the same, for inference alone; takes the weights as they are now."""
    made = copy.deepcopy(network)
    if made.semantics is not None:
        made.semantics = StreamedSemantics(made.semantics)  # type: ignore[assignment]
    return made


class StreamedSemantics(nn.Module):
    """`Semantics`, whose parts it takes over, its work divided between a crop and a window.

    Cached of a crop are tokens L x C at stride 16, pooled L/4 x C, the same at stride 32, and detail w x h/2 x w/2:
    the part of the head's first layer that the crop itself decides.
    """

    names = ("tokens", "pooled", "detail")
    pool: Tensor
    position: Tensor

    def __init__(self, semantics: Semantics) -> None:
        super().__init__()
        self.tokens, self.reduced = semantics.tokens, semantics.detail
        self.mlsme = with_rows(semantics.mlsme)
        self.image_size, self.grid, self.pooled = semantics.image_size, semantics.grid, semantics.pooled
        rows, columns = semantics.grid
        with torch.no_grad():
            embedding = semantics.embedding()
            maps = semantics.pool(as_map(embedding, semantics.grid))
            position = maps.flatten(2).transpose(1, 2) + semantics.pooled_embedding()
        self.smml = StreamedSMML(semantics.smml, embedding, semantics.unpool, semantics.grid)
        self.head = StreamedHead(semantics.head, semantics.detail.out_channels, (4 * rows, 4 * columns))
        self.register_buffer("pool", semantics.pool.weight.detach())
        self.register_buffer("position", position)

    def cached(self, stride16: Tensor, stride4: Tensor, heatmaps: Tensor, logits: Tensor) -> tuple[Tensor, ...]:
        """What was seen in N crops, and its logits -> tokens, pooled and detail."""
        tokens = self.tokens.feature(stride16) + self.tokens.heatmap(heatmaps)
        pooled = F.conv2d(tokens, self.pool, stride=POOL)
        detail = self.head.cached(self.reduced(stride4), heatmaps.clamp(FLOOR, 1 - FLOOR), logits)
        return tokens.flatten(2).transpose(1, 2), pooled.flatten(2).transpose(1, 2), detail

    def realigned(self, cached: dict[str, Tensor], moves: Tensor) -> dict[str, Tensor]:
        """See Semantics.realigned."""
        return {
            name: realigned_tokens(cached[name], moves, grid, self.image_size)
            for name, grid in (("tokens", self.grid), ("pooled", self.pooled))
        }

    def residual(self, cached: dict[str, Tensor], trajectory: Trajectory, tracks: Tracks) -> Tensor:
        """See Semantics.residual."""
        detail = cached["detail"][:, cached["detail"].shape[1] // 2]
        motion = self.mlsme(cached["pooled"] + self.position, self.position).motion
        fused = self.smml(cached["tokens"], motion)
        return self.head(fused, detail, trajectory.gaussians(tracks, POOL, self.head.empty))


class StreamedSMML(nn.Module):
    """SMML on tokens that lack their embedding, and on the motion of pooled tokens."""

    spatial_map: Tensor

    def __init__(self, smml: SMML, embedding: Tensor, unpool: nn.ConvTranspose2d, grid: tuple[int, int]) -> None:
        """embedding: T x L x C, what training adds to the tokens; unpool: its way from stride 32 to 16."""
        super().__init__()
        self.grid, self.residual, self.fusion = grid, smml.residual, smml.fusion
        frames, _, channels = embedding.shape
        with torch.no_grad():
            weight = smml.aggregate_spatial.conv.weight.flatten(1)
            spatial_map = F.linear(embedding.transpose(0, 1).flatten(1), weight, smml.aggregate_spatial.conv.bias)
        self.aggregate_spatial = linear(weight)
        self.register_buffer("spatial_map", spatial_map)
        self.aggregate_motion = _unpooling(smml.aggregate_motion, unpool, frames, channels)
        self.refine_spatial, self.refine_motion = _refinement(smml.refine_spatial), _refinement(smml.refine_motion)
        self.to_spatial = None if smml.to_spatial is None else StreamedSMCA(smml.to_spatial, grid)
        self.to_motion = None if smml.to_motion is None else StreamedSMCA(smml.to_motion, grid)

    def forward(self, tokens: Tensor, motion: Tensor) -> Tensor:
        """tokens B x T x L x C, motion B x T x L/4 x C -> F, B x C x H x W."""
        spatial = self.aggregate_spatial(tokens.transpose(1, 2).flatten(2)) + self.spatial_map
        motion = self._unpooled(self.aggregate_motion(motion.transpose(1, 2).flatten(2)))
        s, m = self.refine_spatial(spatial), self.refine_motion(motion)
        if self.to_spatial is not None and self.to_motion is not None:
            s, m = self.to_spatial(s, m), self.to_motion(m, s)
        else:
            s, m = as_map(s, self.grid), as_map(m, self.grid)
        fused = self.fusion(s, m) if self.fusion is not None else s + m
        return fused + as_map(spatial + motion, self.grid) if self.residual else fused

    def _unpooled(self, motion: Tensor) -> Tensor:
        """B x L/4 x 4C, a token's four parts by row and column -> B x L x C."""
        rows, columns = self.grid[0] // POOL, self.grid[1] // POOL
        parts = motion.reshape(-1, rows, columns, POOL, POOL, motion.shape[2] // POOL**2)
        return parts.transpose(2, 3).flatten(1, 4)


class StreamedRefinement(nn.Module):
    """SelfFeatureRefinement (equations 6-8), channels last."""

    def __init__(self, refinement: SelfFeatureRefinement) -> None:
        super().__init__()
        self.linear, self.residual = _as_linear(refinement.conv), refinement.residual

    def forward(self, x: Tensor) -> Tensor:
        """x B x L x C -> same."""
        context = x.transpose(1, 2) @ torch.softmax(x, dim=2)
        relation = torch.softmax(x @ context, dim=2)
        enhanced = self.linear(relation @ context.transpose(1, 2))
        return x + enhanced if self.residual else enhanced


class StreamedSMCA(nn.Module):
    """SMCA (equation 9), from tokens channels last to a map.

    The key's bias is left out, for it adds the same to all that a softmax compares; the value's is added behind it.
    """

    value_bias: Tensor

    def __init__(self, smca: SMCA, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid, self.phi = grid, smca.phi
        self.query = _as_linear(smca.query)
        self.key, self.value = (linear(conv.weight.flatten(1)) for conv in (smca.key, smca.value))
        self.register_buffer("value_bias", smca.value.bias.detach())  # type: ignore[union-attr]

    def forward(self, source: Tensor, guidance: Tensor) -> Tensor:
        """source, guidance B x L x C -> B x C x H x W."""
        mixed = attend(self.query(source), self.key(guidance), self.value(guidance))
        return self.phi(as_map(source + self.value_bias + mixed, self.grid))


class StreamedHead(nn.Module):
    """ResidualHead in two parts: what a crop's own heatmaps and features say, and the rest."""

    halve_rows: Tensor
    halve_columns: Tensor

    def __init__(self, head: ResidualHead, detail: int, heatmap_size: tuple[int, int]) -> None:
        """detail: channels of the keyframe's features; heatmap_size: (rows, columns)."""
        super().__init__()
        width, joints = head.up.out_channels, head.final.out_channels
        self.empty = -(width + joints) % BLOCK  # maps that the Gaussians are filled up with
        at = torch.arange(width + 3 * joints + detail)
        gaussians = (at >= width + 2 * joints) & (at < width + 3 * joints)
        live, own = (at < width) | gaussians, (at >= width) & ~gaussians
        depthwise, pointwise = head.mix.depthwise.weight.detach(), head.mix.pointwise.weight.detach()
        logits = (at >= width + joints) & (at < width + 2 * joints)  # of which training reads an eighth
        pointwise = torch.where(logits.view(-1, 1, 1), pointwise / 8, pointwise)
        self.live = _separable(depthwise[live], pointwise[:, live], None)
        self.own = _separable(depthwise[own], pointwise[:, own], head.mix.pointwise.bias)
        self.up, self.norm, self.final = head.up, head.norm, head.final
        self.register_buffer("halve_rows", _halving(heatmap_size[0]))
        self.register_buffer("halve_columns", _halving(heatmap_size[1]).T.contiguous())

    def cached(self, stride4: Tensor, heatmaps: Tensor, logits: Tensor) -> Tensor:
        """Of crops: features N x d x h x w as the head reads them, heatmaps and logits N x K x h x w -> detail."""
        maps = (self.halve_rows @ x @ self.halve_columns for x in (heatmaps, logits))
        known = torch.cat([*maps, F.avg_pool2d(stride4, POOL)], dim=1)
        return self.own(F.pad(known, (0, 0, 0, 0, 0, -known.shape[1] % BLOCK)))

    def forward(self, fused: Tensor, detail: Tensor, gaussians: Tensor) -> Tensor:
        """fused B x C x H x W; what `cached` gives, and Gaussians with `empty` more, B x ... x 2H x 2W -> logits.

        These are B x K x 4H x 4W.
        """
        x = F.relu(self.norm(self.up(fused)))
        hidden = F.relu(self.live(torch.cat([x, gaussians], dim=1)) + detail)
        return F.interpolate(self.final(hidden), scale_factor=2.0, mode="bilinear", align_corners=False)


def as_map(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """B x L x C -> B x C x H x W."""
    return x.transpose(1, 2).unflatten(2, grid)


def _halving(size: int) -> Tensor:
    """size / 2 x size: averages neighbours. A product with it takes a quarter of a pooling's time on few channels."""
    return torch.eye(size // POOL).repeat_interleave(POOL, dim=1) / POOL


def _separable(depthwise: Tensor, pointwise: Tensor, bias: Tensor | None) -> nn.Sequential:
    """Depthwise and 1x1 convolution of these weights, on channels filled up to a multiple of BLOCK."""
    more = -len(depthwise) % BLOCK
    depthwise, pointwise = F.pad(depthwise, (0, 0) * 3 + (0, more)), F.pad(pointwise, (0, 0, 0, 0, 0, more))
    channels = len(depthwise)
    first = nn.Conv2d(channels, channels, depthwise.shape[2], padding=1, groups=channels, bias=False)
    second = nn.Conv2d(channels, len(pointwise), 1, bias=bias is not None)
    first.weight, second.weight = nn.Parameter(depthwise), nn.Parameter(pointwise)
    if bias is not None:
        second.bias = nn.Parameter(bias.detach())
    return nn.Sequential(first, second)


def _unpooling(aggregation: FrameAggregation, unpool: nn.ConvTranspose2d, frames: int, channels: int) -> nn.Linear:
    """Unpooling of every frame and the aggregation of all as one layer: T * C -> 4 C, the token's parts first."""
    with torch.no_grad():
        weight = aggregation.conv.weight.reshape(channels, frames, channels)
        both = torch.einsum("otm,cmij->ijotc", weight, unpool.weight)
        bias = aggregation.conv.bias + torch.einsum("otm,m->o", weight, unpool.bias)  # type: ignore[operator]
        return linear(both.reshape(POOL**2 * channels, frames * channels), bias.repeat(POOL**2))


def _refinement(part: nn.Module) -> nn.Module:
    return StreamedRefinement(part) if isinstance(part, SelfFeatureRefinement) else part


def _as_linear(conv: nn.Conv2d) -> nn.Linear:
    """A 1x1 convolution for tokens that lie channels last."""
    return linear(conv.weight.flatten(1), conv.bias)
