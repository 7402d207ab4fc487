# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""MoveNet's single-person network: MobileNetV2, a feature pyramid to stride 4, and four separable heads.

After the published graphs (TensorFlow Hub, google/movenet/singlepose/lightning and thunder, version 4; Apache-2.0):
MobileNetV2 (Sandler et al., arXiv:1801.04381) in the width 1.0 (Lightning) or 1.75 (Thunder), batch normalisation
folded into the convolutions, strided ones padded as TensorFlow's 'SAME'; the pyramid adds bilinearly doubled features
to 1x1 laterals; the heads are CenterNet's (Zhou et al., "Objects as Points", arXiv:1904.07850). Fully convolutional.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from training.models.adapters import PYRAMID, Adapter, Gate

STRIDE = 32  # an image's sides are multiples of it: only then is 'SAME' padding the same in every strided layer
HEAD_WIDTH = 96
FEATURES = 24  # channels at stride 4
EARLY = 6  # blocks at strides 2 to 8: two thirds of a training step's cost
TOKENS_FROM = 12  # the block whose projection is `stride16`
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
LATERALS = ((2, 24), (5, 32), (9, 64))  # (block, channels of its lateral), finest first


@dataclass(frozen=True)
class MoveNetConfig:
    """Sizes of a MoveNet. width: MobileNetV2's multiplier; joints: of the heatmaps.

    image_size: (height, width) of the images it is used on, pixels, multiples of 32; no weight depends on it.
    adapters: hidden channels, at the width 1.0, of adapters for corrupted images (training.models.adapters); 0: none.
    """

    width: float = 1.0
    joints: int = 17
    image_size: tuple[int, int] = (256, 192)
    adapters: int = 0

    def channels(self, base: int) -> int:
        """MobileNetV2's rule: `base` times the width, to the nearest multiple of 8, never more than 10 % below."""
        wanted = base * self.width
        rounded = max(8, int(wanted + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * wanted else rounded

    @property
    def token_channels(self) -> int:
        """Channels of `stride16`."""
        return self.channels(96)


MOVENET_SIZES = {"lightning": MoveNetConfig(width=1.0), "thunder": MoveNetConfig(width=1.75)}


class MoveNetFeatures(NamedTuple):
    """What the trunk and the pyramid give.

    stride16: B x channels(96) x H/16 x W/16, the projection of block 12 before its residual sum (linear);
    stride4: B x 24 x H/4 x W/4, the pyramid's last, which all heads read (after ReLU);
    corruption: B x 1 x 1 x 1, how far the adapters' gate is open, None without adapters.
    """

    stride16: Tensor
    stride4: Tensor
    corruption: Tensor | None = None


class MoveNetOutput(NamedTuple):
    """Features and heads; all maps have the size H/4 x W/4.

    heatmap_logits B x K, centre B x 1 (logits); regression B x 2K (row and column of every joint from the person's
    centre, in cells), offsets B x 2K (row and column of every joint from its cell, in cells).
    """

    stride16: Tensor
    stride4: Tensor
    heatmap_logits: Tensor
    centre: Tensor
    regression: Tensor
    offsets: Tensor


class StridedConv(nn.Conv2d):
    """A 3x3 convolution of stride 2 with TensorFlow's 'SAME' padding of even sides: a row below, a column right."""

    def __init__(self, inputs: int, outputs: int, groups: int = 1) -> None:
        super().__init__(inputs, outputs, 3, stride=2, groups=groups)

    def forward(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """x B x C x H x W with even sides -> B x outputs x H/2 x W/2; weight: in place of its own."""
        return self._conv_forward(F.pad(x, (0, 1, 0, 1)), self.weight if weight is None else weight, self.bias)


class Block(nn.Module):
    """MobileNetV2's inverted residual: 1x1 to `expansion` times the channels, depthwise 3x3, linear 1x1 down."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        inside = inputs * expansion
        self.expand = nn.Conv2d(inputs, inside, 1) if expansion > 1 else None
        self.depthwise = (
            StridedConv(inside, inside, inside)
            if stride == 2
            else nn.Conv2d(inside, inside, 3, padding=1, groups=inside)
        )
        self.project = nn.Conv2d(inside, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def projection(self, x: Tensor, more: Tensor | None = None) -> Tensor:
        """The branch without the residual sum; more: of its size, added."""
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return y if more is None else y + more

    def forward(self, x: Tensor, more: Tensor | None = None) -> Tensor:
        """x B x inputs x H x W -> B x outputs x H/stride x W/stride; more: as in `projection`."""
        y = self.projection(x, more)
        return x + y if self.residual else y


class SeparableConv(nn.Module):
    """Depthwise 3x3 without bias, 1x1, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """x B x inputs x H x W -> B x outputs x H x W."""
        return F.relu(self.pointwise(self.depthwise(x)))


class Head(nn.Sequential):
    """From the pyramid's last features: a separable convolution and a 1x1."""

    def __init__(self, outputs: int) -> None:
        super().__init__(SeparableConv(FEATURES, HEAD_WIDTH), nn.Conv2d(HEAD_WIDTH, outputs, 1))

    def at(self, stride4: Tensor, cells: Tensor) -> Tensor:
        """Features B x FEATURES x h x w, cells' numbers B x N -> what the head says there alone, B x outputs x N."""
        separable = self[0]
        assert isinstance(separable, SeparableConv)
        near = separable.depthwise(stride4).flatten(2)
        picked = near.gather(2, cells.unsqueeze(1).expand(-1, near.shape[1], -1)).unsqueeze(3)
        return self[1](F.relu(separable.pointwise(picked))).squeeze(3)


class Adapters(nn.Module):
    """The gate, and an adapter beside each block from EARLY on and each layer of the pyramid."""

    def __init__(self, channels: list[int], config: MoveNetConfig) -> None:
        """channels: of the stem's and each block's output."""
        super().__init__()
        strides = [stride if i == 0 else 1 for _, _, repeats, stride in STAGES for i in range(repeats)]
        hidden = config.channels(config.adapters)
        self.gate = Gate(channels[LATERALS[0][0] + 1], channels[EARLY])
        self.blocks = nn.ModuleList(
            Adapter(channels[i], hidden, channels[i + 1], strides[i]) for i in range(EARLY, len(strides))
        )
        self.pyramid = nn.ModuleList(Adapter(width, PYRAMID, width) for _, width in LATERALS)


class MoveNet(nn.Module):
    """The whole network. Its images are RGB; the normalisation to -1 .. 1 is its own."""

    def __init__(self, config: MoveNetConfig) -> None:
        super().__init__()
        self.config = config
        channels = [config.channels(32)]
        blocks = []
        for expansion, base, repeats, stride in STAGES:
            for i in range(repeats):
                blocks.append(Block(channels[-1], config.channels(base), expansion, stride if i == 0 else 1))
                channels.append(config.channels(base))
        self.stem = StridedConv(3, channels[0])
        self.blocks = nn.ModuleList(blocks)
        self.last = nn.Conv2d(channels[-1], 1280, 1)
        self.top = nn.Conv2d(1280, LATERALS[-1][1], 1)
        self.laterals = nn.ModuleList(nn.Conv2d(channels[block + 1], width, 1) for block, width in LATERALS)
        narrower = [FEATURES, *(width for _, width in LATERALS[:-1])]
        self.smooth = nn.ModuleList(
            SeparableConv(width, out) for (_, width), out in zip(LATERALS, narrower, strict=True)
        )
        self.adapters = Adapters(channels, config) if config.adapters else None
        self.heatmap_head, self.centre_head = Head(config.joints), Head(1)
        self.regression_head, self.offset_head = Head(2 * config.joints), Head(2 * config.joints)

    def features(self, images: Tensor, bgr: bool = False) -> MoveNetFeatures:
        """RGB images B x H x W x 3, uint8 (or float of the same range) -> the features that the heads and SDTC read.

        bgr: the images are BGR. Raises ValueError for sides that are no multiples of 32.
        """
        if images.shape[1] % STRIDE or images.shape[2] % STRIDE:
            height, width = images.shape[1:3]
            raise ValueError(f"MoveNet's image sides must be multiples of {STRIDE}, got {width} x {height}")
        return self.late(*self.early(images, bgr))

    def early(self, images: Tensor, bgr: bool = False) -> tuple[Tensor, Tensor]:
        """Images as in `features` -> what the first EARLY blocks hand on: at stride 4 to a lateral, at stride 8."""
        weight = self.stem.weight.flip(1) if bgr else self.stem.weight  # turning the pixels round takes much longer
        x = F.relu6(self.stem(images.float().permute(0, 3, 1, 2) / 127.5 - 1.0, weight))
        lateral = x
        for i, block in enumerate(self.blocks[:EARLY]):
            x = block(x)
            if i == LATERALS[0][0]:
                lateral = x
        return lateral, x

    def late(self, lateral: Tensor, stride8: Tensor) -> MoveNetFeatures:
        """What `early` gives -> the features."""
        adapters, gate = self.adapters, None
        if adapters is not None:
            gate = adapters.gate(lateral, stride8)
        sides, x, stride16 = {LATERALS[0][0]: lateral, EARLY - 1: stride8}, stride8, stride8
        for i, block in enumerate(self.blocks[EARLY:], start=EARLY):
            more = None if adapters is None else adapters.blocks[i - EARLY](x, gate)
            if i == TOKENS_FROM:
                stride16 = block.projection(x, more)  # type: ignore[operator]
                x = x + stride16
            else:
                x = block(x, more)
            sides[i] = x
        y = self.top(F.relu6(self.last(x)))
        for i in reversed(range(len(LATERALS))):
            y = F.interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=False)
            y = y + self.laterals[i](sides[LATERALS[i][0]])
            y = self.smooth[i](y if adapters is None else y + adapters.pyramid[i](y, gate))
        return MoveNetFeatures(stride16, y, gate)

    def heads(self, stride4: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features at stride 4 -> heatmap_logits, centre, regression and offsets."""
        heads = (self.heatmap_head, self.centre_head, self.regression_head, self.offset_head)
        heatmaps, centre, regression, offsets = (head(stride4) for head in heads)
        return heatmaps, centre, regression, offsets

    def forward(self, images: Tensor) -> MoveNetOutput:
        """RGB images B x H x W x 3, as in `features`, -> features and heads."""
        features = self.features(images)
        return MoveNetOutput(features.stride16, features.stride4, *self.heads(features.stride4))
