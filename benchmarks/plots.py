# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Plots of the benchmarks: matplotlib without a display, imported when a plot is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sdtc_ros.errors import UsageError


def new_figure(width: float, height: float) -> Any:
    """An empty matplotlib figure (inches); raises UsageError where matplotlib is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(f"--plot draws with matplotlib ({error})") from None
    return Figure(figsize=(width, height), layout="constrained")


def check_plot(path: Path | None) -> None:
    """Raise UsageError where a plot cannot be drawn or written, before anything is measured."""
    if path is None:
        return
    if not path.parent.is_dir():
        raise UsageError(f"--plot {path}: no such folder: {path.parent}")
    new_figure(1, 1)
