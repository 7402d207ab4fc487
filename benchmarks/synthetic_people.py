# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""How many joints of synthetic people a network finds that learnt from photographs: how real they look to it.

    python benchmarks/synthetic_people.py data/windows --model sdtc_ros/models/movenet-thunder --count 300

Keyframes of rendered windows (`python -m training.data render windows`), padded to the network's crop. Printed are the
shares of joints within 0.2 of the torso's diagonal, shoulders to ankles, by what the window shows, and how far along
the trunk the network's joints lie above the labels, in torso lengths: a systematic offset tells of labels that do not
lie where people put them.
"""

from __future__ import annotations

import argparse
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # so that `python benchmarks/synthetic_people.py` finds the packages beside it
    sys.path.insert(0, str(ROOT))

from benchmarks.measure import carry_out  # noqa: E402
from benchmarks.report import write_json  # noqa: E402
from sdtc_ros.engine.ort.host import OnnxEngine  # noqa: E402
from sdtc_ros.models.bundle import load_bundle  # noqa: E402
from sdtc_ros.skeleton import POSETRACK  # noqa: E402

PARTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
BODY = [POSETRACK.index(f"{side}_{part}") for part in PARTS for side in ("left", "right")]
BATCH = 4


def main(arguments: list[str] | None = None) -> int:
    """Print the table; with --json also write the figures."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/synthetic_people.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of windows-*.npz")
    parser.add_argument("--model", type=Path, required=True, metavar="BUNDLE", help="the network")
    parser.add_argument("--count", type=int, default=300, metavar="N", help="keyframes (300)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    return carry_out(parser, arguments, _work)


def _work(args: argparse.Namespace) -> None:
    bundle = load_bundle(args.model)
    engine = OnnxEngine(bundle, threads=1)
    crops, joints, visibility, tags = _keyframes(args.folder, args.count, bundle.input_size)
    found = np.concatenate(
        [
            engine.estimate([[handle] * (2 * bundle.delta + 1) for handle in engine.encode(crops[i : i + BATCH])])[0]
            for i in range(0, len(crops), BATCH)
        ]
    )
    body = [bundle.skeleton.index(POSETRACK.joints[joint]) for joint in BODY]
    figures = _report(found[:, body, :2], joints, visibility, tags)
    if args.json:
        write_json(args.json, figures)


def _keyframes(folder: Path, count: int, size: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Crops (N, H, W, 3) uint8 BGR, joints (N, 12, 2) in them, visibility (N, 12), tags (N,)."""
    from training.synthetic.windows import frames_of, read_shard  # needs the extra "synthetic"

    shards = (read_shard(path) for path in sorted(folder.glob("windows-*.npz")))
    windows = ((shard, n) for shard in shards for n in range(len(shard["tags"])))
    crops, joints, visibility, tags = [], [], [], []
    for shard, n in islice(windows, count):
        middle = shard["joints"].shape[1] // 2
        picture = np.ascontiguousarray(frames_of(shard, n)[middle][..., ::-1])
        height, width = picture.shape[:2]
        scale = min(size[0] / width, size[1] / height)
        enlarged = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
        left, top = (size[0] - enlarged.shape[1]) // 2, (size[1] - enlarged.shape[0]) // 2
        crop = np.zeros((size[1], size[0], 3), np.uint8)
        crop[top : top + enlarged.shape[0], left : left + enlarged.shape[1]] = enlarged
        crops.append(crop)
        joints.append((shard["joints"][n, middle, BODY] + 0.5) * scale - 0.5 + [left, top])
        visibility.append(shard["visibility"][n, middle, BODY])
        tags.append(shard["tags"][n])
    return np.array(crops), np.array(joints), np.array(visibility), np.array(tags)


def _report(found: np.ndarray, joints: np.ndarray, visibility: np.ndarray, tags: np.ndarray) -> dict[str, Any]:
    """Print and return the shares and offsets, percent."""
    from training.synthetic.windows import LONG_EXPOSURE, MOVING_CAMERA, NEIGHBOURS, OCCLUDER

    bits = {"occluder": OCCLUDER, "neighbours": NEIGHBOURS, "long exposure": LONG_EXPOSURE, "moving": MOVING_CAMERA}
    shoulders, hips = joints[:, 0:2], joints[:, 6:8]
    diagonal = np.linalg.norm(shoulders - hips[:, ::-1], axis=-1).max(axis=1)
    trunk = shoulders.mean(axis=1) - hips.mean(axis=1)
    torso = np.linalg.norm(trunk, axis=-1)
    distance = np.linalg.norm(found - joints, axis=-1)
    right = distance < 0.2 * diagonal[:, None]
    plain = tags == 0
    rows = {"nothing hard": plain, **{name: tags & bit > 0 for name, bit in bits.items()}, "all": plain | True}
    figures: dict[str, Any] = {}
    for name, chosen in rows.items():
        seen, occluded = visibility[chosen] == 2, visibility[chosen] == 1
        share = [100 * right[chosen][mask].mean() if mask.any() else np.nan for mask in (seen, occluded)]
        figures[name] = {"windows": int(chosen.sum()), "visible": float(share[0]), "occluded": float(share[1])}
        print(f"{name:14} {chosen.sum():5} windows: visible {share[0]:.1f} %, occluded {share[1]:.1f} %")
    for number, joint in enumerate(BODY):
        good = (visibility[:, number] == 2) & (distance[:, number] < 0.3 * diagonal) & (torso > 20)
        above = ((found[good, number] - joints[good, number]) * trunk[good]).sum(axis=1) / torso[good] ** 2
        figures[POSETRACK.joints[joint]] = {"above": float(100 * above.mean())}
        print(f"{POSETRACK.joints[joint]:14} {100 * above.mean():+.1f} % of the torso above its label")
    return figures


if __name__ == "__main__":
    sys.exit(main())
