# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What neighbouring frames are worth on a real clip: `python -m benchmarks.neighbours CLIP.json BUNDLE ...`.

Keyframes are left clean, or people in them are covered or blurred, alone or with the frames around; a joint is right
within 0.2 of the torso's diagonal of the place that was agreed on in the clean frame (of covered people: the covered
joints). Beside each bundle stands its result to the keyframe alone, with fewer later frames and with frames lost; for
single-frame bundles the classical filter: the bundle in every frame and a line fitted to each joint, weighted by score
squared. A temporal network must beat that.

CLIP.json names the video beside it and says each frame's people: {"video": ..., "frames": [[{"id", "box": [x, y, w, h],
"joints": {name: [x, y]}}]]}.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # so that `python benchmarks/neighbours.py` finds the packages beside it
    sys.path.insert(0, str(ROOT))

from benchmarks.plots import check_plot, new_figure  # noqa: E402
from benchmarks.report import table, write_json  # noqa: E402
from sdtc_ros.errors import InputError, SdtcError  # noqa: E402
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig  # noqa: E402
from sdtc_ros.types import Boxes, Frame, Pose  # noqa: E402

Image = npt.NDArray[np.uint8]
Points = dict[str, npt.NDArray[np.float32]]

REACH = 2  # frames on each side
SPANS = (("clean", 0), ("covered", 1), ("covered", 3), ("covered", 5), ("blurred", 1), ("blurred", 3), ("blurred", 5))
STEP = 40_000_000  # nanoseconds between frames
LEAST_JOINTS = 9
PCK = 0.2
ALONE = "one frame"
LATER = ("past frames", "one later frame", "all frames")  # by the frames beyond the keyframe that are waited for
LOST = (REACH - 1, REACH + 1)  # frames that do not come, in one of the ways


@dataclass(frozen=True)
class Case:
    """One person in one keyframe. images: 2 * REACH + 1 frames; boxes: the person's in each (xywh)."""

    images: list[Image]
    boxes: npt.NDArray[np.float32]
    joints: dict[str, Sequence[float]]

    @property
    def radius(self) -> float:
        """How far a joint may lie from the truth, pixels."""
        pairs = (("left_shoulder", "right_hip"), ("right_shoulder", "left_hip"))
        known = [np.subtract(self.joints[a][:2], self.joints[b][:2]) for a, b in pairs if {a, b} <= self.joints.keys()]
        return PCK * float(np.mean([np.hypot(*d) for d in known])) if known else 0.06 * float(self.boxes[REACH, 3])


def read_cases(path: Path, count: int, seed: int = 0) -> list[Case]:
    """`count` people of a clip with joints enough and a box in every frame around; InputError for a clip without."""
    try:
        clip = json.loads(path.read_text(encoding="utf-8"))
        frames, video = clip["frames"], cv2.VideoCapture(str(path.with_name(clip["video"])))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} does not describe a clip ({error})") from error
    images: list[Image] = []
    while (got := video.read())[0]:
        images.append(got[1].astype(np.uint8, copy=False))
    found = []
    for t in range(REACH, min(len(images), len(frames)) - REACH):
        around = [{one["id"]: one for one in frames[t + o]} for o in range(-REACH, REACH + 1)]
        for person in frames[t]:
            enough = len(person.get("joints", {})) >= LEAST_JOINTS
            if enough and all(person["id"] in people for people in around):
                found.append((t, person, [people[person["id"]]["box"] for people in around]))
    if not found:
        raise InputError(f"{path}: nobody with {LEAST_JOINTS} joints and a box in {2 * REACH + 1} consecutive frames")
    picked = sorted(np.random.default_rng(seed).permutation(len(found))[:count])
    return [
        Case(images[t - REACH : t + REACH + 1], np.array(boxes, np.float32), person["joints"])
        for t, person, boxes in (found[i] for i in picked)
    ]


