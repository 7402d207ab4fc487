# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""From published weights to networks here: a backbone's weights, or ViTPose whole as the single-frame network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdtc_ros.errors import BundleError
from sdtc_ros.skeleton import skeleton_by_name
from training.models.baselines import SingleFrame, SingleFrameConfig
from training.models.hrnet import HRNet
from training.models.movenet import MoveNet
from training.models.vit import ViT
from training.weights.hrnet import HRNetWeights, find_hrnet
from training.weights.movenet import MoveNetWeights, find_movenet
from training.weights.vitpose import ViTPoseWeights, find_vitpose

SKELETON = "coco"  # of every published ViTPose that gives 17 joints


def published_backbone(path: Path | str, backbone: nn.Module) -> dict[str, Tensor] | None:
    """The state_dict for a ViT, HRNet or MoveNet from a published file, positions resized to the ViT's grid.

    None for a file that holds no weights of that family; BundleError where it does, but of another size.
    """
    if isinstance(backbone, ViT):
        vitpose = find_vitpose(path)
        return None if vitpose is None else _vit_state(vitpose, backbone)
    if isinstance(backbone, HRNet):
        hrnet = find_hrnet(path)
        return None if hrnet is None else _hrnet_state(hrnet, backbone)
    if isinstance(backbone, MoveNet):
        movenet = find_movenet(path)
        return None if movenet is None else _movenet_state(movenet, backbone)
    return None


def vitpose_network(weights: ViTPoseWeights) -> SingleFrame:
    """ViTPose whole, in eval mode, on COCO's 17 joints; BundleError where the file has no head for them."""
    joints = len(skeleton_by_name(SKELETON))
    if weights.head_kind is None:
        raise BundleError(f"{weights.path} has a backbone but neither ViTPose's classic nor its simple head")
    if weights.joints != joints:
        raise BundleError(f"{weights.path} gives {weights.joints} joints; only COCO's {joints} can be exported")
    width = weights.head["final.weight"].shape[1]
    config = SingleFrameConfig(weights.config, SKELETON, weights.head_kind, width)
    network = SingleFrame(config)
    network.backbone.load_state_dict(weights.backbone)
    try:
        network.head.load_state_dict(_with_counters(weights.head, network.head))
    except RuntimeError as error:
        raise BundleError(f"the head in {weights.path} does not fit: {str(error).splitlines()[1].strip()}") from error
    return network.eval()


def resize_positions(positions: Tensor, grid: tuple[int, int], new_grid: tuple[int, int]) -> Tensor:
    """Position rows 1 x (rows * columns) x C of one grid -> of another, bicubic as ViTPose does it."""
    if grid == new_grid:
        return positions
    image = positions.unflatten(1, grid).permute(0, 3, 1, 2)
    resized = F.interpolate(image, size=new_grid, mode="bicubic", align_corners=False)
    return resized.permute(0, 2, 3, 1).flatten(1, 2)


def _vit_state(weights: ViTPoseWeights, backbone: ViT) -> dict[str, Tensor]:
    config = backbone.config
    wanted = {"stem": config.stem, "width": config.dim, "depth": config.depth, "patch": config.patch}
    wanted |= {"padding": config.padding, "heads": config.heads}
    found: dict[str, Any] = {"stem": "patch", "width": weights.dim, "depth": weights.depth, "patch": weights.patch}
    found |= {"padding": 2, "heads": weights.heads or config.heads}
    _refuse_other_sizes(weights.path, f"ViTPose ({weights.size})", found, wanted)
    grid = (weights.image_size[0] // weights.patch, weights.image_size[1] // weights.patch)
    return weights.backbone | {"pos_embed": resize_positions(weights.backbone["pos_embed"], grid, config.grid)}


def _hrnet_state(weights: HRNetWeights, backbone: HRNet) -> dict[str, Tensor]:
    config = backbone.config
    found = {"width": weights.width, "modules": weights.modules, "blocks": weights.blocks, "stem": weights.stem}
    _refuse_other_sizes(weights.path, "HRNet", found, {name: getattr(config, name) for name in found})
    wanted = backbone.state_dict().keys()  # an ImageNet HRNet has a classifier and more of stage 4's fusion
    return {name: value for name, value in _with_counters(weights.backbone, backbone).items() if name in wanted}


def _movenet_state(weights: MoveNetWeights, backbone: MoveNet) -> dict[str, Tensor]:
    found, wanted = ({"width": config.width, "joints": config.joints} for config in (weights.config, backbone.config))
    _refuse_other_sizes(weights.path, f"MoveNet ({weights.name})", found, wanted)
    return {name: weights.state[name] for name in backbone.state_dict()}  # a trunk may have let go of its heads


def _refuse_other_sizes(path: Path, what: str, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    differences = [f"{name} {found[name]} and not {wanted[name]}" for name in wanted if found[name] != wanted[name]]
    if differences:
        raise BundleError(f"{path} holds {what} of {', '.join(differences)} as the config's backbone has")


def _with_counters(state: dict[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """Batch normalisation's step counters, which files of early torch versions lack, are 0."""
    counters = {name: torch.tensor(0) for name in module.state_dict() if name.endswith("num_batches_tracked")}
    return counters | state
