# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Made-up annotated sequences and imperfect predictions of them, for the tests of evaluation."""

from __future__ import annotations

import numpy as np

from sdtc_ros.ground_truth.sequence import Person, Sequence, SequenceFrame
from sdtc_ros.skeleton import POSETRACK, Skeleton

# a standing person, one unit tall: x, y of each of the 15 joints
_SHAPE = np.array(
    [
        (0.02, 0.07), (0.0, 0.14), (0.0, 0.0), (-0.12, 0.18), (0.12, 0.18), (-0.17, 0.35), (0.17, 0.35),
        (-0.19, 0.5), (0.19, 0.5), (-0.08, 0.52), (0.08, 0.52), (-0.09, 0.75), (0.09, 0.75), (-0.09, 1.0), (0.09, 1.0),
    ]
)  # fmt: skip


def person_at(x: float, y: float, height: float, track_id: int, skeleton: Skeleton = POSETRACK) -> Person:
    """A complete truth person whose head top is at (x, y)."""
    joints = _SHAPE[: len(skeleton)] * height + (x, y)
    keypoints = np.concatenate([joints, np.ones((len(joints), 1))], axis=1)
    box = np.array([x - 0.2 * height, y, 0.4 * height, height])
    head = np.array([x - 0.06 * height, y, 0.12 * height, 0.14 * height])
    return Person(keypoints, track_id, box, head)


def truth_set(
    rng: np.random.Generator, sequences: int, frames: int, people: int, skeleton: Skeleton = POSETRACK
) -> list[Sequence]:
    """People who walk, with joints left out, unlabelled frames and ignore regions; some people come and go."""
    return [_truth(rng, f"{n:06d}_mpii_test", frames, people, skeleton) for n in range(1, sequences + 1)]


def _truth(rng: np.random.Generator, name: str, count: int, people: int, skeleton: Skeleton) -> Sequence:
    start, step = rng.uniform(100, 900, (people, 2)), rng.normal(0, 8, (people, 2))
    height = rng.uniform(80, 300, people)
    frames = []
    for t in range(count):
        frame = SequenceFrame(f"images/val/{name}/{t:06d}.jpg", int(name[:6]) * 10000 + t, bool(rng.random() > 0.15))
        for i in range(people if frame.labelled else 0):
            if rng.random() < 0.9:
                person = person_at(*(start[i] + t * step[i]), height[i], i, skeleton)
                person.keypoints[rng.random(len(skeleton)) < 0.15] = 0
                frame.people.append(person)
        if rng.random() < 0.3:
            x, y = rng.uniform(100, 900, 2)
            frame.ignore = [np.array([(x, y), (x + 200, y + 20), (x + 180, y + 260), (x - 30, y + 200)])]
        frames.append(frame)
    return Sequence(name, frames, skeleton)


def predict(rng: np.random.Generator, truth: Sequence, noise: float = 0.03) -> Sequence:
    """Noisy predictions: people missed, doubled and invented, joints left out, tracks changed; no two scores tied."""
    frames = []
    for frame in truth.frames:
        people = []
        for person in frame.people:
            for copy in range(int(rng.choice([0, 1, 1, 1, 1, 2]))):
                identity = (person.track_id or 0) + 100 * copy + int(50 * (rng.random() < 0.1))
                people.append(_guess(rng, person, identity, noise))
        if rng.random() < 0.3:
            x, y = rng.uniform(100, 900, 2)
            people.append(_guess(rng, person_at(x, y, 150, 0, truth.skeleton), 200 + len(people), noise))
        frames.append(SequenceFrame(frame.name, frame.id, frame.labelled, people))
    return Sequence(truth.name, frames, truth.skeleton)


def _guess(rng: np.random.Generator, person: Person, identity: int, noise: float) -> Person:
    assert person.box is not None
    keypoints = person.keypoints.copy()
    unknown = ~person.annotated
    keypoints[unknown] = (*(person.box[:2] + person.box[2:] * 0.5), 1.0)
    keypoints[:, :2] += rng.normal(0, noise * person.box[3], (len(keypoints), 2))
    keypoints[rng.random(len(keypoints)) < 0.1] = 0
    return Person(keypoints, identity, person.box, None, float(rng.random()), rng.random(len(keypoints)))
