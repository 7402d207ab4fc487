# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What the pipeline asks of an inference engine; one runtime a file behind it.

An engine keeps a crop's tokens where it computes (host or device memory) and hands out opaque handles to them.
A handle lives as long as someone holds it: dropping the last reference frees its tokens, there is no release call.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Handle = Any  # opaque: only the engine that made it looks inside
FloatArray = npt.NDArray[np.float32]
Cut = tuple[npt.NDArray[np.uint8], FloatArray]  # an H x W x 3 BGR image and N x 4 crop boxes (xywh, image pixels)

OUTPUTS = ["keypoints", "spread"]  # of the temporal graph
MOVES = "moves"  # its input, where it has one
MAX_BATCH = 64  # people at once; more run in chunks
WINDOW_BYTES = 1 << 29  # of the tokens of all windows in a batch: feature maps (TDMI) are 27 times SDTC's tokens


def no_moves(windows: int, frames: int) -> FloatArray:
    """Moves (see `Engine.estimate`) of windows whose frames all lie in their keyframe's crop: windows x frames x 4."""
    return np.tile(np.array([1, 1, 0, 0], np.float32), (windows, frames, 1))


class Engine(Protocol):
    """Encodes crops one by one into tokens, and estimates poses from windows of them."""

    @property
    def providers(self) -> list[str]:
        """What it runs on, in the runtime's own words, the one at work first."""
        ...

    @property
    def precision(self) -> str:
        """Of its graphs: fp32, fp16 or int8."""
        ...

    @property
    def identity(self) -> str:
        """Of what its runtime has built, for keys of the cache; empty where nothing is built."""
        ...

    def encode(self, crops: npt.NDArray[np.uint8]) -> list[Handle]:
        """Tokens of N crops (N x H x W x 3 uint8 BGR, which may be overwritten afterwards), one handle a crop."""
        ...

    def estimate(
        self, windows: Sequence[Sequence[Handle]], moves: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Poses of N windows of 2 * delta + 1 handles each, in time order; a handle may occur more than once.

        moves: N x (2 * delta + 1) x 4 float32 (sx, sy, tx, ty), for a bundle that takes them (Bundle.moves): a point
        (x, y) of a frame's crop lies at (sx * x + tx, sy * y + ty) in the keyframe's, crop pixels. None: all share one.
        Returns keypoints N x K x 3 float32 (x, y in crop pixels, score 0..1) and covariance N x K x 3 float32
        (covariance xx, xy, yy in crop pixels squared).
        """
        ...


@runtime_checkable
class CuttingEngine(Engine, Protocol):
    """An engine that cuts the crops itself, where it computes: the frame goes there once, and no crop does."""

    max_batch: int  # crops or windows that it computes at once; it has kernels of its own for batches_up_to(max_batch)

    def encode_from(self, cuts: Sequence[Cut]) -> list[Handle]:
        """Tokens of all crops, one handle a crop, in order; they are those of `crops.crop_images`.

        An image may come again in later calls and must not have been written to in between.
        """
        ...


def largest_batch(tokens: Mapping[str, tuple[int, ...]], delta: int, most: int) -> int:
    """`most`, or as many windows as WINDOW_BYTES hold, if these are fewer; tokens: per-crop shapes by name."""
    window = 4 * (2 * delta + 1) * sum(math.prod(shape) for shape in tokens.values())
    return max(1, min(most, WINDOW_BYTES // window))


def batches_up_to(largest: int) -> list[int]:
    """1, 2, 4 ... and `largest`."""
    return [*(1 << i for i in range((largest - 1).bit_length())), largest]
