# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Joints in metres on synthetic clips with exact depth: our lifting beside one depth value at the pixel.

    python -m training.data render clips --count 4 --frames 60 --rate 15 --out clips ...
    python benchmarks/lifting.py clips [--model BUNDLE] [--shift 0.03] [--noise 0.003]

Two kinds of joints in the image are lifted: the annotated ones (the lifting's own error) and a model's, with annotated
boxes. The pixel's way is what nodes do that read the depth image at the keypoint's pixel and add nothing. Joints in the
image with the annotated depth show what is left if lifting made no error at all.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # so that `python benchmarks/lifting.py` finds the packages beside it
    sys.path.insert(0, str(ROOT))

from benchmarks.measure import carry_out  # noqa: E402
from benchmarks.report import write_json  # noqa: E402
from sdtc_ros.errors import InputError  # noqa: E402
from sdtc_ros.evaluate.joints3d import Accuracy3D, evaluate_3d, table  # noqa: E402
from sdtc_ros.evaluate.sequences3d import frames_in_space  # noqa: E402
from sdtc_ros.ground_truth.posetrack import read_folder  # noqa: E402
from sdtc_ros.ground_truth.sequence import Person, Sequence, SequenceFrame  # noqa: E402
from sdtc_ros.lifting.camera import CameraModel  # noqa: E402
from sdtc_ros.lifting.lifter import Lifter  # noqa: E402
from sdtc_ros.lifting.poses3d import FramePoses3D  # noqa: E402
from sdtc_ros.models.bundle import default_bundle  # noqa: E402
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig  # noqa: E402
from sdtc_ros.skeleton import POSETRACK  # noqa: E402
from sdtc_ros.types import Boxes, Frame, FramePoses, Pose  # noqa: E402
from training.synthetic.depth_camera import DepthCamera, measured  # noqa: E402

PIXELS = 2.0  # deviation of annotated joints, as if a network had found them exactly


@dataclass(frozen=True)
class Clip:
    """A clip: its annotations, its camera, and the folder that its images and depth lie in."""

    sequence: Sequence
    camera: CameraModel
    rate: float
    folder: Path
    split: str

    def stamp(self, number: int) -> int:
        """Nanoseconds of a frame."""
        return round((number + 1) * 1e9 / self.rate)

    def frame(self, number: int, image: bool) -> Frame:
        """A frame, with its image or only its size."""
        name = self.sequence.frames[number].name
        pixels = cv2.imread(str(self.folder / name)) if image else np.zeros((*self.shape, 3), np.uint8)
        return Frame(np.asarray(pixels, np.uint8), self.stamp(number), "camera", name)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        depth = self.depth(0)
        return depth.shape[0], depth.shape[1]

    def depth(self, number: int) -> np.ndarray:
        """Exact depth of a frame, H x W float32 metres."""
        path = self.folder / "depth" / self.split / self.sequence.name / f"{number:06d}.png"
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if image is None:
            raise InputError(f"{path} cannot be read: clips need depth (render clips without --no-depth)")
        return image.astype(np.float32) / 1000


def read_clips(folder: Path, split: str = "val") -> list[Clip]:
    """The clips that `python -m training.data render clips` wrote; raises InputError where there are none."""
    clips = []
    for sequence in read_folder(folder / "annotations" / split, POSETRACK):
        camera = json.loads((folder / "cameras" / split / f"{sequence.name}.json").read_text())
        matrix = np.array([[camera["fx"], 0, camera["cx"]], [0, camera["fy"], camera["cy"]], [0, 0, 1.0]])
        clips.append(Clip(sequence, CameraModel(matrix, np.zeros(5), ""), camera["rate"], folder, split))
    return clips


def annotated(clip: Clip) -> Iterator[FramePoses]:
    """The annotated people as poses."""
    empty = np.zeros((*clip.shape, 3), np.uint8)
    for number, frame in enumerate(clip.sequence.frames):
        poses = []
        for person in frame.people:
            keypoints = np.column_stack([person.keypoints[:, :2], person.annotated]).astype(np.float32)
            covariance = np.tile(np.array([PIXELS**2, 0, PIXELS**2], np.float32), (len(keypoints), 1))
            box = np.asarray(person.box, np.float32)
            poses.append(Pose(int(person.track_id or 0), box, 1.0, keypoints, covariance, 1.0))
        yield FramePoses(Frame(empty, clip.stamp(number), "camera"), poses)


def estimated(clip: Clip, model: Path) -> Iterator[FramePoses]:
    """A model's poses in the annotated boxes."""
    pipeline = Pipeline.from_bundle(model, PipelineConfig(min_box_score=0.0))
    for number, frame in enumerate(clip.sequence.frames):
        boxes = np.array([person.box for person in frame.people], np.float32).reshape(-1, 4)
        ids = np.array([person.track_id for person in frame.people], np.int64)
        result = pipeline.process(clip.frame(number, image=True), Boxes(boxes, np.ones(len(boxes), np.float32), ids))
        if result is not None:
            yield result
    yield from pipeline.flush()


def at_the_pixel(result: FramePoses, depth: np.ndarray, camera: CameraModel) -> list[np.ndarray]:
    """Each person's joints by the one depth value at the keypoint's pixel, NaN where there is none."""
    found = []
    for pose in result.poses:
        x, y = np.rint(pose.keypoints[:, :2]).astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < depth.shape[1]) & (y < depth.shape[0]) & (pose.keypoints[:, 2] > 0)
        z = np.where(inside, depth[np.where(inside, y, 0), np.where(inside, x, 0)], 0)
        found.append(np.where(z > 0, z, np.nan)[:, None] * camera.rays(pose.keypoints[:, :2]))
    return found


