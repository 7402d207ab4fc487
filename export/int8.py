# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""INT8 graphs for CPUs: matrix products with constant weights in 8-bit integers, everything else as it is.

Weights are quantised once, a scale a column; activations as they come, so that no images are needed to calibrate on
and none can be the wrong ones. Convolutions stay FP32: ONNX Runtime's are faster in INT8 only where their activations
have fixed scales, which moved the shipped model's keypoints four times as far (docs/precision.md).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx

from export.stored import load_full
from export.zones import decoding

PRODUCTS = ["MatMul", "Gemm"]
INTEGER = "MatMulInteger"


def write_int8(source: Path, target: Path, *, beside: bool) -> int:
    """Quantise the graph `source` into `target`; returns how many matrix products became integer ones.

    beside: put the weights into a file beside it. Weights have 7 bits, because the 8-bit products of x86 processors
    before VNNI overflow; it costs nothing measurable elsewhere.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = load_full(source)
    nodes = model.graph.node
    for number, node in enumerate(nodes):
        node.name = node.name or f"node_{number}"
    with _quiet():
        quantize_dynamic(
            model, target, op_types_to_quantize=PRODUCTS, per_channel=True, reduce_range=True,
            weight_type=QuantType.QInt8, nodes_to_exclude=[nodes[number].name for number in decoding(model.graph)],
            use_external_data_format=beside, extra_options={"MatMulConstBOnly": True},
        )  # fmt: skip
    made = onnx.load(str(target), load_external_data=False)
    return sum(node.op_type == INTEGER for node in made.graph.node)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantiser's advice to preprocess, which the exporter has done."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
