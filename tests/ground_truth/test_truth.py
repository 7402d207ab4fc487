# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Annotations beside an input: whose rules they are measured by, and HiEve's as they are published."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sdtc_ros.errors import InputError
from sdtc_ros.evaluate.replays import measure, measure_together
from sdtc_ros.ground_truth.posetrack_write import write_sequence
from sdtc_ros.ground_truth.sequence import Person, Sequence, SequenceFrame
from sdtc_ros.ground_truth.truth import read_truth
from sdtc_ros.skeleton import COCO, HIEVE, POSETRACK, Skeleton


def hieve_video(folder: Path) -> Path:
    """Two frames of one person."""
    folder.mkdir(parents=True)
    joints = "".join(f"<{joint}>{10 + 5 * i},{20 + 3 * i},0</{joint}>" for i, joint in enumerate(HIEVE.joints))
    box = "<xmin>5</xmin><ymin>5</ymin><xmax>95</xmax><ymax>95</ymax>"
    for number in (0, 1):
        person = f"<object><name>P-4</name><bndbox>{box}{joints}</bndbox></object>"
        (folder / f"{number:06d}.xml").write_text(f"<annotation>{person}</annotation>")
    return folder


def poses_file(path: Path, name: str, skeleton: Skeleton) -> Path:
    """The poses of two frames, those of `hieve_video`."""
    points = np.array([[10 + 5 * i, 20 + 3 * i, 1] for i in range(len(skeleton))], float)
    frames = [
        SequenceFrame(f"{name}/{n:06d}.jpg", n, True, [Person(points, 1, score=0.9, joint_scores=points[:, 2])])
        for n in (0, 1)
    ]
    write_sequence(Sequence(name, frames, skeleton), path)
    return path


@pytest.mark.parametrize("where", ["annotations", "annotations/video"])
def test_hieves_xml_is_the_truth_of_a_replay(tmp_path, where):
    hieve_video(tmp_path / "annotations" / "video")
    hieve_video(tmp_path / "annotations" / "other")
    truth = read_truth(tmp_path / where, "video", HIEVE)
    assert (truth.sequence.name, truth.protocol, truth.number_of) == ("video", "hieve", {0: 0, 1: 1})
    poses = poses_file(tmp_path / "poses.json", "video", HIEVE)
    result = measure(truth, poses, {0, 1}).result
    assert result.protocol.name == "hieve"
    assert result.ap["total"] == pytest.approx(100)
    assert result.poses["AP@90"] == pytest.approx(100)


def truth_file(path: Path, **more: object) -> Path:
    """A frame of one person of PoseTrack's joints, every annotation with `more`."""
    points = np.array([[10 + 5 * i, 20 + 3 * i, 1] for i in range(15)], float)
    person = Person(points, 1, head_box=np.array([5.0, 5, 20, 20]))
    write_sequence(Sequence(path.stem, [SequenceFrame(f"{path.stem}/000000.jpg", 0, True, [person])]), path)
    data = json.loads(path.read_text())
    for annotation in data["annotations"]:
        annotation.update(more)
    path.write_text(json.dumps(data))
    return path


def test_a_files_content_says_whose_rules_count(tmp_path):
    assert read_truth(truth_file(tmp_path / "a.json"), "a", POSETRACK).protocol == "posetrack18"
    assert read_truth(truth_file(tmp_path / "b.json", person_id=2), "b", POSETRACK).protocol == "posetrack21"


def test_annotations_of_images_of_another_size_are_refused(tmp_path):
    """Made on scaled copies, or for another video: the figures would be wrong, and nothing else would tell."""
    file = truth_file(tmp_path / "a.json")
    assert read_truth(file, "a", POSETRACK, size=(80, 60)).sequence.frames[0].size is None
    data = json.loads(file.read_text())
    data["images"][0] |= {"width": 160, "height": 120}
    file.write_text(json.dumps(data))
    assert read_truth(file, "a", POSETRACK, size=(160, 120)).sequence.frames[0].size == (160, 120)
    with pytest.raises(InputError, match="a.json annotates images of 160 x 120, but the input's are 320 x 240; give"):
        read_truth(file, "a", POSETRACK, size=(320, 240))


def test_data_sets_of_other_rules_are_not_mixed_unasked(tmp_path):
    pairs = [
        (truth_file(tmp_path / "a.json"), poses_file(tmp_path / "pa.json", "a", POSETRACK)),
        (truth_file(tmp_path / "b.json", person_id=2), poses_file(tmp_path / "pb.json", "b", POSETRACK)),
    ]
    with pytest.raises(InputError, match=r"several data sets .*of posetrack18, .*of posetrack21.*--protocol"):
        measure_together(pairs, POSETRACK)
    assert measure_together(pairs, POSETRACK, "posetrack18").counts["frames"] == 2
    assert measure_together(pairs[1:], POSETRACK).protocol.name == "posetrack21"


def test_a_model_of_other_joints_is_measured_on_those_that_the_annotations_have(tmp_path):
    """The joints are told apart by their names: a model's 17 of COCO against PoseTrack's 15, which share 13."""
    truth_path, poses = truth_file(tmp_path / "a.json"), poses_file(tmp_path / "poses.json", "a", COCO)
    truth = read_truth(truth_path, "a", COCO)
    assert truth.sequence.skeleton is POSETRACK
    result = measure(truth, poses, {0}).result
    assert list(result.ap) == [joint for joint in POSETRACK.joints if joint in COCO.joints] + ["total"]
    assert "measured on the 13 joints that the model has of the 15 annotated ones, without head_bottom, head_top" in (
        result.warnings
    )
    together = measure_together([(truth_path, poses)], COCO)
    assert together.ap == result.ap
    points = {joint: [10 + 5 * i, 20 + 3 * i] for i, joint in enumerate(POSETRACK.joints)}
    found = {joint: [10 + 5 * i, 20 + 3 * i] for i, joint in enumerate(COCO.joints)}
    near = [joint for joint in points if joint in found and np.hypot(*np.subtract(points[joint], found[joint])) < 3.6]
    assert [joint for joint, ap in result.ap.items() if ap == 100] == near, "hits of the same joint, not of its number"
