# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Parity: the exported graphs in ONNX Runtime against the torch modules they came from, in FP32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sdtc_ros.crops import crop_images
from sdtc_ros.engine.accuracy_check import clips, sample_moves
from sdtc_ros.engine.base import MOVES
from sdtc_ros.errors import BundleError
from sdtc_ros.models.bundle_files import ENCODER, TEMPORAL
from training.checkpoint import Network

PIXELS = 0.05  # largest keypoint difference allowed, crop pixels
HEATMAP = 1e-4  # largest difference allowed of heatmaps and of scores, which are their maxima
COVARIANCE = 0.01  # largest covariance difference allowed, as a share of the joint's variance
UNDECIDED = 0.1  # largest share allowed of joints that cannot be compared

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Parity:
    """Largest absolute differences over the compared windows; `joints` of them all in all.

    covariance: over xx + yy of the same joint + 1 pixel squared. undecided: joints left out of keypoints_px and
    covariance, because the two highest cells of their heatmap differ by less than the two sides do.
    """

    windows: int
    joints: int
    tokens: float
    heatmaps: float
    keypoints_px: float
    scores: float
    covariance: float
    undecided: int

    def check(self, steepness: float = 1.0) -> None:
        """Raise BundleError where a difference is over its bound (or not a number), or too little was compared.

        steepness: how many times the usual differences of heatmaps and scores are allowed (see `bounds`).
        """
        allowed = bounds(steepness)
        over = [name for name, bound in allowed.items() if not getattr(self, name) <= bound]
        if over:
            found = ", ".join(f"{name} {getattr(self, name):.3g} (allowed {allowed[name]:g})" for name in over)
            raise BundleError(f"the exported graphs differ from torch: {found}; no bundle was written")
        if self.joints == 0 or self.undecided > UNDECIDED * self.joints:
            raise BundleError(
                f"{self.undecided} of {self.joints} joints have heatmaps without a clear maximum, too many to tell "
                f"whether the exported graphs are right (allowed {UNDECIDED:.0%}): train the network further; "
                "no bundle was written"
            )

    def to_json(self, steepness: float = 1.0) -> dict[str, Any]:
        """For model.json, with the bounds."""
        return asdict(self) | {"allowed": bounds(steepness) | {"undecided": UNDECIDED}}


def bounds(steepness: float = 1.0) -> dict[str, float]:
    """The largest differences allowed.

    steepness: of a network whose heatmaps rise by dozens of logits in a cell, so that the last bits of a place show in
    them; its keypoints are held to the same pixels as everybody's.
    """
    heatmap = HEATMAP * steepness
    return {"keypoints_px": PIXELS, "heatmaps": heatmap, "scores": heatmap, "covariance": COVARIANCE}


def sample_windows(network: Network, count: int) -> npt.NDArray[np.uint8]:
    """Windows of synthetic people that training never saw, cropped as on the robot: count x T x H x W x 3 uint8."""
    height, width = network.config.backbone.image_size
    crops = [
        np.stack([crop_images(frame, boxes, (width, height)) for frame in frames], axis=1)
        for frames, boxes in clips((width, height), network.config.delta, count)
    ]
    return np.concatenate(crops)


def measure(
    encoder: nn.Module, temporal: nn.Module, folder: Path, windows: npt.NDArray[np.uint8], *, moves: bool = False
) -> Parity:
    """Run both sides on the same windows (two or more), each through its own tokens, and compare.

    moves: the temporal graph takes moves as well; every other window then gets some that are not zero.
    """
    count, frames = windows.shape[:2]
    if count < 2:
        raise ValueError(f"parity needs at least 2 windows (batch sizes 1 and N), got {count}")
    crops = windows.reshape(count * frames, *windows.shape[2:])
    with torch.no_grad(), _exact_products():
        tokens = encoder(torch.from_numpy(crops))
        more = {MOVES: sample_moves(count, frames, (windows.shape[3], windows.shape[2]))} if moves else {}
        inputs = [t.unflatten(0, (count, frames)) for t in tokens] + [torch.from_numpy(move) for move in more.values()]
        expected: list[FloatArray] = [t.numpy() for t in temporal(*inputs)]
    got_tokens = _run_onnx(folder / ENCODER, {"crops": crops})
    feeds = more | {name: value.reshape(count, frames, *value.shape[1:]) for name, value in got_tokens.items()}
    got = _run_onnx(folder / TEMPORAL, feeds)
    differences = [np.abs(a - b.numpy()).max() for a, b in zip(got_tokens.values(), tokens, strict=True)]
    return compare([got[name] for name in ("keypoints", "spread", "heatmaps")], expected, float(np.max(differences)))


def compare(got: list[FloatArray], expected: list[FloatArray], tokens: float) -> Parity:
    """Both sides' [keypoints, covariance, heatmaps] of the same windows -> Parity; `tokens` is passed on."""
    moved = np.abs(got[2] - expected[2]).max(axis=(2, 3))
    decided = _decided(expected[2], moved)
    pixels = np.abs(got[0][..., :2] - expected[0][..., :2]).max(axis=-1)
    variance = expected[1][..., 0] + expected[1][..., 2] + 1.0
    covariance = np.abs(got[1] - expected[1]).max(axis=-1) / variance
    return Parity(
        windows=len(decided),
        joints=decided.size,
        tokens=tokens,
        heatmaps=float(moved.max()),
        keypoints_px=float(pixels[decided].max(initial=0.0)),
        scores=float(np.abs(got[0][..., 2] - expected[0][..., 2]).max()),
        covariance=float(covariance[decided].max(initial=0.0)),
        undecided=int((~decided).sum()),
    )


@contextmanager
def _exact_products() -> Iterator[None]:
    """Parity is about the graphs, not about this CPU's shortcuts in FP32 matrix products."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)


def _run_onnx(path: Path, feeds: dict[str, npt.NDArray[Any]]) -> dict[str, FloatArray]:
    """All outputs of a graph on the CPU, of the first sample alone and then of all others: the batch is dynamic."""
    from sdtc_ros.engine.ort.session import open_session

    session = open_session(path)
    outputs = [node.name for node in session.get_outputs()]
    parts = [
        session.run(outputs, {name: values[part] for name, values in feeds.items()})
        for part in (slice(0, 1), slice(1, None))
    ]
    return {name: np.concatenate(halves) for name, *halves in zip(outputs, *parts, strict=True)}


def _decided(heatmaps: FloatArray, moved: FloatArray) -> npt.NDArray[np.bool_]:
    """N x K: the maximum beats the runner-up by more than both may have moved (N x K): both sides chose its cell."""
    best = np.partition(heatmaps.reshape(*heatmaps.shape[:2], -1), -2, axis=2)
    return np.asarray(best[..., -1] - best[..., -2] > 2 * moved)
