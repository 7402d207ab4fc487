# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What every benchmark says besides its figures: machine, versions, tables, a JSON file."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from sdtc_ros.host import cores, cpu_model

PACKAGES = ("numpy", "opencv-python", "onnxruntime", "onnxruntime-gpu")


def machine() -> dict[str, Any]:
    """CPU model, cores this process may use, and how busy the machine is besides."""
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    return {"cpu": cpu_model(), "cores": cores(), "system": platform.platform(), "load": load}


def versions() -> dict[str, str]:
    """Python's version and those of the packages that the pipeline's speed hangs on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def surroundings(args: argparse.Namespace) -> str:
    """One paragraph on what was measured where."""
    here = machine()
    text = ", ".join(f"{package} {version}" for package, version in versions().items())
    used = f"{args.threads} thread{'s' * (args.threads != 1)}" if args.threads else "ONNX Runtime's number of threads"
    time = "wall-clock time" if args.clock == "wall" else "processor time"
    where = f"{here['cpu']}, {here['cores']} cores, load {here['load']} at the start"
    return f"{args.model_name}, {used}, {time}\n{where}\n{text}"


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """The options that a figure depends on, for the JSON file."""
    names = {"model": "model_name", "frames": "frames", "rounds": "rounds", "threads": "threads", "clock": "clock"}
    return {key: getattr(args, name) for key, name in names.items()}


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first column to the left and the others to the right."""
    lines = [header, ["---", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Figures, machine and versions as one JSON object."""
    full = content | {"machine": machine(), "versions": versions()}
    path.write_text(json.dumps(full, indent=1) + "\n", encoding="utf-8")
