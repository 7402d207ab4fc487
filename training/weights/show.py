# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a weight file holds, in a few lines for people."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from sdtc_ros.errors import BundleError
from sdtc_ros.skeleton import COCO
from training.checkpoint import KEY, load_network, read_checkpoint
from training.weights.hrnet import HRNetWeights, find_hrnet
from training.weights.movenet import MoveNetWeights, read_movenet
from training.weights.prefix import WrappedError
from training.weights.tfjs import is_graph_file, read_graph
from training.weights.vitpose import ViTPoseWeights, find_vitpose

FORMATS = {"official": "the authors' format", "huggingface": "Hugging Face's format", "mmpose": "mmpose 1.x's format"}


def describe_file(path: Path) -> str:
    """Lines about a ViTPose, HRNet or MoveNet file, or a checkpoint of ours; BundleError for anything else."""
    if is_graph_file(path):
        return _graph(path)
    try:
        content = read_checkpoint(path)
    except WrappedError:
        raise
    except BundleError as refusal:
        vitpose = find_vitpose(path)
        if vitpose is not None:
            return _vitpose(vitpose)
        hrnet = find_hrnet(path)
        if hrnet is not None:
            return _hrnet(hrnet)
        if path.exists():
            raise BundleError(f"{refusal}; nor does it hold published weights that are known") from refusal
        raise
    network = load_network(path)
    size = sum(parameter.numel() for parameter in network.parameters())
    return (
        f"{path}: a checkpoint of training/train.py\n"
        f"  network   {content[KEY]['kind']}, {network.config.skeleton}, delta {network.config.delta}, "
        f"{size / 1e6:.1f} M parameters\n"
        f"  trained   {content.get('global_step', 'an unknown number of')} steps"
    )


def _vitpose(weights: ViTPoseWeights) -> str:
    height, width = weights.image_size
    heads = "an unknown number of" if weights.heads is None else weights.heads
    lines = [
        f"{weights.path}: ViTPose in {FORMATS[weights.format]}",
        f"  backbone  {weights.size}: {weights.dim} wide, {weights.depth} layers, {heads} heads, "
        f"patches of {weights.patch}, {_millions(weights.backbone)}",
        f"  image     {width} x {height}, {width // weights.patch} x {height // weights.patch} tokens",
    ]
    if weights.experts:
        lines.append(f"  experts   {weights.experts}, of which expert 0 (COCO's) is used")
    if weights.head_kind is None:
        lines.append("  head      none of ViTPose's: a backbone for training, nothing to export alone")
    else:
        lines.append(f"  head      {weights.head_kind}, {weights.joints} joints, {_millions(weights.head)}")
    if weights.joints == len(COCO):
        lines.append(f"  export    python -m export {weights.path} --out BUNDLE")
    return "\n".join(lines)


def _hrnet(weights: HRNetWeights) -> str:
    joints = "no head" if weights.joints is None else f"{weights.joints} joints"
    return (
        f"{weights.path}: HRNet\n"
        f"  backbone  width {weights.width}, {weights.modules} modules in stages 2, 3 and 4, {weights.blocks} blocks, "
        f"{_millions(weights.backbone)}\n"
        f"  head      {joints}; only the backbone is used, by TDMI"
    )


def _graph(path: Path) -> str:
    """A TensorFlow.js model: MoveNet, NanoDet for `export detector`, or one that nothing here reads."""
    graph = read_graph(path)
    if "nanodet" in graph.made_by.lower():
        package = path.resolve().parents[1] if path.resolve().parent.name == "models" else path.parent
        return f"{path}: NanoDet\n  export    python -m export detector {package} --out FOLDER"
    return _movenet(read_movenet(path))


def _movenet(weights: MoveNetWeights) -> str:
    return (
        f"{weights.path}: MoveNet {weights.name.capitalize()}, made from {weights.source}\n"
        f"  backbone  MobileNetV2 x{weights.config.width:g} and a pyramid to stride 4, {_millions(weights.state)}\n"
        f"  image     squares of {weights.side}; fully convolutional, so any multiples of 32\n"
        f"  head      heatmaps, centre, regression and offsets, {weights.config.joints} joints\n"
        f"  export    python -m export {weights.path} --out BUNDLE"
    )


def _millions(state: dict[str, Tensor]) -> str:
    """Parameters of a state_dict: all but the running statistics."""
    size = sum(v.numel() for name, v in state.items() if not name.endswith(("running_mean", "running_var", "_tracked")))
    return f"{size / 1e6:.1f} M parameters"
