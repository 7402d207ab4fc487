# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Checkpoints: a network's kind and config travel with its weights, all as plain data, and load as weights only."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from sdtc_ros.errors import BundleError, UsageError
from training.models.baselines import SingleFrame, SingleFrameConfig
from training.models.movenet import STRIDE
from training.models.movenet_decode import JOINT_REACH
from training.models.movenet_pose import MoveNetPose, MoveNetPoseConfig
from training.models.sdtc import SDTC, SDTCConfig
from training.models.sdtc_movenet import SDTCMoveNet
from training.models.sdtc_movenet_config import SDTCMoveNetConfig
from training.models.tdmi import TDMI, TDMIConfig
from training.weights.movenet import read_movenet
from training.weights.networks import published_backbone, vitpose_network
from training.weights.prefix import WrappedError, refuse_wrapped
from training.weights.tfjs import is_graph_file
from training.weights.vitpose import find_vitpose

KEY = "sdtc_ros"  # our entry in a Lightning checkpoint
FORMAT = 1

Trainable = SDTC | SDTCMoveNet | TDMI | SingleFrame
Network = Trainable | MoveNetPose
Config = SDTCConfig | SDTCMoveNetConfig | TDMIConfig | SingleFrameConfig | MoveNetPoseConfig
NETWORKS: dict[str, tuple[type[Any], type[Any]]] = {
    "sdtc": (SDTC, SDTCConfig),
    "sdtc-movenet": (SDTCMoveNet, SDTCMoveNetConfig),
    "tdmi": (TDMI, TDMIConfig),
    "single-frame": (SingleFrame, SingleFrameConfig),
    "movenet": (MoveNetPose, MoveNetPoseConfig),
}

T = TypeVar("T")


def describe(network: Network) -> dict[str, Any]:
    """The plain-data entry that `load_network` rebuilds the network from."""
    kind = next(name for name, (cls, _) in NETWORKS.items() if type(network) is cls)
    return {"format": FORMAT, "kind": kind, "config": dataclasses.asdict(network.config)}


def config_from_dict(cls: type[T], values: dict[str, Any]) -> T:
    """Nested plain data -> nested dataclass, lists -> tuples where the field is one; TypeError for unknown keys."""
    hints = typing.get_type_hints(cls)
    given = {}
    for name, value in values.items():
        kind = hints.get(name)
        if isinstance(value, dict) and dataclasses.is_dataclass(kind):
            value = config_from_dict(typing.cast(type[Any], kind), value)
        elif isinstance(value, list) and typing.get_origin(kind) in (tuple, types.UnionType, typing.Union):
            value = tuple(value)
        given[name] = value
    return cls(**given)


def read_checkpoint(path: Path | str) -> dict[str, Any]:
    """A checkpoint file's content on the CPU, weights only; BundleError says why a file is none of ours."""
    path = Path(path)
    if not path.is_file():
        raise BundleError(f"no checkpoint at {path}: give the .ckpt file that training wrote")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything from EOFError to UnpicklingError here
        raise BundleError(f"{path} does not load as a checkpoint: {_why_not_loaded(error)}") from error
    named = content.get("state_dict", content) if isinstance(content, dict) else None
    refuse_wrapped(map(str, named) if isinstance(named, dict) else (), path)
    parts = [content.get(name) for name in (KEY, "state_dict")] if isinstance(content, dict) else []
    if not parts or any(part is None for part in parts):
        raise BundleError(f"{path} is a torch file but not a checkpoint of training/train.py (it has no '{KEY}' entry)")
    if not all(isinstance(part, dict) for part in parts):
        raise BundleError(f"{path} is not a checkpoint of training/train.py: its '{KEY}' or 'state_dict' is not a dict")
    if content[KEY].get("format") != FORMAT:
        raise BundleError(f"{path} has checkpoint format {content[KEY].get('format')}; this version reads {FORMAT}")
    return content


def _why_not_loaded(error: Exception) -> str:
    """torch's pages of advice (some of it unsafe) in a few words."""
    if isinstance(error, PermissionError):
        return "it may not be read"
    found = re.search(r"GLOBAL (\S+) was not an allowed", str(error))
    if found:
        return f"it holds a Python object ({found[1]}), which could run code, and not plain weights"
    return "it is empty, damaged or no file of torch's"