def corrupted(case: Case, kind: str, span: int, random: np.random.Generator) -> tuple[list[Image], list[str]]:
    """The frames with the middle `span` of them covered or blurred, and the joints that are asked for."""
    images, asked = list(case.images), list(case.joints)
    hit = [t for t in range(len(images)) if span and abs(t - REACH) <= span // 2]
    x, y, w, h = case.boxes[REACH]
    if kind == "covered":
        left, top = int(x + random.uniform(-0.1, 0.3) * w), int(y + random.uniform(0.15, 0.6) * h)
        right, bottom, paint = left + int(0.8 * w), top + int(0.375 * h), random.integers(40, 200, 3)
        rows, columns = slice(max(top, 0), max(bottom, 0)), slice(max(left, 0), max(right, 0))
        for t in hit:
            images[t] = images[t].copy()
            part = images[t][rows, columns]
            part[...] = np.clip(paint + random.normal(0, 12, part.shape), 0, 255).astype(np.uint8)
        asked = [j for j, p in case.joints.items() if left <= p[0] <= right and top <= p[1] <= bottom]
    if kind == "blurred":
        length, angle = max(5, int(0.14 * h) | 1), random.uniform(0, np.pi)
        kernel, middle = np.zeros((length, length), np.float32), (length - 1) / 2
        ends = [
            (round(middle + s * middle * np.cos(angle)), round(middle + s * middle * np.sin(angle))) for s in (-1, 1)
        ]
        cv2.line(kernel, ends[0], ends[1], (1.0,))
        for t in hit:
            images[t] = cv2.filter2D(images[t], -1, kernel / kernel.sum()).astype(np.uint8, copy=False)
    return images, asked


def poses(pipeline: Pipeline, images: Sequence[Image], boxes: npt.NDArray[np.float32], keyframe: int) -> Points:
    """The person's joints in frame `keyframe` of the images: name -> x, y, score."""
    person = pose_in(pipeline, images, boxes, keyframe)
    return dict(zip(pipeline.bundle.skeleton.joints, person.keypoints, strict=True))


def pose_in(pipeline: Pipeline, images: Sequence[Image], boxes: npt.NDArray[np.float32], keyframe: int) -> Pose:
    """The person's pose in frame `keyframe` of the images, a box in each."""
    pipeline.reset()
    given = [Boxes(box[None], np.ones(1, np.float32), np.array([1])) for box in boxes]
    results = [
        pipeline.process(Frame(image, (t + 1) * STEP), box)
        for t, (image, box) in enumerate(zip(images, given, strict=True))
    ]
    done = [*(one for one in results if one is not None), *pipeline.flush()]
    return next(one for one in done if one.frame.stamp == (keyframe + 1) * STEP).poses[0]


def filtered(pipeline: Pipeline, images: Sequence[Image], box: npt.NDArray[np.float32], keyframe: int) -> Points:
    """The classical filter: each frame by itself in the same crop, then a line fitted to each joint over time."""
    found = [poses(pipeline, [image], box[None], 0) for image in images]
    return {name: fit(np.stack([one[name] for one in found]), keyframe) for name in found[0]}


def fit(track: npt.NDArray[np.float32], keyframe: int) -> npt.NDArray[np.float32]:
    """Places T x 3 (x, y, score) -> the weighted line's at the keyframe, a constant where one frame has all weight."""
    time, weight = np.arange(len(track)) - keyframe, track[:, 2].astype(np.float64) ** 2 + 1e-6
    mean = (weight * time).sum() / weight.sum()
    centre = (weight[:, None] * track[:, :2]).sum(axis=0) / weight.sum()
    away = time - mean
    slope = ((weight * away)[:, None] * track[:, :2]).sum(axis=0) / ((weight * away**2).sum() + 1e-3 * weight.sum())
    return np.array([*(centre - slope * mean), track[keyframe, 2]], np.float32)


def rows_of(bundle: Path, cases: Sequence[Case], seed: int = 7) -> dict[str, dict[str, float]]:
    """Percent right by kind of corruption, for each way of using a bundle."""
    whole = Pipeline.from_bundle(bundle, PipelineConfig(crop_drift_threshold=0, min_box_score=0))
    if whole.bundle.delta not in (0, REACH):
        raise InputError(f"{bundle} has windows of {2 * whole.bundle.delta + 1} frames; here they have {2 * REACH + 1}")
    configs = [PipelineConfig(crop_drift_threshold=0, min_box_score=0, lookahead=later) for later in range(REACH)]
    sooner = [Pipeline(whole.bundle, whole.engine, config) for config in configs] if whole.bundle.delta else []
    right: dict[str, dict[str, list[bool]]] = {}
    for kind, span in SPANS:
        random = np.random.default_rng(seed)
        for case in cases:
            images, asked = corrupted(case, kind, span, random)
            for way, answer in _ways(whole, sooner, images, case.boxes).items():
                hits = right.setdefault(way, {}).setdefault(f"{kind} {span}" if span else kind, [])
                hits += [_near(answer, joint, case) for joint in asked if joint in answer]
    return {way: {kind: 100 * float(np.mean(hits)) for kind, hits in found.items()} for way, found in right.items()}


def _ways(
    whole: Pipeline, sooner: list[Pipeline], images: list[Image], boxes: npt.NDArray[np.float32]
) -> dict[str, Points]:
    """The keyframe's joints by each way; `sooner`: pipelines of lookahead 0, 1, ..., none for single-frame bundles."""
    box = boxes[REACH]
    answers = {ALONE: poses(whole, [images[REACH]] * len(images), np.repeat(box[None], len(images), axis=0), REACH)}
    if not sooner:
        for way, some in (("all frames, a line fitted", images), ("past frames, a line fitted", images[: REACH + 1])):
            answers[way] = filtered(whole, some, box, REACH)
        return answers
    for later, pipeline in enumerate([*sooner, whole]):
        end = REACH + 1 + later
        answers[LATER[later]] = poses(pipeline, images[:end], boxes[:end], REACH)
    left = [t for t in range(len(images)) if t not in LOST]
    answers["all frames but the keyframe's neighbours"] = poses(whole, [images[t] for t in left], boxes[left], 1)
    return answers


def _near(answer: Points, joint: str, case: Case) -> bool:
    return bool(np.hypot(*(answer[joint][:2] - np.array(case.joints[joint][:2]))) <= case.radius)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; exit status as in sdtc_ros.errors."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/neighbours.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("clip", type=Path, metavar="CLIP.json")
    parser.add_argument("bundles", type=Path, nargs="+", metavar="BUNDLE")
    parser.add_argument("--people", type=int, default=150, help="keyframes to judge (default: 150)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file, as JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the share over the frames waited for")
    args = parser.parse_args(arguments)
    try:
        check_plot(args.plot)
        cases = read_cases(args.clip, args.people)
        found: dict[str, Any] = {str(bundle): rows_of(bundle, cases) for bundle in args.bundles}
    except SdtcError as error:
        print(f"neighbours: error: {error}", file=sys.stderr)
        return error.exit_status
    kinds = [f"{kind} {span}" if span else kind for kind, span in SPANS]
    lines = [
        [f"{Path(bundle).name}, {way}", *(f"{figures[kind]:.1f}" for kind in kinds)]
        for bundle, ways in found.items()
        for way, figures in ways.items()
    ]
    print(f"{len(cases)} people; percent of joints within {PCK} of the torso's diagonal")
    print(table(["", *kinds], lines))
    if args.json:
        write_json(args.json, {"clip": args.clip.name, "people": len(cases), "found": found})
    shown = {Path(bundle).name: ways for bundle, ways in found.items() if set(LATER) <= ways.keys()}
    if args.plot and shown:
        draw(args.plot, shown)
    elif args.plot:
        print("neighbours: no plot: single-frame bundles alone were given", file=sys.stderr)
    return 0


def draw(path: Path, found: dict[str, dict[str, dict[str, float]]]) -> None:
    """Percent right over the later frames that are waited for, a panel for each bundle; all of them use some."""
    figure = new_figure(4.2 * len(found), 3.6)
    for panel, (name, ways) in enumerate(found.items(), start=1):
        axes = figure.add_subplot(1, len(found), panel)
        for kind in ways[ALONE]:
            colour = "C7" if kind == "clean" else "C0" if kind.startswith("covered") else "C1"
            style = {"1": "-", "3": "--", "5": ":"}.get(kind[-1], "-")
            axes.plot(range(len(LATER)), [ways[way][kind] for way in LATER], style, color=colour, label=kind)
        axes.set(title=name, xticks=range(len(LATER)), ylim=(0, 100), xlabel="later frames waited for")
        axes.set_ylabel("joints found, %")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, loc="lower right")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    sys.exit(main())
