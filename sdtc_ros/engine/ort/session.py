# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Sessions of ONNX Runtime: opened on the provider asked for and on no other, checked, warmed up."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from sdtc_ros.engine.base import Engine, Handle
from sdtc_ros.engine.failures import GraphError, device_failure, first_line, is_full, no_memory, translated
from sdtc_ros.engine.gpu import gpus
from sdtc_ros.errors import BundleError, SdtcError, UsageError
from sdtc_ros.models.bundle import Bundle

EXECUTION_PROVIDERS = {  # ONNX Runtime's names
    "cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"
}  # fmt: skip
_quieting = threading.RLock()  # stdout is the whole process's: of two blocks at once one would keep the other's


def open_session(
    graph: Path | bytes,
    provider: str = "cpu",
    *,
    threads: int = 0,
    allow_cpu: bool = False,
    name: str = "",
    spinning: bool = False,
    provider_options: Mapping[str, Mapping[str, str]] | None = None,
) -> Any:
    """An ONNX Runtime session on `provider` (cpu, cuda or tensorrt); threads 0 leaves the number to the runtime.

    graph: a file, or a graph's bytes, which `name` then names in errors; spinning: threads that have nothing to do wait
    for work in a loop and not asleep, which a machine that is busy otherwise pays dearly for; provider_options: by
    provider (beside tensorrt CUDA runs what TensorRT cannot), each one's own. Raises UsageError where the provider is
    unknown, is full or fails, or is not what the session got and `allow_cpu` is not set (ONNX Runtime itself falls back
    to the CPU with no more than a log line), BundleError where the graph is none.
    """
    import onnxruntime as ort

    if provider not in EXECUTION_PROVIDERS:
        raise UsageError(f"unknown provider '{provider}'; choose from {', '.join(EXECUTION_PROVIDERS)}")
    asked = EXECUTION_PROVIDERS[provider]
    available = ort.get_available_providers()
    if asked not in available and not allow_cpu:
        why = "the installed ONNX Runtime does not offer it (install onnxruntime-gpu)"
        raise UsageError(_no_provider(provider, why))
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    order = dict.fromkeys([provider, *(["cuda"] if provider == "tensorrt" else []), "cpu"])
    told = provider_options or {}
    wanted = [
        (full, dict(told.get(one, {}))) for one, full in ((one, EXECUTION_PROVIDERS[one]) for one in order)
        if full in available
    ]  # fmt: skip
    source, name = (graph, name) if isinstance(graph, bytes) else (str(graph), str(graph))
    with _quiet(provider) as printed, _loading(name, provider):
        session = ort.InferenceSession(source, options, providers=wanted)
    if asked not in session.get_providers() and not allow_cpu:
        why = no_memory(provider) if is_full(printed.getvalue()) else _no_provider(provider, _why_not(provider))
        raise UsageError(why)
    session.disable_fallback()  # at a run that fails: to the CPU, with a line on stdout
    return session


@contextmanager
def _loading(name: str, provider: str) -> Iterator[None]:
    """What ONNX Runtime raises for a graph becomes a BundleError, for a device that is full or lost a UsageError."""
    import onnxruntime as ort

    try:
        yield
    except Exception as error:  # the runtime's exception classes have no common, public base
        reason = f"'{name}' cannot be loaded by ONNX Runtime {ort.__version__}: {first_line(error)}"
        raise device_failure(error, provider) or BundleError(reason) from None


def run_session(session: Any, outputs: list[str] | None, feeds: Mapping[str, Any]) -> list[Any]:
    """The session's outputs, in host memory; raises UsageError where it fails, GraphError if for no device's sake."""
    with translated(provider_of(session)):
        found: list[Any] = session.run(outputs, feeds)
    return found


def provider_of(session: Any) -> str:
    """The name, in our words, of the provider that a session runs on."""
    return short_name(session.get_providers()[0])


def short_name(provider: str) -> str:
    """Our name of a provider that ONNX Runtime names; any other name as it is."""
    return next((name for name, full in EXECUTION_PROVIDERS.items() if full == provider), provider)


@contextmanager
def _quiet(provider: str) -> Iterator[StringIO]:
    """For a GPU's provider: its libraries found where pip put them, and its complaints left to `_why_not`.

    Gives what is printed meanwhile; of several threads one at a time is here.
    """
    import onnxruntime as ort

    if provider == "cpu":
        yield StringIO()
        return
    with _quieting:
        ort.set_default_logger_severity(4)
        try:
            with redirect_stdout(StringIO()) as printed:  # what it falls back to, and what libraries it could find
                if hasattr(ort, "preload_dlls"):  # since 1.21
                    ort.preload_dlls()
                yield printed
        finally:
            ort.set_default_logger_severity(2)  # the default; what was set before cannot be asked for


def _why_not(provider: str) -> str:
    """Why ONNX Runtime did not take a provider that it offers: it says so only in a log, so the cause is looked up."""
    import onnxruntime as ort

    folder = Path(ort.__file__).parent / "capi"
    try:
        ctypes.CDLL(str(folder / "libonnxruntime_providers_shared.so"), mode=ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(folder / f"libonnxruntime_providers_{provider}.so"))
    except OSError as error:
        return f"a library that ONNX Runtime {ort.__version__} needs is missing ({error})"
    try:
        return f"ONNX Runtime {ort.__version__} does not take it on {gpus()[0]}; its own log says why"
    except UsageError as error:
        return str(error)


def warm_up(engine: Engine, bundle: Bundle) -> Handle:
    """Run one black crop through both graphs: allocates, compiles, proves the shapes of model.json; its handle.

    Raises BundleError where the graphs do not run, or not with the shapes that model.json says, UsageError where the
    device cannot run them (it is full, or lost).
    """
    width, height = bundle.input_size
    try:
        handle = engine.encode(np.zeros((1, height, width, 3), np.uint8))[0]
        keypoints, covariance = engine.estimate([[handle] * (2 * bundle.delta + 1)])
    except Exception as error:  # whatever the runtime raises on shapes that do not fit
        if isinstance(error, SdtcError) and not isinstance(error, GraphError):
            raise
        reason = f"model bundle '{bundle.folder}': its graphs do not run as described: {first_line(error)}"
        raise BundleError(reason) from None
    wanted = (1, len(bundle.skeleton), 3)
    if keypoints.shape != wanted or covariance.shape != wanted:
        raise BundleError(
            f"'{bundle.temporal}' gives keypoints {keypoints.shape} and covariance {covariance.shape}, "
            f"but skeleton '{bundle.skeleton.name}' needs {wanted}"
        )
    return handle


def check_names(path: Path, session: Any, inputs: list[str], outputs: list[str]) -> None:
    """Raise BundleError unless the session's graph takes exactly `inputs` and gives `outputs`, and perhaps more."""
    has = [node.name for node in session.get_inputs()], [node.name for node in session.get_outputs()]
    compare_names(path, *has, inputs, outputs)


def compare_names(
    path: Path, has_inputs: list[str], has_outputs: list[str], inputs: list[str], outputs: list[str]
) -> None:
    """`check_names`, for a graph that takes `has_inputs` and gives `has_outputs`."""
    if sorted(has_inputs) != sorted(inputs) or not set(outputs) <= set(has_outputs):
        raise BundleError(
            f"'{path}' takes {has_inputs} and gives {has_outputs}, but must take {inputs} and give {outputs}; "
            "export the bundle again"
        )


def _no_provider(provider: str, why: str) -> str:
    return f"provider '{provider}' cannot be used: {why}; choose provider 'cpu', or allow it in its place"
