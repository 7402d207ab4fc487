# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Weights of an FP32 graph stored in half precision: half the file, cast back to FP32 as the runtime loads it.

Nothing is computed in half precision. A weight that was published in half precision (MoveNet's) loses nothing; others
are rounded, and what that moves is judged like everything else, by parity with torch.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

from sdtc_ros.engine.graphs import STORED, replace_graph, restore_weights

LEAST = 1024  # numbers: smaller ones save nothing, and the constants of decoding, among them, must be exact


def store_half(path: Path, *, rounded: bool) -> None:
    """Rewrite a graph whose weights lie in it: FP32 weights become FP16 ones and a Cast each.

    rounded: also those that lose by it; else only what FP16 says exactly.
    """
    model = onnx.load(str(path))
    casts, weights = [], []
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or values.size < LEAST or not _fits(values, rounded):
            weights.append(weight)
            continue
        stored = weight.name + STORED
        weights.append(numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [weight.name], name=f"cast_{stored}", to=TensorProto.FLOAT))
    replace_graph(model, weights, [*casts, *model.graph.node])
    onnx.save_model(model, str(path))


def load_full(path: Path) -> ModelProto:
    """A graph with its weights in FP32, however they are stored."""
    model = onnx.load(str(path))
    restore_weights(model)
    return model


def _fits(values: np.ndarray, rounded: bool) -> bool:
    """Whether half precision can say all of them, rounded or exactly."""
    if np.abs(values).max(initial=0) > np.finfo(np.float16).max:
        return False
    return rounded or bool((values.astype(np.float16) == values).all())
