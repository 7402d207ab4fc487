# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Accuracy on clips of synthetic people, of whom everything is known.

The clips are those that `python -m training.data render clips` or `render bench` wrote, or stretches of the one that
ships. Boxes are the annotations', or those a detector might give for them: edges moved, some people missed, nothing
else known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.measure import Clock, Recorder
from sdtc_ros.demo.clip import clip_sequence, demo_clip
from sdtc_ros.errors import InputError
from sdtc_ros.evaluate import Result, evaluate
from sdtc_ros.ground_truth.posetrack import read_sequence
from sdtc_ros.ground_truth.sequence import Person, SequenceFrame
from sdtc_ros.ground_truth.sequence import Sequence as Annotations
from sdtc_ros.ground_truth.truth import Truth
from sdtc_ros.io.boxes_file import truth_boxes
from sdtc_ros.pipeline.pipeline import Pipeline
from sdtc_ros.skeleton import POSETRACK
from sdtc_ros.types import Boxes, Frame, FramePoses

RATE = 20.0  # frames a second of what is rendered
EDGE = 0.03  # standard deviation of a detected box's edges, of its width or height: an overlap of 0.91 on average
MISSED = 0.05  # of the people of a frame, at random
OCCLUDED = 0.7  # people of whom more than that is occluded are missed


@dataclass(frozen=True)
class Scene:
    """A clip: frames, the annotated people's boxes with their ids (all frames), and the annotations."""

    number: int
    frames: list[Frame]
    boxes: list[Boxes]
    truth: Annotations


@dataclass(frozen=True)
class Figures:
    """Percent: AP; PCKh (truth joints within half a head size of a prediction), of all joints and of kinds of them."""

    ap: float
    mota: float
    pckh: float
    wrists: float
    ankles: float
    occluded: float


@dataclass
class Run:
    """What one way's pipelines, one a scene, did over all scenes: crops encoded, people answered, seconds."""

    encoded: int = 0
    people: int = 0
    frames: int = 0
    seconds: float = 0.0
    answers: list[Annotations] = field(default_factory=list)


def play(
    scene: Scene, boxes: Sequence[Boxes | None], pipelines: Sequence[Pipeline], runs: Sequence[Run],
    recorder: Recorder, clock: Clock,
) -> None:  # fmt: skip
    """The scene, frame by frame through a pipeline of every way (all on `recorder`); they take turns at going first."""
    answers: list[list[FramePoses]] = [[] for _ in runs]
    for number, (frame, people) in enumerate(zip(scene.frames, boxes, strict=True)):
        for which in np.roll(np.arange(len(runs)), number).tolist():
            recorder.calls.clear()
            start = clock()
            answer = pipelines[which].process(frame, people)
            runs[which].seconds += clock() - start
            runs[which].encoded += recorder.encoded
            answers[which] += [answer] if answer else []
    for pipeline, run, own in zip(pipelines, runs, answers, strict=True):
        run.people += sum(len(answer.poses) for answer in own)
        run.frames += len(scene.frames)
        run.answers.append(predictions(scene, own + pipeline.flush()))


def find_scenes(folder: Path | None, count: int, frames: int) -> list[Scene]:
    """The first `frames` frames of up to `count` clips of a PoseTrack18 folder; without one, stretches of the demo's.

    Raises InputError for a folder without clips, or a clip whose pictures are missing.
    """
    if folder is None:
        clip = demo_clip()
        starts = range(0, max(len(clip.frames) - frames, 0) + 1, frames)[:count]
        parts = [clip.part(start, start + frames) for start in starts]
        return [
            _scene(number, part.frames, clip_sequence(part, f"clip{number}", f"images/val/clip{number}"))
            for number, part in enumerate(parts)
        ]
    files = sorted(folder.glob("annotations/*/*.json"))[:count]
    if not files:
        raise InputError(f"{folder} has no annotations/SPLIT/*.json, as `python -m training.data render clips` writes")
    scenes = []
    for number, file in enumerate(files):
        truth = read_sequence(file, POSETRACK)
        truth.frames = truth.frames[:frames]
        scenes.append(_scene(number, [_picture(folder / frame.name) for frame in truth.frames], truth))
    return scenes


