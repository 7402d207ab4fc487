# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The synthetic bench: clips of seeds that training never sees, one split for each thing that makes poses hard.

A split (annotations/crossing/*.json, images/crossing/NAME/000000.jpg) is a data set in PoseTrack18's layout for itself,
so `sdtc_ros evaluate --truth DIR/annotations/crossing` judges it; it prints the fingerprint that `bench.json` holds.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from sdtc_ros.ground_truth.fingerprint import fingerprint
from training.synthetic.assets import AssetFolders
from training.synthetic.clips import DIFFICULTIES, ClipSettings
from training.synthetic.output import ClipOutput, write_clips
from training.synthetic.windows import BENCH_SEED


def write_bench(folders: AssetFolders, out: Path, each: int, frames: int, workers: int = 1) -> dict[str, str]:
    """Render `each` clips of `frames` frames a difficulty; returns the fingerprints, which bench.json holds too."""
    prints = {}
    for number, difficulty in enumerate(DIFFICULTIES):
        settings = replace(ClipSettings(frames=frames), difficulty=difficulty)
        wanted = ClipOutput(out, difficulty, depth=False, bag=False)
        write_clips(folders, [settings], BENCH_SEED + number, each, wanted, workers)
        prints[difficulty] = fingerprint(out / "annotations" / difficulty)
    (out / "bench.json").write_text(json.dumps({"clips": each, "frames": frames, "fingerprints": prints}, indent=1))
    return prints
