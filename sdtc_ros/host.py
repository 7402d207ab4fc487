# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What this computer is called, what its processor can do, and which libraries this process has loaded."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from importlib import metadata
from pathlib import Path

CPUINFO, MAPS = Path("/proc/cpuinfo"), Path("/proc/self/maps")
# what kernels are chosen by: x86 and ARM; the model's name stays the same where a virtual machine hides some of it
_ABLE = ("flags", "Features", "cpu family", "model", "stepping", "CPU implementer", "CPU architecture", "CPU variant",
         "CPU part")  # fmt: skip


def cores() -> int:
    """How many of the processor's cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def packages() -> dict[str, str]:
    """Versions of the Python packages that are installed, by name in lower case."""
    return {one.metadata["Name"].lower(): one.version for one in metadata.distributions() if one.metadata["Name"]}


def cpu_model() -> str:
    """The processor's name as the system tells it, else its architecture."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def cpu_hash() -> str:
    """8 hexadecimal digits of what the processor's cores can do; those of nothing where the system does not tell."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    told = sorted({line for line in lines if line.partition(":")[0].strip() in _ABLE})
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:8]


def loaded_libraries(names: tuple[str, ...]) -> dict[str, str]:
    """Of the shared libraries of these names ('libcudnn') that are loaded: file name -> bytes, as text.

    The file is the one that a link leads to, so that its name has the whole version, where its maker gives it one.
    """
    try:
        lines = MAPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    wanted = re.compile(rf"({'|'.join(map(re.escape, names))})\.so")
    paths = {Path(path) for line in lines if (path := line[line.find("/") :]) and wanted.match(Path(path).name)}
    return {path.name: str(path.stat().st_size) for path in sorted(paths) if path.is_file()}
