# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What is installed: Python, packages and their conflicts, the cache's folder, video."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import sdtc_ros
from sdtc_ros.doctor.finding import BROKEN, MISSING, OK, Finding, checked, imported
from sdtc_ros.host import cores, cpu_model, packages

PART = "Installed"
# package's name, the module to import, what needs it (None: everything)
PACKAGES = (
    ("numpy", "numpy", None),
    ("opencv-python", "cv2", None),
    ("onnxruntime", "onnxruntime", None),
    ("scipy", "scipy", None),
    ("trackers", "trackers", None),
    ("rosbags", "rosbags", None),
    ("tqdm", "tqdm", None),
    ("matplotlib", "matplotlib", "plots of training and benchmarks"),
    ("onnx", "onnx", "provider cuda and tensorrt, export"),
    ("torch", "torch", "training and export"),
)
# packages that own the same folder: the one installed last has overwritten the others' files
RIVALS = {
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml"),
    "cv2": ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"),
}


def findings() -> list[Finding]:
    """All of this part."""
    found = [
        Finding(PART, OK, "sdtc_ros", f"{sdtc_ros.__version__}, {Path(sdtc_ros.__file__).parent}"),
        *checked(PART, "system", _system),
        *checked(PART, "processor", _processor),
    ]
    present = packages()
    for package, module, needed_by in PACKAGES:
        found += checked(PART, package, partial(_package, package, module, needed_by, present))
    for module, rivals in RIVALS.items():
        found += checked(PART, module, partial(_rivals, module, rivals, present))
    return [
        *found,
        *checked(PART, "cache", _cache),
        *checked(PART, "video", _video),
        *checked(PART, "detector", _detector),
    ]


def _system() -> Iterator[Finding]:
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        name = ""
    kernel = f"{platform.system()} {platform.release()}"
    yield Finding(PART, OK, "Python", f"{platform.python_version()} on {', '.join(filter(None, (name, kernel)))}")


def _processor() -> Iterator[Finding]:
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    yield Finding(PART, OK, "processor", f"{cpu_model()}, {cores()} cores for this process{load}, {platform.machine()}")


def _package(package: str, module: str, needed_by: str | None, present: dict[str, str]) -> list[Finding]:
    others = [name for name in RIVALS.get(module, (package,)) if name in present]
    named = ", ".join(present[name] if name == package else f"{name} {present[name]}" for name in others)
    if needed_by:  # not imported: that would take seconds
        there = Finding(PART, OK, package, named)
        return [there if others else Finding(PART, MISSING, package, f"not installed; only {needed_by} would use it")]
    works, said = imported(f"import {module} as m; print(getattr(m, '__version__', ''), m.__file__ or '', sep='|')")
    version, _, file = said.partition("|")
    if works and module == "numpy":  # a distribution's and pip's may both be there: what counts is what is imported
        other = f"; pip's records say {named}" if named not in ("", version) else ""
        return [Finding(PART, OK, package, f"{version} is imported, from {Path(file).parent}{other}")]
    if works:
        return [Finding(PART, OK, package, named or version or "installed")]
    system = "; on a bare system: apt-get install libgl1 libglib2.0-0" if module == "cv2" else ""
    advice = f"pip install --force-reinstall {others[0] if others else package}{system}"
    return [Finding(PART, BROKEN, package, f"cannot be imported: {said}", advice)]


def _rivals(module: str, rivals: tuple[str, ...], present: dict[str, str]) -> Iterator[Finding]:
    both = [name for name in rivals if name in present]
    if len(both) > 1:
        yield Finding(
            PART, BROKEN, module, f"{' and '.join(both)} are both installed and have overwritten each other's files",
            f"pip uninstall {' '.join(both)}, then install the one that you want",
        )  # fmt: skip


def _cache() -> Iterator[Finding]:
    from sdtc_ros.engine.cache import Cache

    cache = Cache()
    try:
        cache.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=cache.folder):
            pass
    except OSError as error:
        yield Finding(
            PART, BROKEN, "cache", f"{cache.folder} cannot be written ({error.strerror}), so engines are rebuilt at "
            "every start", "make room there, or name another folder in SDTC_CACHE",
        )  # fmt: skip
        return
    entries = cache.entries()
    size = sum(entry.size for entry in entries) / 1e6
    yield Finding(PART, OK, "cache", f"{cache.folder}, {len(entries)} entries, {size:.1f} MB")


def _video() -> Iterator[Finding]:
    """What an annotated video would be, and whether there is a screen to look at images on."""
    import cv2
    import numpy as np

    from sdtc_ros.io.annotated_video import AnnotatedVideo

    with tempfile.TemporaryDirectory() as folder:
        with AnnotatedVideo(Path(folder) / "video", 10.0) as stream:
            path = [stream.write(np.zeros((48, 64, 3), np.uint8)) for _ in range(3)][-1]
        readable, _ = cv2.VideoCapture(str(path)).read()
    if readable:
        yield Finding(PART, OK, "video", f"{path.suffix} is written and read")
    else:
        yield Finding(PART, BROKEN, "video", f"{path.suffix} is written, but not read back", "use images or a bag")


def _detector() -> Iterator[Finding]:
    """Whether the person detector that ships is whole and runs."""
    from sdtc_ros.detection.person import PersonDetector, default_detector

    PersonDetector()
    yield Finding(PART, OK, "detector", f"{default_detector().name} runs; people are found with it by default")
