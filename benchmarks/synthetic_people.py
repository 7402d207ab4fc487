# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""How real synthetic people look to a network that learnt from photographs, and whether their labels lie right.

    python benchmarks/synthetic_people.py data/windows --model sdtc_ros/models/movenet-thunder --count 500

The share of joints that it finds (PCK@0.2 of the torso's diagonal, shoulders to ankles), by what is hard about a
window; and how far from a label it puts each joint that it finds, as shares of the torso: along the trunk (up) and
across it (away from the middle). With --photographs (folders of labelled people, benchmarks/beside/photographs.py) the
same is measured on what people labelled, and the difference says where our labels lie against theirs, whatever the
network itself does.
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

from benchmarks.beside.photographs import Photograph, read_sets  # noqa: E402
from benchmarks.measure import carry_out  # noqa: E402
from benchmarks.report import write_json  # noqa: E402
from sdtc_ros.crops import crop_boxes, crop_images, to_crop  # noqa: E402
from sdtc_ros.engine.ort.host import OnnxEngine  # noqa: E402
from sdtc_ros.models.bundle import load_bundle  # noqa: E402
from sdtc_ros.skeleton import POSETRACK  # noqa: E402
from training.synthetic.shards import (  # noqa: E402
    LONG_EXPOSURE,
    MOVING_CAMERA,
    NEIGHBOURS,
    OCCLUDER,
    frames_of,
    read_shard,
)  # fmt: skip

PARTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
BODY = [POSETRACK.index(f"{side}_{part}") for part in PARTS for side in ("left", "right")]
BATCH = 4
FOUND = 0.2  # of the torso's diagonal: a joint is found within it
_TRUNK = [POSETRACK.index(f"{side}_{part}") for part in ("shoulder", "hip") for side in ("left", "right")]
SIDE = np.array([-1.0 if name.startswith("right") else 1.0 for name in POSETRACK.joints])  # nose and head: as the left


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
    parser.add_argument("--photographs", type=Path, metavar="DIR", help="labelled people to compare the labels with")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    return carry_out(parser, arguments, _work)


def _work(args: argparse.Namespace) -> None:
    bundle = load_bundle(args.model)
    engine = OnnxEngine(bundle, threads=1)
    known_to = [k for k, name in enumerate(POSETRACK.joints) if name in bundle.skeleton.joints]
    order = [bundle.skeleton.index(POSETRACK.joints[k]) for k in known_to]

    def find(crops: np.ndarray) -> np.ndarray:
        alone = 2 * bundle.delta + 1
        parts = [
            engine.estimate([[handle] * alone for handle in engine.encode(crops[i : i + BATCH])])[0]
            for i in range(0, len(crops), BATCH)
        ]
        answer = np.full((len(crops), len(POSETRACK), 2), np.nan)  # NaN: a joint that the network has not
        answer[:, known_to] = np.concatenate(parts)[:, order, :2]
        return answer

    crops, joints, visibility, tags = _keyframes(args.folder, args.count, bundle.input_size)
    found = find(crops)
    figures = _report(found, joints, visibility, tags)
    ours = offsets(found, joints, visibility == 2)
    table, heads = {"synthetic": ours}, {"synthetic": head_heights(joints, visibility > 0)}
    for name, photographs in (read_sets(args.photographs) if args.photographs else {}).items():
        crops, joints, known = _photographed(photographs, bundle.input_size)
        theirs = offsets(find(crops), joints, known)
        heads[name] = head_heights(joints, known)
        table |= {name: theirs, f"synthetic against {name}": {k: ours[k] - v for k, v in theirs.items()}}
    _print_offsets(table)
    for name, (neck, top) in heads.items():
        print(f"{name}: above the shoulders' middle, % of the torso: neck {neck:.1f}, top of the head {top:.1f}")
    if args.json:
        figures["labels"] = {name: {k: v.tolist() for k, v in row.items()} for name, row in table.items()}
        write_json(args.json, figures)


def head_heights(joints: np.ndarray, known: np.ndarray) -> tuple[float, float]:
    """How far neck and top of the head lie above the shoulders' middle, along the trunk, percent of it: medians.

    joints: (N, 15, 2) pixels; known: (N, 15). NaN where nobody has them labelled.
    """
    middle, trunk, torso = _trunk(joints)
    heights = []
    for name in ("head_bottom", "head_top"):
        joint = POSETRACK.index(name)
        usable = known[:, [joint, *_TRUNK]].all(axis=1) & (torso > 20)
        above = ((joints[usable, joint] - middle[usable]) * trunk[usable]).sum(axis=1) / torso[usable] ** 2
        heights.append(100 * float(np.median(above)) if usable.any() else np.nan)
    return heights[0], heights[1]


def _trunk(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The shoulders' middle (N, 2), the vector to it from the hips' (N, 2), and its length (N,)."""
    shoulders, hips = joints[:, _TRUNK[:2]].mean(axis=1), joints[:, _TRUNK[2:]].mean(axis=1)
    return shoulders, shoulders - hips, np.linalg.norm(shoulders - hips, axis=1)


def offsets(found: np.ndarray, joints: np.ndarray, known: np.ndarray) -> dict[str, np.ndarray]:
    """Mean of label minus answer by joint: (up along the trunk, away from its middle), percent of the torso.

    found, joints: (N, 15, 2) pixels; known: (N, 15). Of joints that are found, of people whose trunk is labelled whole
    and at least 20 pixels long; both sides together; no joint without ten of them.
    """
    _, trunk, torso = _trunk(joints)
    usable = known[:, _TRUNK].all(axis=1) & (torso > 20)
    up = trunk / np.maximum(torso, 1e-6)[:, None]
    across = np.stack([-up[:, 1], up[:, 0]], axis=1)  # to the left of the picture of somebody seen from the front
    across *= np.sign(((joints[:, _TRUNK[0]] - joints[:, _TRUNK[1]]) * across).sum(axis=1))[:, None]
    step = (joints - found) / np.maximum(torso, 1e-6)[:, None, None]
    near = np.linalg.norm(step, axis=-1) < 1.5 * FOUND  # false for NaN too
    parts = np.stack([(step * up[:, None]).sum(-1), (step * across[:, None]).sum(-1) * SIDE], axis=-1)
    rows = {}
    for name in dict.fromkeys(name.removeprefix("left_").removeprefix("right_") for name in POSETRACK.joints):
        columns = [k for k, joint in enumerate(POSETRACK.joints) if joint.endswith(name)]
        chosen = (usable[:, None] & known & near)[:, columns]
        if chosen.sum() >= 10:
            rows[name] = 100 * parts[:, columns][chosen].mean(axis=0)
    return rows


def _photographed(photographs: list[Photograph], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Crops (N, H, W, 3) of all people, their joints (N, 15, 2) in them, and which are labelled (N, 15)."""
    crops, joints, known = [], [], []
    for photograph in photographs:
        image = photograph.image()
        boxes = crop_boxes(photograph.boxes, size[0] / size[1])
        labels = np.array([[one.get(name, (np.nan, np.nan)) for name in POSETRACK.joints] for one in photograph.joints])
        crops += list(crop_images(image, boxes, size))
        joints += list(to_crop(np.nan_to_num(labels).astype(np.float32), boxes, size))
        known += list(~np.isnan(labels[..., 0]))
    return np.array(crops), np.array(joints), np.array(known)


def _print_offsets(table: dict[str, dict[str, np.ndarray]]) -> None:
    names = [name.removeprefix("left_") for name in POSETRACK.joints if not name.startswith("right_")]
    print(f"\nlabel minus answer, % of the torso, up / outward:\n{'':32}" + "".join(f"{name:>14}" for name in names))
    for row, values in table.items():
        cells = [f"{values[n][0]:+.1f} / {values[n][1]:+.1f}" if n in values else "" for n in names]
        print(f"{row:32}" + "".join(f"{cell:>14}" for cell in cells))


def _keyframes(folder: Path, count: int, size: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Crops (N, H, W, 3) uint8 BGR, joints (N, 15, 2) in them, visibility (N, 15), tags (N,)."""
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
        joints.append((shard["joints"][n, middle] + 0.5) * scale - 0.5 + [left, top])
        visibility.append(shard["visibility"][n, middle])
        tags.append(shard["tags"][n])
    return np.array(crops), np.array(joints), np.array(visibility), np.array(tags)


def _report(found: np.ndarray, joints: np.ndarray, visibility: np.ndarray, tags: np.ndarray) -> dict[str, Any]:
    """Print and return the shares and offsets, percent."""
    bits = {"occluder": OCCLUDER, "neighbours": NEIGHBOURS, "long exposure": LONG_EXPOSURE, "moving": MOVING_CAMERA}
    found, joints, visibility = found[:, BODY], joints[:, BODY], visibility[:, BODY]
    shoulders, hips = joints[:, 0:2], joints[:, 6:8]
    diagonal = np.linalg.norm(shoulders - hips[:, ::-1], axis=-1).max(axis=1)
    right = np.linalg.norm(found - joints, axis=-1) < FOUND * diagonal[:, None]
    plain = tags == 0
    rows = {"nothing hard": plain, **{name: tags & bit > 0 for name, bit in bits.items()}, "all": plain | True}
    figures: dict[str, Any] = {}
    for name, chosen in rows.items():
        seen, occluded = visibility[chosen] == 2, visibility[chosen] == 1
        share = [100 * right[chosen][mask].mean() if mask.any() else np.nan for mask in (seen, occluded)]
        figures[name] = {"windows": int(chosen.sum()), "visible": float(share[0]), "occluded": float(share[1])}
        print(f"{name:14} {chosen.sum():5} windows: visible {share[0]:.1f} %, occluded {share[1]:.1f} %")
    for number, part in enumerate(PARTS):
        seen = visibility[:, 2 * number : 2 * number + 2] == 2
        figures[part] = {"visible": float(100 * right[:, 2 * number : 2 * number + 2][seen].mean())}
    print("by joint: " + ", ".join(f"{part} {figures[part]['visible']:.1f} %" for part in PARTS))
    return figures


if __name__ == "__main__":
    sys.exit(main())
