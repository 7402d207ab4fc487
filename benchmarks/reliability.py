# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a joint's score and covariance are worth: `python benchmarks/reliability.py BUNDLE --people FOLDER --clip CLIP`.

Joints with a score of 0.7 ought to be found in seven cases of ten (within 0.2 of the torso's diagonal), and an ellipse
of one sigma ought to hold 39 % of the labels, one of two sigma 86 %. FOLDER: labelled photographs as for
benchmarks/photographs.py; CLIP: a labelled clip (.json) as for benchmarks/neighbours.py, whose people are also
covered or blurred. True boxes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # so that `python benchmarks/reliability.py` finds the packages beside it
    sys.path.insert(0, str(ROOT))

from benchmarks.beside.photographs import BODY, TORSO, reach, read_sets  # noqa: E402
from benchmarks.measure import carry_out  # noqa: E402
from benchmarks.neighbours import REACH, SPANS, corrupted, pose_in, read_cases  # noqa: E402
from benchmarks.plots import check_plot, new_figure  # noqa: E402
from benchmarks.report import table, write_json  # noqa: E402
from sdtc_ros.errors import UsageError  # noqa: E402
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig  # noqa: E402
from sdtc_ros.types import Boxes, Frame, Pose  # noqa: E402

BINS = 10
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Joints:
    """Of N labelled joints: score, whether it was found, and the label's squared Mahalanobis distance."""

    score: Array
    found: Array
    distance: Array


@dataclass(frozen=True)
class Reliability:
    """Of a set: joints; per cent found, and what the scores say of that; the rest as shares.

    error: mean distance of score and share found over ten bins (expected calibration error); order: how often a joint
    that is found has the higher score than one that is not (area under the ROC curve); one_sigma, two_sigma: labels
    that the ellipses hold.
    """

    joints: int
    found: float
    score: float
    error: float
    order: float
    one_sigma: float
    two_sigma: float


def judge(pose: Pose, names: Sequence[str], truth: Mapping[str, Sequence[float]], box: Array) -> Joints:
    """Every labelled joint of the body that the skeleton has."""
    radius = reach(box, truth)
    asked = [name for name in truth if name in BODY and name in names]
    rows = [names.index(name) for name in asked]
    error = np.array([truth[name][:2] for name in asked], np.float64).reshape(-1, 2) - pose.keypoints[rows, :2]
    xx, xy, yy = np.moveaxis(pose.covariance[rows].astype(np.float64), -1, 0)
    x, y = error.T
    distance = (yy * x * x - 2 * xy * x * y + xx * y * y) / np.maximum(xx * yy - xy * xy, 1e-9)
    return Joints(pose.keypoints[rows, 2], np.hypot(x, y) <= radius, distance)


def gathered(parts: Sequence[Joints]) -> Joints:
    """All joints of several people."""
    return Joints(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("score", "found", "distance")))


def curve(joints: Joints) -> list[tuple[float, float, int]]:
    """Mean score, share found and joints of each bin of scores that is not empty."""
    place = np.minimum((joints.score * BINS).astype(int), BINS - 1)
    groups = [place == number for number in range(BINS) if np.any(place == number)]
    return [(float(joints.score[g].mean()), float(joints.found[g].mean()), int(g.sum())) for g in groups]


def summary(joints: Joints) -> Reliability:
    """The figures of a set."""
    rank = np.empty(len(joints.score))
    rank[np.argsort(joints.score, kind="stable")] = np.arange(1, len(rank) + 1)
    right, wrong = int(joints.found.sum()), int((~joints.found).sum())
    order = (rank[joints.found].sum() - right * (right + 1) / 2) / (right * wrong) if right and wrong else float("nan")
    error = sum(abs(score - found) * count for score, found, count in curve(joints)) / len(rank)
    return Reliability(
        len(rank), 100 * float(joints.found.mean()), 100 * float(joints.score.mean()), error, float(order),
        float((joints.distance <= 1).mean()), float((joints.distance <= 4).mean()),
    )  # fmt: skip