def at_true_depth(result: FramePoses, people: list[Person], camera: CameraModel) -> list[np.ndarray]:
    """Each person's joints in the image at the annotated depth, NaN where there is none."""
    known = {person.track_id: person.joints_3d for person in people if person.joints_3d is not None}
    blank = np.full((len(POSETRACK), 3), np.nan)
    return [
        known.get(pose.track_id, blank)[:, 2:].astype(np.float64) * camera.rays(pose.keypoints[:, :2])
        for pose in result.poses
    ]


@dataclass(frozen=True)
class Lifted:
    """A clip's people in three ways: by our lifting, by the pixel, at the true depth.

    seconds: of processor time that our lifting took, for `people` people.
    """

    ours: Sequence
    pixel: Sequence
    image: Sequence
    seconds: float
    people: int


def predictions(clip: Clip, poses: Iterator[FramePoses], device: DepthCamera) -> Lifted:
    """Lift all poses of a clip both ways."""
    rng, lifter = np.random.default_rng(0), Lifter(POSETRACK)
    ours: list[SequenceFrame] = []
    pixel: list[SequenceFrame] = []
    image: list[SequenceFrame] = []
    seconds, people = 0.0, 0
    for number, result in enumerate(poses):
        depth = measured(clip.depth(number), device, float(clip.camera.matrix[0, 0]), rng)
        start = process_time()
        lifted = lifter.lift(result, depth, clip.camera)
        seconds, people = seconds + process_time() - start, people + len(result.poses)
        frame = clip.sequence.frames[number]
        ours.append(replace(frame, people=_people(lifted)))
        pixel.append(_placed(frame, result, at_the_pixel(result, depth, clip.camera)))
        image.append(_placed(frame, result, at_true_depth(result, frame.people, clip.camera)))
    name = clip.sequence.name
    return Lifted(Sequence(name, ours), Sequence(name, pixel), Sequence(name, image), seconds, people)


def _placed(frame: SequenceFrame, result: FramePoses, places: list[np.ndarray]) -> SequenceFrame:
    return replace(frame, people=[_person(pose, joints) for pose, joints in zip(result.poses, places, strict=True)])


def _people(lifted: FramePoses3D) -> list[Person]:
    return [
        _person(one.pose, one.joints.astype(np.float64), one.covariances.astype(np.float64)) for one in lifted.people
    ]


def _person(pose: Pose, joints: np.ndarray, covariances: np.ndarray | None = None) -> Person:
    return Person(
        pose.keypoints.astype(np.float64), pose.track_id, pose.box.astype(np.float64), joints_3d=joints,
        covariances_3d=covariances,
    )  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """All ways' figures by group of joints, and our milliseconds of processor time a person."""

    ways: dict[str, dict[str, Accuracy3D]]
    milliseconds: float

    def report(self) -> str:
        """Lines of text."""
        parts = [f"{way}:\n{table(figures)}" for way, figures in self.ways.items()]
        return "\n".join([*parts, f"lifting: {self.milliseconds:.2f} ms of processor time a person"])

    def to_json(self) -> dict[str, Any]:
        """Plain numbers."""
        ways = {way: {group: one.to_json() for group, one in rows.items()} for way, rows in self.ways.items()}
        return {"ways": ways, "milliseconds": self.milliseconds}


def compare(clips: list[Clip], model: Path | None, device: DepthCamera) -> Comparison:
    """All ways on all clips; model None: of annotated joints."""
    truth = [clip.sequence for clip in clips]
    rows = [predictions(clip, estimated(clip, model) if model else annotated(clip), device) for clip in clips]
    ways = {
        "our lifting": evaluate_3d(frames_in_space(truth, [row.ours for row in rows])),
        "the pixel's depth": evaluate_3d(frames_in_space(truth, [row.pixel for row in rows])),
        "the image's error alone (true depth)": evaluate_3d(frames_in_space(truth, [row.image for row in rows])),
    }
    seconds, people = sum(row.seconds for row in rows), sum(row.people for row in rows)
    return Comparison(ways, 1000 * seconds / max(people, 1))


def main(arguments: list[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/lifting.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", type=Path, help="folder that `python -m training.data render clips` wrote")
    parser.add_argument("--model", type=Path, help="bundle of the model (default: the one shipped)")
    parser.add_argument("--annotated", action="store_true", help="annotated joints alone, no model")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file, as JSON")
    for name, value in vars(DepthCamera()).items():
        parser.add_argument(f"--{name}", type=type(value), default=value, help=f"of the depth camera ({value})")
    return carry_out(parser, arguments, _work)


def _work(args: argparse.Namespace) -> None:
    device = DepthCamera(**{name: getattr(args, name) for name in vars(DepthCamera())})
    clips = read_clips(args.clips)
    print(f"{len(clips)} clips, {sum(len(clip.sequence.frames) for clip in clips)} frames; {device}")
    models = [None] if args.annotated else [None, args.model or default_bundle()]
    found: dict[str, Any] = {}
    for model in models:
        name = "annotated joints" if model is None else f"joints of {model.name}, annotated boxes"
        comparison = compare(clips, model, device)
        found[name] = comparison.to_json()
        print(f"-- {name}\n{comparison.report()}")
    if args.json:
        write_json(args.json, {"clips": len(clips), "depth_camera": vars(device), "found": found})


if __name__ == "__main__":
    sys.exit(main())
