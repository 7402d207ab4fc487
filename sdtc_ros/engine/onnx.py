# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""ONNX Runtime behind the engine interface: CPU, CUDA and TensorRT providers.

Tokens are kept in host memory, as views of the arrays that the encoder returned; with the CUDA and TensorRT
providers they therefore cross the bus once each way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sdtc_ros.bundle import Bundle
from sdtc_ros.engine import FloatArray
from sdtc_ros.errors import BundleError, UsageError

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
OUTPUTS = ["keypoints", "spread"]
WINDOW_BYTES = 1 << 29  # of the tokens of all windows in a batch: feature maps (TDMI) are 27 times SDTC's tokens
Tokens = tuple[npt.NDArray[Any], ...]  # one array of shape 1 x ... a named tensor


def open_session(path: Path, provider: str = "cpu", *, threads: int = 0, allow_cpu: bool = False) -> Any:
    """An ONNX Runtime session on `provider` (cpu, cuda or tensorrt); threads 0 leaves the number to the runtime.

    Raises UsageError where the provider is unknown, or is not what the session got and `allow_cpu` is not set
    (ONNX Runtime itself falls back to the CPU with no more than a log line), BundleError where the file is no graph.
    """
    import onnxruntime as ort

    if provider not in PROVIDERS:
        raise UsageError(f"provider '{provider}' is not known; known are {', '.join(PROVIDERS)}")
    asked = PROVIDERS[provider]
    available = ort.get_available_providers()
    if asked not in available and not allow_cpu:
        raise UsageError(_no_provider(provider, "the installed ONNX Runtime does not offer it"))
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    wanted = dict.fromkeys(name for name in (asked, PROVIDERS["cpu"]) if name in available)
    try:
        session = ort.InferenceSession(str(path), options, providers=list(wanted))
    except Exception as error:  # the runtime's exception classes have no common, public base
        reason = str(error).splitlines()[0][:200]
        raise BundleError(f"'{path}' cannot be loaded by ONNX Runtime {ort.__version__}: {reason}") from None
    if asked not in session.get_providers() and not allow_cpu:
        raise UsageError(_no_provider(provider, "ONNX Runtime fell back to the CPU (is there a GPU and its driver?)"))
    return session


class OnnxEngine:
    """Engine over a bundle's two graphs."""

    def __init__(
        self, bundle: Bundle, provider: str = "cpu", *, threads: int = 0, allow_cpu: bool = False, max_batch: int = 64
    ) -> None:
        """Open, check and warm up both graphs.

        threads: 0 leaves the number to the runtime; max_batch: larger batches run in chunks, and so do those whose
        windows would take more than WINDOW_BYTES. Raises UsageError (provider) and BundleError (a graph that is broken
        or is not the one that model.json describes).
        """
        self._names = list(bundle.tokens)
        self._frames = 2 * bundle.delta + 1
        window = 4 * self._frames * sum(math.prod(shape) for shape in bundle.tokens.values())
        self._max_batch = max(1, min(max_batch, WINDOW_BYTES // window))
        self._encoder = open_session(bundle.encoder, provider, threads=threads, allow_cpu=allow_cpu)
        self._temporal = open_session(bundle.temporal, provider, threads=threads, allow_cpu=allow_cpu)
        self.providers = list(self._encoder.get_providers())
        self._windows: dict[str, npt.NDArray[Any]] = {}
        _check_names(bundle.encoder, self._encoder, ["crops"], self._names)
        _check_names(bundle.temporal, self._temporal, self._names, OUTPUTS)
        self._warm_up(bundle)

    def encode(self, crops: npt.NDArray[np.uint8]) -> list[Tokens]:
        """See Engine.encode."""
        handles: list[Tokens] = []
        for start in range(0, len(crops), self._max_batch):
            batch = self._encoder.run(self._names, {"crops": crops[start : start + self._max_batch]})
            handles.extend(tuple(tensor[i : i + 1] for tensor in batch) for i in range(len(batch[0])))
        return handles

    def estimate(self, windows: Sequence[Sequence[Tokens]]) -> tuple[FloatArray, FloatArray]:
        """See Engine.estimate."""
        if len(windows) > self._max_batch:
            parts = [self.estimate(windows[i : i + self._max_batch]) for i in range(0, len(windows), self._max_batch)]
            return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
        handles = [handle for window in windows for handle in window]
        feeds = {name: self._gather(name, [handle[i] for handle in handles]) for i, name in enumerate(self._names)}
        keypoints, spread = self._temporal.run(OUTPUTS, feeds)
        return keypoints, spread

    def _gather(self, name: str, tokens: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """Copy the tokens of N windows side by side: N x T x ..., in a buffer that is kept (fresh pages are slow)."""
        shape = tokens[0].shape[1:]
        buffer = self._windows.get(name)
        if buffer is None or len(buffer) < len(tokens):
            buffer = self._windows[name] = np.empty((len(tokens), *shape), tokens[0].dtype)
        gathered = buffer[: len(tokens)]
        np.concatenate(tokens, out=gathered)
        return gathered.reshape(-1, self._frames, *shape)

    def _warm_up(self, bundle: Bundle) -> None:
        """Run one black crop through both graphs: allocates, compiles, and proves the shapes of model.json."""
        width, height = bundle.input_size
        try:
            handle = self.encode(np.zeros((1, height, width, 3), np.uint8))[0]
            shapes = {name: tensor.shape[1:] for name, tensor in zip(self._names, handle, strict=True)}
            keypoints, spread = self.estimate([[handle] * self._frames])
        except Exception as error:  # whatever the runtime raises on shapes that do not fit
            reason = str(error).splitlines()[0][:200]
            raise BundleError(f"model bundle '{bundle.folder}': its graphs do not run as described: {reason}") from None
        if shapes != dict(bundle.tokens):
            raise BundleError(f"'{bundle.encoder}' gives tokens {shapes}, but model.json says {dict(bundle.tokens)}")
        wanted = (1, len(bundle.skeleton), 3)
        if keypoints.shape != wanted or spread.shape != wanted:
            raise BundleError(
                f"'{bundle.temporal}' gives keypoints {keypoints.shape} and spread {spread.shape}, "
                f"but skeleton '{bundle.skeleton.name}' needs {wanted}"
            )


def _check_names(path: Path, session: Any, inputs: list[str], outputs: list[str]) -> None:
    has_inputs = [node.name for node in session.get_inputs()]
    has_outputs = [node.name for node in session.get_outputs()]
    if sorted(has_inputs) != sorted(inputs) or not set(outputs) <= set(has_outputs):
        raise BundleError(
            f"'{path}' takes {has_inputs} and gives {has_outputs}, but must take {inputs} and give {outputs}; "
            "export the bundle again"
        )


def _no_provider(provider: str, why: str) -> str:
    return f"provider '{provider}' cannot be used: {why}; install onnxruntime-gpu, choose provider 'cpu' or allow it"
