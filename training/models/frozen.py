# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A frozen part of a network in ONNX Runtime: on a CPU three times as fast as torch's depthwise convolutions."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn


class FrozenGraph:
    """Calls a copy of `module` (images B x H x W x 3 uint8 -> a tuple of tensors) without gradients.

    images: an example of any batch size. On a GPU the copy itself is called, in torch.
    """

    def __init__(self, module: nn.Module, images: Tensor) -> None:
        self.module = copy.deepcopy(module).cpu().eval().requires_grad_(False)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "frozen.onnx"
            torch.onnx.export(
                self.module, (images,), path, dynamo=True, input_names=["images"], verbose=False,
                dynamic_shapes=({0: torch.export.Dim("batch")},), external_data=False,
            )  # fmt: skip
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            graph = path.read_bytes()
        self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        """The module's outputs."""
        if images.is_cuda:
            return tuple(self.module.to(images.device)(images))
        outputs = self.session.run(None, {"images": np.ascontiguousarray(images.numpy())})
        return tuple(torch.from_numpy(output) for output in outputs)
