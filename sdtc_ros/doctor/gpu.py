# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The GPU and what can use it: driver, cards, Jetson, ONNX Runtime's providers, TensorRT, pycuda."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sdtc_ros.doctor.finding import BROKEN, MISSING, OK, Finding, checked, imported
from sdtc_ros.errors import UsageError

PART = "GPU"
TEGRA = Path("/etc/nv_tegra_release")
DIRECT = "only provider tensorrt-direct would use it"
RUNTIMES = (
    ("TensorRT", ("tensorrt",), DIRECT),
    ("TensorRT lean", ("tensorrt_lean",), "nothing needs it: it runs engines and builds none"),
    ("pycuda", ("pycuda.driver", "pycuda"), DIRECT),
)


def findings() -> list[Finding]:
    """All of this part."""
    found = [*checked(PART, "cards", _cards), *checked(PART, "ONNX Runtime", _providers)]
    for name, modules, used_by in RUNTIMES:
        found += checked(PART, name, partial(_runtime, name, modules, used_by))
    return found


def _cards() -> Iterator[Finding]:
    from sdtc_ros.engine.gpu import free_memory, gpus

    if TEGRA.is_file():
        release = TEGRA.read_text(encoding="ascii", errors="replace").strip("# \n")
        yield Finding(PART, OK, "Jetson", ", ".join(release.split(", ")[:2]))
    try:
        cards = gpus()
    except UsageError as error:
        yield Finding(PART, MISSING, "cards", str(error), "without one, use provider cpu")
        return
    for number, card in enumerate(cards):
        try:
            free, total = free_memory(number)
            memory = f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
        except UsageError as error:
            yield Finding(PART, BROKEN, f"card {number}", f"{card}: {error}", "look at nvidia-smi")
        else:
            yield Finding(PART, OK, f"card {number}", f"{card}, {memory}")


def _providers() -> Iterator[Finding]:
    works, said = imported("import onnxruntime as o; print(' '.join(o.get_available_providers()))")
    if not works:
        return  # told among the packages
    names = said.replace("ExecutionProvider", "").split()
    gpu = {"CUDA", "Tensorrt"} & set(names)
    advice = "" if gpu else "for a GPU: pip uninstall onnxruntime, pip install onnxruntime-gpu"
    yield Finding(PART, OK, "ONNX Runtime offers", ", ".join(names), advice)


def _runtime(name: str, modules: tuple[str, ...], used_by: str) -> Iterator[Finding]:
    first, *rest = modules
    version = "import {0} as m, sys; m = sys.modules[{1!r}]; print(getattr(m, '__version__', None) or m.VERSION_TEXT)"
    works, said = imported(version.format(first, rest[0] if rest else first))
    if works:
        yield Finding(PART, OK, name, said)
    elif "No module named" in said:
        yield Finding(PART, MISSING, name, f"not installed; {used_by}")
    else:
        yield Finding(PART, BROKEN, name, f"cannot be imported: {said}", used_by)
