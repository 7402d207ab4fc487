# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""ONNX Runtime behind the engine interface, with tokens in host memory: the CPU's engine, and the reference.

Tokens are cached in host memory, as views of the arrays that the encoder returned; with the CUDA and TensorRT
providers they therefore cross the bus once each way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sdtc_ros.engine.base import MAX_BATCH, MOVES, OUTPUTS, FloatArray, largest_batch, no_moves
from sdtc_ros.engine.ort.session import check_names, open_session, run_session, warm_up
from sdtc_ros.errors import BundleError
from sdtc_ros.models.bundle import Bundle

Tokens = tuple[npt.NDArray[Any], ...]  # one array of shape 1 x ... a named tensor


class OnnxEngine:
    """Engine over a bundle's two graphs."""

    identity = ""  # nothing is built

    def __init__(
        self,
        bundle: Bundle,
        provider: str = "cpu",
        *,
        precision: str = "fp32",
        threads: int = 0,
        allow_cpu: bool = False,
        max_batch: int = MAX_BATCH,
        spinning: bool = False,
    ) -> None:
        """Open, check and warm up both graphs.

        precision: one that the bundle has graphs in; threads: 0 leaves the number to the runtime; max_batch: larger
        batches run in chunks, and so do those whose windows would take more than WINDOW_BYTES; spinning: see
        `open_session`. Raises UsageError (provider) and BundleError (a graph that is broken, is not there, or is not
        the one that model.json describes).
        """
        self._names = list(bundle.tokens)
        self._frames = 2 * bundle.delta + 1
        self._max_batch = largest_batch(bundle.tokens, bundle.delta, max_batch)
        encoder, temporal = bundle.graphs(precision)
        self._encoder, self._temporal = (
            open_session(graph, provider, threads=threads, allow_cpu=allow_cpu, spinning=spinning)
            for graph in (encoder, temporal)
        )
        self.providers, self.precision = list(self._encoder.get_providers()), precision
        self._windows: dict[str, npt.NDArray[Any]] = {}
        self._moves = bundle.moves
        check_names(encoder, self._encoder, ["crops"], self._names)
        check_names(temporal, self._temporal, [*self._names, *[MOVES] * bundle.moves], OUTPUTS)
        black = warm_up(self, bundle)
        shapes = {name: tensor.shape[1:] for name, tensor in zip(self._names, black, strict=True)}
        if shapes != dict(bundle.tokens):
            raise BundleError(f"'{encoder}' gives tokens {shapes}, but model.json says {dict(bundle.tokens)}")

    def encode(self, crops: npt.NDArray[np.uint8]) -> list[Tokens]:
        """See Engine.encode."""
        handles: list[Tokens] = []
        for start in range(0, len(crops), self._max_batch):
            batch = run_session(self._encoder, self._names, {"crops": crops[start : start + self._max_batch]})
            handles.extend(tuple(tensor[i : i + 1] for tensor in batch) for i in range(len(batch[0])))
        return handles

    def estimate(
        self, windows: Sequence[Sequence[Tokens]], moves: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """See Engine.estimate."""
        keypoints, covariance = self._run_temporal(windows, OUTPUTS, moves)
        return keypoints, covariance

    def heatmaps(self, windows: Sequence[Sequence[Tokens]], moves: FloatArray | None = None) -> FloatArray:
        """What the poses of the same windows are read from: N x K x h x w; for checks, and slow."""
        (heatmaps,) = self._run_temporal(windows, ["heatmaps"], moves)
        return heatmaps

    def _run_temporal(
        self, windows: Sequence[Sequence[Tokens]], outputs: list[str], moves: FloatArray | None = None
    ) -> list[npt.NDArray[Any]]:
        if self._moves and moves is None:
            moves = no_moves(len(windows), self._frames)
        if len(windows) > self._max_batch:
            parts = [
                self._run_temporal(windows[i : i + self._max_batch], outputs, _part(moves, i, self._max_batch))
                for i in range(0, len(windows), self._max_batch)
            ]
            return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
        handles = [handle for window in windows for handle in window]
        feeds = {name: self._gather(name, [handle[i] for handle in handles]) for i, name in enumerate(self._names)}
        if moves is not None:
            feeds[MOVES] = moves
        return run_session(self._temporal, outputs, feeds)

    def _gather(self, name: str, tokens: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """Copy the tokens of N windows side by side: N x T x ..., in a buffer that is kept (fresh pages are slow)."""
        shape = tokens[0].shape[1:]
        buffer = self._windows.get(name)
        if buffer is None or len(buffer) < len(tokens):
            buffer = self._windows[name] = np.empty((len(tokens), *shape), tokens[0].dtype)
        gathered = buffer[: len(tokens)]
        np.concatenate(tokens, out=gathered)
        return gathered.reshape(-1, self._frames, *shape)


def _part(moves: FloatArray | None, start: int, count: int) -> FloatArray | None:
    return None if moves is None else moves[start : start + count]
