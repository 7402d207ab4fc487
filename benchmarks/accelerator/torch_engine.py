# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The network as torch runs it, eager or compiled, behind the engine's interface: what the other engines stand beside.

Weights and tokens have the row's type; normalisation and decoding stay in float32, as in the exported graphs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sdtc_ros.engine.base import FloatArray
from training.models.decode import Decode
from training.models.sdtc import SDTC, normalise

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class Encoder(nn.Module):
    """uint8 BGR crops N x H x W x 3 -> tokens N x L x C."""

    def __init__(self, network: SDTC, dtype: torch.dtype) -> None:
        super().__init__()
        self.backbone, self.projection, self.dtype = network.backbone, network.projection, dtype

    def forward(self, crops: Tensor) -> Tensor:
        """Normalise, backbone, projection."""
        return self.projection(self.backbone(normalise(crops).to(self.dtype)))


class Temporal(nn.Module):
    """Tokens of windows N x T x L x C -> keypoints and covariance, N x K x 3 each."""

    def __init__(self, network: SDTC) -> None:
        super().__init__()
        self.network = network
        self.decode = Decode(network.config.heatmap_size, network.config.backbone.image_size)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Window, heatmaps, decoding."""
        return self.decode(self.network.estimate(tokens).float())


class TorchEngine:
    """See sdtc_ros.engine.base.Engine; `network` is changed to the type and moved to the device.

    A compiled network sees batches of powers of two only, padded where needed: another size would be compiled again.
    """

    def __init__(self, network: SDTC, device: str, precision: str, *, compiled: bool) -> None:
        """precision: one of DTYPES."""
        self.providers, self.precision, self.identity = [f"torch {torch.__version__}"], precision, ""
        self._device, dtype = torch.device(device), DTYPES[precision]
        network = network.eval().to(self._device, dtype)
        encoder: Any = Encoder(network, dtype)
        temporal: Any = Temporal(network)
        temporal.decode.to(self._device)
        self._compiled = compiled
        if compiled:
            encoder, temporal = (torch.compile(module, dynamic=False) for module in (encoder, temporal))
        self._encoder, self._temporal = encoder, temporal

    def place(self, crops: npt.NDArray[np.uint8]) -> Tensor:
        """Crops in the device's memory."""
        return torch.from_numpy(crops).to(self._device)

    @torch.inference_mode()
    def encode(self, crops: npt.NDArray[np.uint8] | Tensor) -> list[Tensor]:
        """See Engine.encode; crops may lie on the device. Waits for the device."""
        batch = crops if isinstance(crops, Tensor) else self.place(crops)
        tokens = self._encoder(self._padded(batch))
        self._wait()
        return list(tokens[: len(crops)].unbind(0))

    @torch.inference_mode()
    def estimate(
        self, windows: Sequence[Sequence[Tensor]], moves: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """See Engine.estimate; its networks take no moves."""
        tokens = torch.stack([handle for window in windows for handle in window])
        batch = self._padded(tokens.unflatten(0, (len(windows), -1)))
        keypoints, covariance = (found[: len(windows)].cpu().numpy() for found in self._temporal(batch))
        return keypoints, covariance

    def _padded(self, batch: Tensor) -> Tensor:
        rows = len(batch)
        if not self._compiled or rows & (rows - 1) == 0:
            return batch
        bucket = 1 << rows.bit_length()
        return torch.cat([batch, batch[:1].expand(bucket - rows, *batch.shape[1:])])

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
