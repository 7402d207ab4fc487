# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Public HRNet weights: the authors' pose checkpoints and mmpose's, whose names differ by a prefix alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from sdtc_ros.errors import BundleError
from training.models.hrnet import HRNetConfig
from training.weights.files import is_safetensors, read_weights

FIRST = "stage2.0.branches.0.0.conv1.weight"  # its shape tells the width
FINAL = ("final_layer.weight", "head.final_layer.weight", "keypoint_head.final_layer.weight")


@dataclass(frozen=True)
class HRNetWeights:
    """What a file holds: `backbone` fits HRNet of that width, modules, blocks and stem; float32 on the CPU.

    joints: of the file's own 1x1 head, None where it has none. What the file does not say is the image size.
    """

    path: Path
    backbone: dict[str, Tensor]
    width: int
    modules: tuple[int, int, int]
    blocks: int
    stem: int
    joints: int | None

    def config(self, image_size: tuple[int, int] = (384, 288)) -> HRNetConfig:
        """The config of an HRNet that these weights fit."""
        return HRNetConfig(self.width, self.modules, self.blocks, image_size, self.stem)


def read_hrnet(path: Path | str) -> HRNetWeights:
    """Read a public HRNet checkpoint; raises BundleError for a file that is none."""
    weights = _hrnet(Path(path), read_weights(path)[0])
    if weights is None:
        raise BundleError(f"{path} contains weights, but not of HRNet (no {FIRST})")
    return weights


def find_hrnet(path: Path | str) -> HRNetWeights | None:
    """As `read_hrnet`, but None where there is no HRNet, unless it is a folder or a safetensors file."""
    if is_safetensors(path):
        return read_hrnet(path)
    try:
        return _hrnet(Path(path), read_weights(path)[0])
    except BundleError:
        return None


def _hrnet(path: Path, tensors: dict[str, Tensor]) -> HRNetWeights | None:
    prefix = next((prefix for prefix in ("", "backbone.") if prefix + FIRST in tensors), None)
    if prefix is None or "conv1.weight" not in {name.removeprefix(prefix) for name in tensors}:
        return None
    backbone = {
        name.removeprefix(prefix): value.float() if value.is_floating_point() else value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
    joints = next((tensors[name].shape[0] for name in FINAL if name in tensors), None)
    return HRNetWeights(
        path=path, backbone=backbone, width=backbone[FIRST].shape[0],
        modules=(_count(backbone, "stage2"), _count(backbone, "stage3"), _count(backbone, "stage4")),
        blocks=_count(backbone, r"stage2\.0\.branches\.0"), stem=backbone["conv1.weight"].shape[0], joints=joints,
    )  # fmt: skip


def _count(backbone: dict[str, Tensor], at: str) -> int:
    """How many parts `at` has, by the largest number that follows it."""
    found = (re.match(at + r"\.(\d+)\.", name) for name in backbone)
    return 1 + max((int(match[1]) for match in found if match), default=-1)