def load_network(path: Path | str) -> Network:
    """Rebuild the network of a checkpoint in eval mode; raises BundleError for a file that is none."""
    return _network_of(read_checkpoint(path), path)


def _network_of(content: dict[str, Any], path: Path | str) -> Network:
    """The network that a checkpoint's content describes; `path` names it in errors."""
    kind, values = (content[KEY].get(name) for name in ("kind", "config"))
    if not isinstance(kind, str) or kind not in NETWORKS:
        raise BundleError(f"{path} contains a network of unknown kind {kind!r}; supported: {', '.join(NETWORKS)}")
    if not isinstance(values, dict):
        raise BundleError(f"{path} has no config of its network ('config' is {values!r:.60})")
    network_class, config_class = NETWORKS[kind]
    try:
        if kind == "sdtc" and isinstance(values.get("smml"), dict):
            values = values | {"smml": _present_smml(values["smml"])}
        network = network_class(config_from_dict(config_class, values))
    except Exception as error:  # a wrong value may trip whatever part is built from it
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise BundleError(f"{path} has a config that does not build a {kind} network: {reason}") from error
    _fill(network, network_weights(content), f"the weights in {path} do not fit their own config")
    return network.eval()


def _present_smml(values: dict[str, Any]) -> dict[str, Any]:
    """SMMLConfig's fields from those of a time when equation 8's residual was a choice of its own, or the only one."""
    if "residual" in values and "refinement_residual" not in values:
        return values
    values = {"residual": False, "refinement_residual": True} | values
    whole, refinement = values.pop("residual"), values.pop("refinement_residual")
    if whole and not refinement:
        raise ValueError("smml.residual without refinement_residual is no longer built")
    return values | {"residual": True if whole else "refinement" if refinement else False}


