"""The two graphs of a bundle as torch modules, and their ONNX files."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from training.checkpoint import Network
from training.models.decode import Decode

OPSET = 20  # LayerNormalization and Gelu as single operators


class EncoderGraph(nn.Module):
    """crops N x H x W x 3 uint8 BGR -> tokens N x L x C."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> Tensor:
        """Normalise, backbone, projection."""
        return self.network.encode(crops)


class TemporalGraph(nn.Module):
    """tokens N x T x L x C -> keypoints N x K x 3, spread N x K x 3 (crop pixels), heatmaps N x K x h x w."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.decode = Decode(network.config.heatmap_size, network.config.backbone.image_size)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Window, heatmaps, decoding."""
        heatmaps = self.network.estimate(tokens)
        keypoints, spread = self.decode(heatmaps)
        return keypoints, spread, heatmaps


def example_inputs(network: Network, batch: int = 2) -> tuple[Tensor, Tensor]:
    """Random crops (uint8) and window tokens of the right shapes."""
    height, width = network.config.backbone.image_size
    crops = torch.randint(0, 256, (batch, height, width, 3), dtype=torch.uint8)
    with torch.no_grad():
        tokens = network.encode(crops[:1])
    window = torch.randn(batch, 2 * network.config.delta + 1, *tokens.shape[1:])
    return crops, window


def write_graphs(network: Network, folder: Path) -> tuple[EncoderGraph, TemporalGraph]:
    """Write encoder.onnx and temporal.onnx (dynamic batch, weights inside); returns the modules they came from."""
    network = network.eval()
    encoder, temporal = EncoderGraph(network).eval(), TemporalGraph(network).eval()
    crops, window = example_inputs(network)
    _write(encoder, crops, "crops", ["tokens"], folder / "encoder.onnx")
    _write(temporal, window, "tokens", ["keypoints", "spread", "heatmaps"], folder / "temporal.onnx")
    return encoder, temporal


def _write(module: nn.Module, example: Tensor, name: str, outputs: list[str], path: Path) -> None:
    program = torch.onnx.export(
        module, (example,), dynamo=True, opset_version=OPSET, input_names=[name], output_names=outputs,
        dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False,
    )  # fmt: skip
    assert program is not None
    program.save(str(path), external_data=False)
