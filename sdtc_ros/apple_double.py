# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""AppleDouble files: macOS leaves `._NAME` beside NAME on other disks; it has nothing of NAME's content."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def is_apple_double(path: Path) -> bool:
    """Whether a file is one of these."""
    return path.name.startswith("._")


def without_apple_double(paths: Iterable[Path]) -> list[Path]:
    """The other files, in the order given."""
    return [path for path in paths if not is_apple_double(path)]