def _picture(path: Path) -> npt.NDArray[np.uint8]:
    image = cv2.imread(str(path))
    if image is None:
        raise InputError(f"{path} is not a picture that can be read")
    return np.asarray(image, np.uint8)


def _scene(number: int, images: Sequence[npt.NDArray[np.uint8]], truth: Annotations) -> Scene:
    """A clip's frames with their stamps, and the annotated boxes."""
    table = truth_boxes(Truth(truth, {frame.id: number for number, frame in enumerate(truth.frames)}))
    given = [
        Frame(image, round(place * 1e9 / RATE), name=frame.name)
        for place, (image, frame) in enumerate(zip(images, truth.frames, strict=True))
    ]
    return Scene(number, given, [table.boxes(place, frame) for place, frame in enumerate(given)], truth)


def jittered(boxes: Boxes, random: np.random.Generator) -> Boxes:
    """The same people, each edge of each box moved by EDGE (standard deviation) of the box's side."""
    size = boxes.xywh[:, 2:]
    near = boxes.xywh[:, :2] + EDGE * size * random.normal(size=size.shape)
    far = boxes.xywh[:, :2] + size * (1 + EDGE * random.normal(size=size.shape))
    xywh = np.concatenate([near, np.maximum(far - near, 0.5 * size)], axis=1).astype(np.float32)
    return Boxes(xywh, boxes.scores, boxes.ids)


def detected(scene: Scene, number: int, draw: int = 0) -> Boxes:
    """What a detector sees in frame `number`: jittered boxes without ids, some people missed.

    Always the same for the same `draw`; another draw trembles and misses otherwise.
    """
    random = np.random.default_rng([scene.number, number, draw])
    boxes = jittered(scene.boxes[number], random)
    occluded = {person.track_id: _occluded(person) for person in scene.truth.frames[number].people}
    ids = [] if boxes.ids is None else boxes.ids.tolist()
    most = np.array([occluded.get(track, 1.0) <= OCCLUDED for track in ids], bool)  # unlisted: nothing of them is seen
    seen = most & (random.uniform(size=len(boxes)) >= MISSED)
    scores = random.uniform(0.5, 1.0, len(boxes)).astype(np.float32)
    return Boxes(boxes.xywh[seen], scores[seen])


def _occluded(person: Person) -> float:
    """Which part of the annotated joints is occluded."""
    return float(person.flags["occluded"][person.annotated].mean())


def predictions(scene: Scene, answers: Iterable[FramePoses]) -> Annotations:
    """A pipeline's answers to the scene as the evaluation reads them."""
    by_name = {frame.name: frame for frame in scene.truth.frames}
    frames = [
        SequenceFrame(answer.frame.name, by_name[answer.frame.name].id, True, [
            Person(
                np.concatenate([pose.keypoints[:, :2], np.ones((len(pose.keypoints), 1))], axis=1).astype(np.float64),
                pose.track_id, np.asarray(pose.box, np.float64), None, pose.score,
                pose.joint_scores.astype(np.float64),
            )
            for pose in answer.poses
        ])
        for answer in answers
    ]  # fmt: skip
    return Annotations(scene.truth.name, frames, scene.truth.skeleton, scene.truth.path)


def measure(truths: Sequence[Annotations], answers: Sequence[Annotations]) -> Figures:
    """Accuracy over all clips together, as over the files of a data set."""
    result = evaluate(list(truths), list(answers))
    occluded = result.subsets.get("occluded")
    return Figures(
        result.ap["total"], result.mota["total"] if result.mota else float("nan"), result.recall["total"],
        _pair(result, "wrist"), _pair(result, "ankle"), occluded.recall if occluded else float("nan"),
    )  # fmt: skip


def _pair(result: Result, joint: str) -> float:
    return (result.recall[f"left_{joint}"] + result.recall[f"right_{joint}"]) / 2


def standard_error(one: Sequence[float], other: Sequence[float]) -> float:
    """Of the mean difference of two figures that were taken on the same clips."""
    differences = np.subtract(one, other)
    return float(differences.std(ddof=1) / np.sqrt(len(differences))) if len(differences) > 1 else float("nan")