def photographs(bundle: Path, folder: Path, most: int | None) -> Iterator[tuple[str, Joints]]:
    """Each set of labelled photographs, a person at a time."""
    pipeline = Pipeline.from_bundle(bundle, PipelineConfig(lookahead=0, crop_drift_threshold=0, min_box_score=0))
    names = pipeline.bundle.skeleton.joints
    for name, pictures in read_sets(folder, most).items():
        parts = []
        for picture in pictures:
            image = picture.image()
            for box, truth in zip(picture.boxes, picture.joints, strict=True):
                pipeline.reset()
                result = pipeline.process(Frame(image, 1), Boxes(box[None], np.ones(1, np.float32), np.array([0])))
                assert result is not None
                parts.append(judge(result.poses[0], names, truth, box))
        yield name, gathered(parts)


def clip(bundle: Path, path: Path, most: int) -> Iterator[tuple[str, Joints]]:
    """Each way of covering and blurring the people of a clip, five frames."""
    pipeline = Pipeline.from_bundle(bundle, PipelineConfig(crop_drift_threshold=0, min_box_score=0))
    names, cases = pipeline.bundle.skeleton.joints, read_cases(path, most)
    for kind, span in SPANS:
        random, parts = np.random.default_rng(7), []
        for case in cases:
            images, asked = corrupted(case, kind, span, random)
            pose = pose_in(pipeline, images, case.boxes, REACH)
            truth = {name: case.joints[name] for name in asked}
            torso = {name: at for name, at in case.joints.items() if name in {n for pair in TORSO for n in pair}}
            whole = judge(pose, names, truth | torso, case.boxes[REACH])
            kept = [n in truth for n in truth | torso if n in BODY and n in names]
            parts.append(Joints(whole.score[kept], whole.found[kept], whole.distance[kept]))
        yield f"{kind} {span}" if span else kind, gathered(parts)


def draw(found: dict[str, Joints], path: Path) -> None:
    """Share found against score: all sets thin, all joints together thick; how many joints have which score below."""
    figure = new_figure(6, 6)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    everything = gathered(list(found.values()))
    top.plot([0, 1], [0, 1], color="0.7", linestyle="--")
    for name, joints in found.items():
        points = [point for point in curve(joints) if point[2] >= 20]
        top.plot([p[0] for p in points], [p[1] for p in points], linewidth=1, alpha=0.7, label=name)
    whole = curve(everything)
    top.plot([p[0] for p in whole], [p[1] for p in whole], color="black", linewidth=2.5, marker="o", label="all")
    top.set(ylabel="share found", xlim=(0, 1), ylim=(0, 1))
    top.legend(fontsize=8)
    bottom.hist(everything.score, bins=BINS, range=(0, 1), color="0.5")
    bottom.set(xlabel="score", ylabel="joints")
    figure.savefig(path)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; exit status as in sdtc_ros.errors."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/reliability.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("--people", type=Path, metavar="FOLDER", help="labelled photographs")
    parser.add_argument("--clip", type=Path, metavar="CLIP", help="a labelled clip")
    parser.add_argument("--most", type=int, default=150, help="people of each set and of the clip (default: 150)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the curves")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    return carry_out(parser, arguments, _work)


def _work(args: argparse.Namespace) -> None:
    if args.people is None and args.clip is None:
        raise UsageError("nothing to measure on: give --people, --clip or both")
    check_plot(args.plot)
    found: dict[str, Joints] = {}
    if args.people is not None:
        found.update(photographs(args.bundle, args.people, args.most))
    if args.clip is not None:
        found.update(clip(args.bundle, args.clip, args.most))
    rows = {name: summary(joints) for name, joints in (found | {"all": gathered(list(found.values()))}).items()}
    cells = [
        [name, str(r.joints), f"{r.found:.1f}", f"{r.score:.1f}", f"{r.error:.3f}", f"{r.order:.3f}",
         f"{100 * r.one_sigma:.0f}", f"{100 * r.two_sigma:.0f}"]
        for name, r in rows.items()
    ]  # fmt: skip
    print(table(["", "joints", "found %", "mean score %", "error", "order", "1 sigma (39)", "2 sigma (86)"], cells))
    if args.plot is not None:
        draw(found, args.plot)
    if args.json is not None:
        write_json(args.json, {name: asdict(row) for name, row in rows.items()})


if __name__ == "__main__":
    sys.exit(main())
