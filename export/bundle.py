# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Checkpoint -> model bundle (design: encoder and temporal graph in ONNX beside model.json), gated by parity."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch

from export.folder import check_folder, new_bundle
from export.graphs import takes_moves, token_shapes, write_graphs
from export.parity import Parity, measure, sample_windows
from export.ranges import lies_beside
from export.stored import store_half
from sdtc_ros.errors import UsageError
from sdtc_ros.models.bundle import Bundle, load_bundle, write_manifest
from training.checkpoint import KEY, MoveNetChoice, Network, describe, open_network
from training.models.movenet_pose import MoveNetPose
from training.models.sdtc import MEAN, STD
from training.models.sdtc_movenet import SDTCMoveNet

HALF = (0.5, 0.5, 0.5)  # MoveNet's normalisation, pixels -1 .. 1
TRAJECTORIES_STEEPNESS = 100.0  # a Gaussian of up to 200 logits and 1.5 cells: a thousandth of a cell is a tenth of one


def export_bundle(
    checkpoint: Path,
    out: Path,
    name: str,
    accuracy: dict[str, Any] | None = None,
    windows: int = 16,
    movenet: MoveNetChoice | None = None,
    half_weights: bool = False,
) -> tuple[Bundle, Parity]:
    """Export a checkpoint of training/train.py, or published weights, into the folder `out`.

    accuracy: what else was measured, kept in model.json beside the checkpoint's own validation. windows: how many
    torch and ONNX Runtime are compared on (export.parity). movenet: joints and crops of a bundle of MoveNet's weights;
    half_weights: store all of the FP32 graphs' weights in half precision, not only those that lose nothing by it. A
    bundle in `out` is replaced, but only if both sides agree; other files in it are kept (export.folder). Raises
    BundleError for a checkpoint that cannot be used or graphs that differ, UsageError for an `out` that cannot be
    written or holds something else, and for half_weights of a graph whose weights lie beside it.
    """
    check_folder(out)  # before the minutes that the rest may take
    network, content = open_network(checkpoint, movenet)
    validated = {"validation": _figures(content[KEY].get("validation"))}
    validated |= {key: content[KEY][key] for key in ("boxes",) if key in content[KEY]}
    movenet_decodes = isinstance(network, MoveNetPose)
    mean, std = (HALF, HALF) if isinstance(network, MoveNetPose | SDTCMoveNet) else (MEAN, STD)
    with new_bundle(out) as work:
        graphs = write_graphs(network, work)
        for graph in graphs.programs:
            if not lies_beside(work / graph):
                store_half(work / graph, rounded=half_weights)
            elif half_weights:
                raise UsageError(f"{graph} is too large for --half-weights: its weights lie in a file beside it")
        sample = sample_windows(network, windows)
        parity = measure(graphs.encoder, graphs.temporal, work, sample, moves=takes_moves(network))
        steepness = TRAJECTORIES_STEEPNESS if isinstance(network, SDTCMoveNet) else 1.0
        parity.check(steepness)
        write_manifest(
            work, name=name, skeleton=network.config.skeleton, input_size=network.config.backbone.image_size[::-1],
            delta=network.config.delta, tokens=token_shapes(network), moves=takes_moves(network), mean=mean, std=std,
            training=_provenance(network, content), parity=parity.to_json(steepness),
            accuracy=(accuracy or {}) | validated, decode="movenet" if movenet_decodes else "udp-dark",
        )  # fmt: skip
    return load_bundle(out), parity


def _provenance(network: Network, content: dict[str, Any]) -> dict[str, Any]:
    """What was trained, how long, and by which torch; plain JSON data."""
    described = describe(network)
    steps = {"epoch": content.get("epoch"), "steps": content.get("global_step")}
    known = {key: value for key, value in steps.items() if isinstance(value, int)}
    return {
        "kind": described["kind"],
        "config": json.loads(json.dumps(described["config"])),
        **known,
        **{key: content[KEY][key] for key in ("published",) if key in content[KEY]},
        "torch": str(torch.__version__),
    }


def _figures(validation: Any) -> dict[str, float | None]:
    """A checkpoint's last validation, None for a figure that is no number (JSON has no NaN)."""
    if not isinstance(validation, dict):
        return {}
    numbers = {str(name): value for name, value in validation.items() if isinstance(value, int | float)}
    return {name: value if math.isfinite(value) else None for name, value in numbers.items()}
