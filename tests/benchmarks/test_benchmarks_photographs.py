# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The benchmark on labelled photographs: PCK by hand, sets and what is wrong with them, a table for a bundle."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_bundle import make_bundle

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # benchmarks/ is no part of the installed package

from benchmarks import photographs  # noqa: E402
from benchmarks.beside.photographs import hits, read_sets  # noqa: E402

pytestmark = pytest.mark.slow

TRUTH = {"left_shoulder": (30.0, 0.0), "right_hip": (0.0, 40.0), "left_knee": (0.0, 80.0), "nose": (15.0, -20.0)}


def write_set(folder: Path) -> Path:
    """Two pictures, three people."""
    folder.mkdir(parents=True)
    people = []
    for file, boxes in (("a.png", [[10, 10, 40, 80], [60, 5, 30, 90]]), ("b.png", [[0, 0, 50, 99]])):
        cv2.imwrite(str(folder / file), np.full((100, 100, 3), 128, np.uint8))
        for box in boxes:
            joints = {name: [x + box[0], y + box[1], 2] for name, (x, y) in TRUTH.items()}
            people.append({"file": file, "box": box, "joints": joints})
    (folder / "people.json").write_text(json.dumps({"people": people}))
    return folder


def test_pck_by_hand() -> None:
    """A fifth of the torso, here 10 pixels, counts; the face does not; without a torso a tenth of the longer side."""
    found = {"left_shoulder": (30.0, 9.9), "right_hip": (0.0, 50.1), "nose": (15.0, -20.0)}
    assert hits([0, 0, 40, 80], TRUTH, found) == [True, False, False]
    alone = {"left_knee": (0.0, 80.0)}
    assert hits([0, 0, 40, 80], alone, {"left_knee": (8.0, 80.0)}) == [True]
    assert hits([0, 0, 40, 80], alone, {"left_knee": (8.1, 80.0)}) == [False]


def test_sets_are_read(tmp_path: Path) -> None:
    """One set, or a folder of them; people of a picture together; only the first ones where that is asked."""
    write_set(tmp_path / "one")
    for folder in (tmp_path, tmp_path / "one"):
        (name, (first, second)), *more = read_sets(folder).items()
        assert (name, more, len(first.boxes), len(second.joints)) == ("one", [], 2, 1)
        assert first.joints[1]["nose"] == (75.0, -15.0)
        assert first.image().shape == (100, 100, 3)
    assert [len(photograph.boxes) for photograph in read_sets(tmp_path, most=1)["one"]] == [1]


def test_a_table_of_bundles(tmp_path: Path, capsys) -> None:
    """Every bundle a row, every set a column; MediaPipe is left out, and said so, where it is not installed."""
    write_set(tmp_path / "people" / "one")
    bundle = make_bundle(tmp_path / "bundle")
    out = tmp_path / "figures.json"
    words = [str(tmp_path / "people"), "--models", str(bundle.folder), "--json", str(out)]
    assert photographs.main(words) == 0
    printed = capsys.readouterr()
    assert "people: one 3" in printed.out
    assert "|  | one | ms a person |" in printed.out
    assert "MediaPipe is not installed" in printed.err
    (row,) = json.loads(out.read_text())["rows"]
    assert row["contender"] == "fake" and 0 <= row["found"]["one"] <= 100 and row["milliseconds"] > 0
    assert photographs.main([str(tmp_path / "nowhere")]) == 2
    assert photographs.main([str(tmp_path / "people"), "--people", "0"]) == 2