def network_weights(content: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The network's part of a Lightning state_dict, without its `network.` prefix."""
    prefix = "network."
    return {k.removeprefix(prefix): v for k, v in content["state_dict"].items() if str(k).startswith(prefix)}


def shrink(path: Path | str, target: Path) -> None:
    """Write what `load_network` needs of a checkpoint, in half precision and without the optimiser, to `target`.

    Raises BundleError where `path` is no checkpoint of ours or `target` cannot be written.
    """
    content = read_checkpoint(path)
    _network_of(content, path)  # refuses what would not load
    weights = {
        name: value.half() if value.is_floating_point() else value for name, value in content["state_dict"].items()
    }
    try:
        torch.save({KEY: content[KEY], "state_dict": weights}, target)
    except (OSError, RuntimeError) as error:
        raise BundleError(f"{target} cannot be written: {str(error).splitlines()[0]}") from error


def load_weights(network: nn.Module, path: Path | str) -> None:
    """Start from all weights of another checkpoint of the same network; BundleError where it does not fit."""
    _fill(network, network_weights(read_checkpoint(path)), f"the weights in {path} do not fit this config")


def load_part(network: nn.Module, path: Path | str, part: str) -> None:
    """Take over one submodule, by its name, from another checkpoint; BundleError where it does not fit."""
    weights, prefix = network_weights(read_checkpoint(path)), f"{part}."
    ours = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    _fill(network.get_submodule(part), ours, f"the {part} in {path} does not fit this config")


def load_backbone(network: nn.Module, path: Path | str) -> None:
    """Take over the backbone of another checkpoint of ours (a single-frame network, say), or a published one.

    Published are ViTPose's, HRNet's and MoveNet's weights (training.weights), positions resized to the config's image.
    BundleError where the file is none of these or of another size.
    """
    backbone, prefix = typing.cast(nn.Module, network.backbone), "backbone."
    weights: dict[str, Any] | None
    try:
        ours = network_weights(read_checkpoint(path))
        weights = {k.removeprefix(prefix): v for k, v in ours.items() if k.startswith(prefix)}
    except BundleError as refusal:
        weights = published_backbone(path, backbone)
        if weights is None:
            raise _neither(refusal, path) from refusal
    _fill(backbone, weights, f"the backbone in {path} does not fit this config")


@dataclasses.dataclass(frozen=True)
class MoveNetChoice:
    """What MoveNet's published weights leave open. None: COCO's joints; the crops that measured best.

    input_size: (width, height) of a crop, pixels.
    """

    skeleton: str | None = None
    input_size: tuple[int, int] | None = None

    @property
    def made(self) -> bool:
        """Whether anything was chosen."""
        return self.skeleton is not None or self.input_size is not None


def open_network(path: Path | str, movenet: MoveNetChoice | None = None) -> tuple[Network, dict[str, Any]]:
    """The network of a checkpoint, or the single-frame one of published weights, in eval mode; and the content.

    Published are ViTPose's and MoveNet's; the content is then only our entry, which says what they are under
    "published". Raises BundleError where the file is none of these, UsageError for a choice that it does not leave.
    """
    if is_graph_file(path):
        return published_movenet(path, movenet or MoveNetChoice())
    if movenet is not None and movenet.made:
        raise UsageError(f"{path} has its own joints and crops: only MoveNet's files allow a choice")
    try:
        content = read_checkpoint(path)
    except BundleError as refusal:
        vitpose = find_vitpose(path)
        if vitpose is None:
            raise _neither(refusal, path) from refusal
        said = {"file": vitpose.path.name, "format": vitpose.format, "size": vitpose.size}
        return vitpose_network(vitpose), {KEY: {"published": said}}
    return _network_of(content, path), content


def published_movenet(path: Path | str, choice: MoveNetChoice) -> tuple[MoveNetPose, dict[str, Any]]:
    """MoveNet whole, from a TensorFlow.js file; and the content as `open_network` gives it."""
    weights = read_movenet(path)
    width, height = choice.input_size or weights.input_size
    if width % STRIDE or height % STRIDE or not width or not height:
        raise UsageError(f"MoveNet's crop sides must be multiples of {STRIDE}, got {width} x {height}")
    backbone = dataclasses.replace(weights.config, image_size=(height, width))
    network = MoveNetPose(MoveNetPoseConfig(backbone, choice.skeleton or "coco"))
    network.backbone.load_state_dict(weights.state)
    return network.eval(), {KEY: {"published": weights.provenance() | {"changed": _changes(network.config)}}}


def _changes(config: MoveNetPoseConfig) -> list[str]:
    """What a bundle of MoveNet's weights does otherwise than the published graph, in words for model.json."""
    height, width = config.backbone.image_size
    heads = ["head_bottom and head_top are a linear map of nose, eyes, ears, shoulders and hips"]
    return [
        f"takes batches of {width} x {height} pixels, uint8 BGR, where the original takes one square RGB image",
        f"weighs a joint's cells by 1 / (d + {JOINT_REACH:g}), d cells from the regressed place, not 1 / (d + 1.8)",
        "gives crop pixels counted from a pixel's centre, and a covariance from the heatmap",
        "the weights themselves are as published",
    ] + heads * (config.skeleton == "posetrack")


def _neither(refusal: BundleError, path: Path | str) -> BundleError:
    """The reason why a file is no checkpoint of ours, made one why it is no file of published weights either."""
    told = isinstance(refusal, WrappedError) or not Path(path).exists()
    more = "" if told else "; nor does it hold published weights that are known"
    return BundleError(f"{refusal}{more}")


def _fill(module: nn.Module, weights: dict[str, Any], complaint: str) -> None:
    """Load all weights or none; BundleError is the complaint and the first thing that does not fit."""
    wanted = {name: list(value.shape) for name, value in module.state_dict().items()}
    given = {name: list(v.shape) if isinstance(v, torch.Tensor) else "no tensor" for name, v in weights.items()}
    problems = [f"{name} is missing" for name in wanted if name not in given]
    problems += [f"{name} has no place in the network" for name in given if name not in wanted]
    problems += [
        f"{name} is {given[name]}, the network's is {shape}"
        for name, shape in wanted.items()
        if given.get(name, shape) != shape
    ]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise BundleError(f"{complaint}: {problems[0]}{more}")
    module.load_state_dict(weights)
