# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""HRNet (Sun et al., "Deep High-Resolution Representation Learning for Human Pose Estimation", arXiv:1902.09212).

TDMI's backbone, which reads the highest-resolution feature after each of the four stages. Parameter names are those of
the public pose checkpoints (conv1, layer1.0.conv1, stage2.0.branches.0.0.conv1, stage2.0.fuse_layers.0.1.0, ...), so
these load by name.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class HRNetConfig:
    """Sizes of a backbone; the defaults are HRNet-W48 as TDMI uses it. `image_size` is (height, width) in pixels.

    width: channels of the highest resolution; branch b, at 1 / 2^b of it, has width * 2^b.
    modules: exchange modules of stages 2, 3 and 4; blocks: residual blocks of a branch in a module, and of stage 1.
    stem: channels of the two stride-2 convolutions, and of stage 1's bottlenecks inside (outside four times as many).
    """

    width: int = 48
    modules: tuple[int, int, int] = (1, 4, 3)
    blocks: int = 4
    image_size: tuple[int, int] = (384, 288)
    stem: int = 64

    @property
    def feature_size(self) -> tuple[int, int]:
        """Rows and columns of the stages' highest-resolution features: a quarter of the image's."""
        return self.image_size[0] // 4, self.image_size[1] // 4


HRNET_SIZES = {
    "hrnet-w32": HRNetConfig(width=32, image_size=(256, 192)),
    "hrnet-w48": HRNetConfig(width=48),
}


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv_bn(channels, channels, 3)
        self.conv2, self.bn2 = _conv_bn(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """x B x C x H x W -> same shape."""
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + x)


class Bottleneck(nn.Module):
    """1x1 down, 3x3, 1x1 up to four times `inside`, beside an identity or a 1x1 where the width changes."""

    def __init__(self, channels: int, inside: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv_bn(channels, inside, 1)
        self.conv2, self.bn2 = _conv_bn(inside, inside, 3)
        self.conv3, self.bn3 = _conv_bn(inside, 4 * inside, 1)
        self.downsample = nn.Sequential(*_conv_bn(channels, 4 * inside, 1)) if channels != 4 * inside else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """x B x channels x H x W -> B x 4*inside x H x W."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class ExchangeModule(nn.Module):
    """Residual blocks on each branch, then every output branch sums all of them, resampled to its resolution."""

    def __init__(self, widths: list[int], blocks: int, outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*[BasicBlock(width) for _ in range(blocks)]) for width in widths)
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_resample(widths, source, target) for source in range(len(widths)))
            for target in range(outputs)
        )

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """One feature a branch, each at half the resolution of the one before -> the same for the output branches."""
        features = [branch(x) for branch, x in zip(self.branches, features, strict=True)]
        fused = []
        for row in self.fuse_layers:
            parts = [layer(x) for layer, x in zip(row, features, strict=True)]  # type: ignore[call-overload]
            fused.append(F.relu(sum(parts[1:], parts[0])))
        return fused


class HRNet(nn.Module):
    """Backbone: B x 3 x H x W normalised RGB -> the highest-resolution feature after each of the four stages."""

    def __init__(self, config: HRNetConfig) -> None:
        super().__init__()
        if config.image_size[0] % 32 or config.image_size[1] % 32:
            raise ValueError(f"HRNet's image size must be a multiple of 32, got {config.image_size}")
        self.config = config
        stem, widths = config.stem, [config.width << branch for branch in range(4)]
        self.conv1, self.bn1 = _conv_bn(3, stem, 3, stride=2)
        self.conv2, self.bn2 = _conv_bn(stem, stem, 3, stride=2)
        self.layer1 = nn.Sequential(*[Bottleneck(4 * stem if i else stem, stem) for i in range(config.blocks)])
        self.transition1 = _transition([4 * stem], widths[:2])
        self.stage2 = _stage(widths[:2], config.blocks, config.modules[0], outputs=2)
        self.transition2 = _transition(widths[:2], widths[:3])
        self.stage3 = _stage(widths[:3], config.blocks, config.modules[1], outputs=3)
        self.transition3 = _transition(widths[:3], widths)
        self.stage4 = _stage(widths, config.blocks, config.modules[2], outputs=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> list[Tensor]:
        """Normalised RGB images B x 3 x H x W -> four of B x width x H/4 x W/4.

        They come after stages 1 (with its transition to `width` channels), 2, 3 and 4.
        """
        x = F.relu(self.bn1(self.conv1(images)))
        x = self.layer1(F.relu(self.bn2(self.conv2(x))))
        features = [layer(x) for layer in self.transition1]
        highest = [features[0]]
        features = self.stage2(features)
        highest.append(features[0])
        features = self.stage3(_add_branch(self.transition2, features))
        highest.append(features[0])
        features = self.stage4(_add_branch(self.transition3, features))
        highest.append(features[0])
        return highest


def _add_branch(transition: nn.ModuleList, features: list[Tensor]) -> list[Tensor]:
    """The old branches as they are, and a new one from the lowest of them."""
    return [*features, transition[-1](features[-1])]


def _transition(before: list[int], after: list[int]) -> nn.ModuleList:
    """One layer a branch of the next stage: a 3x3 where an old branch's width changes, a stride-2 3x3 for the new."""
    layers: list[nn.Module] = []
    for old, new in zip(before, after, strict=False):
        layers.append(nn.Identity() if old == new else nn.Sequential(*_conv_bn(old, new, 3), nn.ReLU()))
    new_branch = nn.Sequential(*_conv_bn(before[-1], after[-1], 3, stride=2), nn.ReLU())
    return nn.ModuleList([*layers, nn.Sequential(new_branch)])  # one level more: the public names have it


def _stage(widths: list[int], blocks: int, modules: int, outputs: int) -> nn.Sequential:
    """`modules` exchange modules; the last one makes only the first `outputs` branches."""
    return nn.Sequential(
        *[ExchangeModule(widths, blocks, outputs if i == modules - 1 else len(widths)) for i in range(modules)]
    )


def _resample(widths: list[int], source: int, target: int) -> nn.Module:
    """From branch `source` to the width and resolution of branch `target`."""
    if source == target:
        return nn.Identity()
    if source > target:
        up = nn.Upsample(scale_factor=2 ** (source - target), mode="nearest")
        return nn.Sequential(*_conv_bn(widths[source], widths[target], 1), up)
    steps: list[nn.Module] = []
    for step in range(target - source):
        last = step == target - source - 1
        layers = _conv_bn(widths[source], widths[target] if last else widths[source], 3, stride=2)
        steps.append(nn.Sequential(*layers) if last else nn.Sequential(*layers, nn.ReLU()))
    return nn.Sequential(*steps)


def _conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    return conv, nn.BatchNorm2d(outputs)
