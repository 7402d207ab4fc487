# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What neighbouring frames are worth: the baseline's line, which joints are asked for, a clip without anybody."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.neighbours import ALONE, LATER, SPANS, Case, corrupted, draw, fit, main, read_cases, rows_of
from sdtc_ros.errors import InputError

JOINTS = {"left_shoulder": [40.0, 30.0], "right_hip": [40.0, 60.0], "left_ankle": [45.0, 115.0]}
CASE = Case(
    [np.full((120, 80, 3), t, np.uint8) for t in range(5)],
    np.tile([20.0, 10, 40, 110], (5, 1)).astype(np.float32),
    JOINTS,
)


def test_the_line_passes_over_a_frame_that_is_unsure() -> None:
    time = np.arange(5) - 2
    track = np.stack([10 + 3 * time, 50 - 2 * time, np.full(5, 0.9)], axis=1).astype(np.float32)
    track[2] = 80, 80, 0.01
    assert fit(track, 2)[:2] == pytest.approx([10, 50], abs=0.3)


@pytest.mark.parametrize(("span", "hit"), [(1, [2]), (3, [1, 2, 3]), (5, [0, 1, 2, 3, 4])])
def test_so_many_frames_about_the_keyframe_are_hit(span: int, hit: list[int]) -> None:
    images, asked = corrupted(CASE, "covered", span, np.random.default_rng(0))
    assert [t for t in range(5) if (images[t] != t).any()] == hit
    assert asked and set(asked) < set(JOINTS)
    assert all((image == t).all() for t, image in enumerate(CASE.images))  # the clip itself stays


def test_a_clip_without_people_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = tmp_path / "clip.json"
    clip.write_text(json.dumps({"video": "none.avi", "frames": []}))
    with pytest.raises(InputError, match="nobody with"):
        read_cases(clip, 3)
    assert main([str(clip), str(tmp_path)]) == InputError.exit_status
    assert "nobody with" in capsys.readouterr().err


@pytest.mark.slow
def test_a_window_model_is_asked_with_every_number_of_later_frames(tmp_path: Path) -> None:
    tiny = Path(__file__).parents[1] / "bundles" / "sdtc-tiny"
    found = rows_of(tiny, [CASE])
    assert set(found) == {ALONE, *LATER, "all frames but the keyframe's neighbours"}
    assert all(len(kinds) == len(SPANS) for kinds in found.values())
    draw(tmp_path / "curves.png", {"sdtc-tiny": found})
    assert (tmp_path / "curves.png").stat().st_size > 5000
