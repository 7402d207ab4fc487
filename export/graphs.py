# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The two graphs of a bundle as torch modules, and their ONNX files."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sdtc_ros.engine.base import MOVES, no_moves
from sdtc_ros.models.bundle_files import ENCODER, TEMPORAL
from training.checkpoint import Network
from training.models.decode import Decode
from training.models.movenet_pose import MoveNetPose
from training.models.sdtc_movenet import SDTCMoveNet
from training.models.streamed import streamed
from training.models.tdmi import TDMI

OPSET = 20  # LayerNormalization and Gelu as single operators
INLINE_LIMIT = 1_500_000_000  # bytes of weights; protobuf ends at 2 GiB, and so does an .onnx file that holds its own


class EncoderGraph(nn.Module):
    """crops N x H x W x 3 uint8 BGR -> the encoder's tensors, each N x ..., in the order of their names."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = _form(network)

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        """Normalise, backbone, projection."""
        return tuple(_encode(self.network, crops).values())


class TemporalGraph(nn.Module):
    """Windows -> poses.

    The encoder's tensors, each N x T x ..., in the order of their names, then the moves N x T x 4 where the network
    takes them -> keypoints and covariance N x K x 3 (crop pixels), heatmaps N x K x h x w.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = _form(network)
        self.decode = Decode(network.config.heatmap_size, network.config.backbone.image_size)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Window, heatmaps, decoding."""
        if isinstance(self.network, MoveNetPose):
            return self.network.poses(*inputs)
        if isinstance(self.network, SDTCMoveNet):
            cached = dict(zip(self.network.token_names, inputs[:-1], strict=True))
            return self.network.poses(cached, self.decode, inputs[-1])
        if isinstance(self.network, TDMI):
            heatmaps = self.network.estimate(dict(zip(self.network.token_names, inputs, strict=True)))
        else:
            (single,) = inputs
            heatmaps = self.network.estimate(single)
        keypoints, covariance = self.decode(heatmaps)
        return keypoints, covariance, heatmaps


@dataclass(frozen=True)
class Graphs:
    """The modules of a bundle and the ONNX programs traced from them, by file name."""

    encoder: nn.Module
    temporal: nn.Module
    programs: dict[str, torch.onnx.ONNXProgram]


def write_graphs(network: Network, folder: Path) -> Graphs:
    """Trace both graphs and write encoder.onnx and temporal.onnx."""
    graphs = trace_graphs(network)
    save_graphs(graphs, folder)
    return graphs


def trace_graphs(network: Network) -> Graphs:
    """Trace both graphs with a dynamic batch; puts the network into eval mode."""
    network = network.eval()
    encoder, temporal = EncoderGraph(network).eval(), TemporalGraph(network).eval()
    crops, windows = example_inputs(network)
    with torch.no_grad():
        temporal(*windows.values())  # a network that cannot run on tokens says so in its own words
    batch = {0: torch.export.Dim("batch")}
    programs = {
        ENCODER: trace(encoder, {"crops": crops}, (batch,), [name for name in windows if name != MOVES]),
        TEMPORAL: trace(temporal, windows, ((batch,) * len(windows),), ["keypoints", "spread", "heatmaps"]),
    }
    return Graphs(encoder, temporal, programs)


def token_shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """Name -> per-crop shape of every tensor that the encoder gives, in order; the network must be in eval mode."""
    height, width = network.config.backbone.image_size
    with torch.no_grad():
        tokens = _encode(_form(network), torch.zeros(1, height, width, 3, dtype=torch.uint8))
    return {name: tuple(tensor.shape[1:]) for name, tensor in tokens.items()}


def takes_moves(network: Network) -> bool:
    """Whether its temporal graph has an input `moves`, so that the frames of a window need not share a crop."""
    return isinstance(network, SDTCMoveNet)


def example_inputs(network: Network, batch: int = 2) -> tuple[Tensor, dict[str, Tensor]]:
    """Random crops (uint8), and what the temporal graph takes by name, of the right shapes."""
    height, width = network.config.backbone.image_size
    random = torch.Generator().manual_seed(0)  # its own, so that the caller's random numbers stay what they were
    crops = torch.randint(0, 256, (batch, height, width, 3), dtype=torch.uint8, generator=random)
    frames = 2 * network.config.delta + 1
    shapes = token_shapes(network).items()
    windows = {name: torch.randn(batch, frames, *shape, generator=random) for name, shape in shapes}
    if takes_moves(network):
        windows[MOVES] = torch.from_numpy(no_moves(batch, frames))
    return crops, windows


def _form(network: Network) -> Network:
    """The network in the form in which it is exported."""
    return streamed(network) if isinstance(network, SDTCMoveNet) else network


def _encode(network: Network, crops: Tensor) -> dict[str, Tensor]:
    """What the encoder gives, by name."""
    tokens = network.encode(crops)
    return tokens if isinstance(tokens, dict) else {"tokens": tokens}


def trace(
    module: nn.Module, examples: dict[str, Tensor], dynamic: tuple[Any, ...], outputs: list[str]
) -> torch.onnx.ONNXProgram:
    """One module as an ONNX program; axis 0 of all inputs is the batch and the only dynamic one, as `dynamic` says."""
    with _quiet():
        program = torch.onnx.export(
            module, tuple(examples.values()), dynamo=True, opset_version=OPSET, input_names=list(examples),
            output_names=outputs, dynamic_shapes=dynamic, verbose=False,
        )  # fmt: skip
    assert program is not None
    for node in program.model.graph:
        node.metadata_props.clear()  # stack traces: they name this machine's folders, and can outweigh the weights
    return program


def save_graphs(graphs: Graphs, folder: Path) -> None:
    """Write encoder.onnx and temporal.onnx; weights above INLINE_LIMIT go to a file beside it, named .onnx.data."""
    for name, program in graphs.programs.items():
        weights = program.model.graph.initializers.values()
        size = sum(weight.const_value.nbytes for weight in weights if weight.const_value is not None)
        program.save(str(folder / name), external_data=size > INLINE_LIMIT)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's word on packages and classes that have no part in this."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.filterwarnings("ignore", "# The axis name: batch will not be used")  # the inputs share it
            yield
    finally:
        log.setLevel(level)
