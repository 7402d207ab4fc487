# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Figures of trembling and lagging joints, on tracks made by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # benchmarks/ is no part of the installed package

from benchmarks.jitter import filtered, judged, read_clip  # noqa: E402
from sdtc_ros.errors import InputError  # noqa: E402


def track(x: np.ndarray) -> np.ndarray:
    """T -> T x 1 x 3: a joint at (x, 0), sure."""
    return np.stack([x, np.zeros_like(x), np.ones_like(x)], axis=-1)[:, None]


def test_lag_and_jitter_by_hand() -> None:
    time = np.arange(30.0)
    reference = {1: track(5 * time), 2: track(np.full(30, 7.0))}
    late = {1: track(5 * (time - 2)), 2: track(7 + (-1.0) ** time)}
    found = judged(late, reference, {1: 100.0, 2: 200.0})
    assert found["lag"] == pytest.approx(2)
    assert found["moving"] == pytest.approx(0)
    assert found["still"] == pytest.approx(1000 * 4 / 200)


def test_the_filter_follows_a_line_and_says_nothing_at_the_ends() -> None:
    line = track(3 * np.arange(12.0))
    found = filtered({4: line}, before=2, after=1)[4]
    np.testing.assert_allclose(found[2:-1], line[2:-1], atol=0.02)
    assert np.isnan(found[:2]).all() and np.isnan(found[-1:]).all()


def test_a_file_that_describes_no_clip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clip.json").write_text('{"frames": []}')
    with pytest.raises(InputError, match="does not describe a clip"):
        read_clip(tmp_path / "clip.json", 10, 2)
