# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Reading and writing PoseTrack files: what comes in, what goes out, and every way in which a file can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pose_sets import person_at, predict, truth_set

from sdtc_ros.errors import InputError
from sdtc_ros.evaluate import evaluate
from sdtc_ros.ground_truth.posetrack import POSETRACK_SLOTS, read_folder, read_sequence
from sdtc_ros.ground_truth.posetrack_write import sequence_from_poses, sequence_to_json, write_folder, write_sequence
from sdtc_ros.ground_truth.sequence import Sequence, SequenceFrame
from sdtc_ros.skeleton import COCO, POSETRACK
from sdtc_ros.types import Frame, FramePoses, Pose

REAL = Path(__file__).resolve().parents[3] / "shared/data/posetrack18/annotations/val/009473_mpii_test.json"


@pytest.mark.skipif(not REAL.is_file(), reason=f"no real annotation at {REAL}")
def test_a_real_annotation_file():
    sequence = read_sequence(REAL)
    (frame,) = sequence.frames
    assert (sequence.name, frame.name) == ("009473_mpii_test", "images/val/009473_mpii_test/000000.jpg")
    assert frame.labelled
    assert len(frame.people) == 2
    assert len(frame.ignore) > 0
    person = frame.people[0]
    assert person.keypoints[POSETRACK.index("nose")].tolist() == [750, 297.5, 1]
    assert person.keypoints[POSETRACK.index("right_ankle")].tolist() == [672, 782.5, 1]
    assert person.head_box is not None
    assert person.head_box.tolist() == [648, 253, 138, 103]
    assert person.annotated.sum() == 14
    assert not person.annotated[POSETRACK.index("left_elbow")]


def test_what_is_written_is_read_again(tmp_path):
    rng = np.random.default_rng(0)
    truth = truth_set(rng, 2, 4, 3)
    truth[0].frames[0].people[0].flags = {"occluded": np.arange(15) % 2 == 0}
    guess = [predict(rng, sequence) for sequence in truth]
    for sequences, folder in ((truth, tmp_path / "truth"), (guess, tmp_path / "guess")):
        write_folder(sequences, folder)
        for before, after in zip(sequences, read_folder(folder), strict=True):
            assert sequence_to_json(before) == sequence_to_json(after)
            assert after.path == folder / f"{before.name}.json"
    file = tmp_path / "truth" / f"{truth[0].name}.json"
    for text in (file.read_text(), file.read_text().replace('"occluded"', '"hidden"')):  # as earlier versions wrote
        file.write_text(text)
        flags = read_folder(tmp_path / "truth")[0].frames[0].people[0].flags
        assert {name: mask.tolist() for name, mask in flags.items()} == {"occluded": [True, False] * 7 + [True]}


def test_prediction_files_have_what_the_official_tools_read():
    rng = np.random.default_rng(1)
    (truth,) = truth_set(rng, 1, 3, 2)
    data = sequence_to_json(predict(rng, truth))
    assert data["categories"][0]["keypoints"] == list(POSETRACK_SLOTS)
    assert data["categories"][0]["name"] == "person"
    assert [image["id"] for image in data["images"]] == [frame.id for frame in truth.frames]
    ids = set()
    for annotation in data["annotations"]:
        assert len(annotation["keypoints"]) == 51
        assert len(annotation["scores"]) == 17
        assert annotation["keypoints"][9:15] == [0] * 6  # the ears
        assert {"track_id", "image_id", "bbox", "score", "category_id", "id"} <= set(annotation)
        ids.add(annotation["id"])
    assert len(ids) == len(data["annotations"])


def test_track_ids_that_poseval_refuses_are_renumbered():
    frames = [SequenceFrame(f"a/{t:06d}.jpg", t, True, [person_at(50, 50, 99, i) for i in (12345, 3)]) for t in (0, 1)]
    assert [a["track_id"] for a in sequence_to_json(Sequence("a", frames))["annotations"]] == [0, 3, 0, 3]
    for frame in frames:
        frame.people[0].track_id = None  # two people without a track are two
    assert [a["track_id"] for a in sequence_to_json(Sequence("a", frames))["annotations"]] == [0, 3, 1, 3]
    frames[0].people[1].track_id = 0  # nor does one without a track take another's number
    frames[1].people[1].track_id = 0
    assert [a["track_id"] for a in sequence_to_json(Sequence("a", frames))["annotations"]] == [1, 0, 2, 0]


def test_category_names_decide_which_slot_is_which_joint(tmp_path):
    joints = list(POSETRACK.joints[::-1])
    annotation = {"image_id": 1, "keypoints": np.arange(1.0, 46.0).tolist()}
    data = {
        "images": [{"id": 1, "file_name": "a/0.jpg"}],
        "annotations": [annotation],
        "categories": [{"keypoints": joints}],
    }
    (tmp_path / "a.json").write_text(json.dumps(data))
    person = read_sequence(tmp_path / "a.json").frames[0].people[0]
    assert person.keypoints[0].tolist() == [43, 44, 45]
    assert (person.track_id, person.box, person.head_box, person.joint_scores, person.score) == (None,) * 5


def annolist() -> dict:
    """A PoseTrack17 file: a person with two points, one without any, a region to ignore, and an empty frame."""
    points = [
        {"id": [0], "x": [10], "y": [20], "is_visible": [0], "score": [0.5]},
        {"id": [14], "x": [30.5], "y": [2], "is_visible": []},
    ]
    rect = {"x1": [25], "y1": [0], "x2": [35], "y2": [12], "track_id": [4], "annopoints": [{"point": points}]}
    region = {"point": [{"x": [0], "y": [0]}, {"x": [9], "y": [0]}, {"x": [9], "y": [9]}]}
    first = {"image": [{"name": "images/a/00000001.jpg"}], "imgnum": [1], "ignore_regions": [region]}
    return {
        "annolist": [
            first | {"annorect": [rect, rect | {"annopoints": []}]},
            {"image": [{"name": "images/a/00000002.jpg"}], "annorect": []},
        ]
    }


def test_a_posetrack17_file(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(annolist()))
    first, second = read_sequence(tmp_path / "a.json").frames
    (person,) = first.people
    assert (first.labelled, second.labelled, first.pointless) == (True, False, 1)
    assert person.keypoints[POSETRACK.index("right_ankle")].tolist() == [10, 20, 0]
    assert person.keypoints[POSETRACK.index("head_top")].tolist() == [30.5, 2, 1]
    assert person.annotated.sum() == 2
    assert person.track_id == 4
    assert person.head_box is not None
    assert person.head_box.tolist() == [25, 0, 10, 12]
    assert person.joint_scores is not None
    assert person.joint_scores[POSETRACK.index("right_ankle")] == 0.5
    assert first.ignore[0].tolist() == [[0, 0], [9, 0], [9, 9]]


def test_a_posetrack17_frame_counts_for_the_person_without_points(tmp_path):
    """poseval drops that person but not the frame: what is predicted in it is false."""
    data = annolist()
    data["annolist"][0]["annorect"] = [{"annopoints": [], "track_id": [1]}]
    (tmp_path / "a.json").write_text(json.dumps(data))
    truth = read_sequence(tmp_path / "a.json")
    guess = Sequence("a", [SequenceFrame("images/a/00000001.jpg", 0, True, [person_at(500, 500, 99, 0)])])
    result = evaluate([truth], [guess], "posetrack17")
    assert (result.counts["frames"], result.precision["total"]) == (1, 0.0)


def base() -> dict:
    annotation = {
        "image_id": 7,
        "track_id": 1,
        "keypoints": [1.0] * 51,
        "scores": [0.5] * 17,
        "bbox_head": [0, 0, 9, 9],
    }
    return {"images": [{"id": 7, "file_name": "a/0.jpg"}], "annotations": [annotation]}


def change(*path_and_value):
    """The base file with the value at a path replaced (or, for the value `...`, removed)."""
    data = annolist() if path_and_value[0] == "annolist" else base()
    at = data
    for key in path_and_value[:-2]:
        at = at[key]
    if path_and_value[-1] is ...:
        del at[path_and_value[-2]]
    else:
        at[path_and_value[-2]] = path_and_value[-1]
    return json.dumps(data)


POLYGON = {"id": 7, "file_name": "a", "ignore_regions_x": [[1, 2, 3]]}
RECT = ("annolist", 0, "annorect", 0)
BAD = {
    "cut short": (json.dumps(base())[:60], "not valid JSON"),
    "empty": ("", "not valid JSON"),
    "a list": ("[]", "not a PoseTrack file"),
    "another format": ('{"video": 1}', "not a PoseTrack file: expected 'images'"),
    "no annotations": (change("annotations", ...), "lacks 'annotations'"),
    "images no list": (change("images", 3), "'images' must be a list, but is a whole number"),
    "an image no object": (change("images", 0, 3), r"images\[0\] must be a JSON object"),
    "no file name": (change("images", 0, "file_name", ...), r"images\[0\] lacks 'file_name'"),
    "id as text": (change("images", 0, "id", "7"), r"images\[0\]: 'id' must be a whole number, but is a text"),
    "repeated id": (change("images", [base()["images"][0]] * 2), r"images\[1\] repeats the image id 7"),
    "ragged polygon": (
        change("images", 0, POLYGON | {"ignore_regions_y": [[1, 2]]}),
        r"ignore_regions_y\[0\] must hold 3 numbers, but holds 2",
    ),
    "polygons without y": (change("images", 0, POLYGON), "as many polygons"),
    "unknown image": (change("annotations", 0, "image_id", 8), r"annotations\[0\] refers to image id 8"),
    "an annotation no object": (change("annotations", 0, []), r"annotations\[0\] must be a JSON object"),
    "no keypoints": (change("annotations", 0, "keypoints", ...), r"annotations\[0\] lacks 'keypoints'"),
    "ragged keypoints": (
        change("annotations", 0, "keypoints", [1.0] * 50),
        r"annotations\[0\].keypoints must hold 51 numbers, but holds 50",
    ),
    "nested keypoints": (
        change("annotations", 0, "keypoints", [[1.0]] * 51),
        r"annotations\[0\].keypoints must be a flat list",
    ),
    "keypoints with text": (
        change("annotations", 0, "keypoints", ["x"] * 51),
        r"annotations\[0\].keypoints must be a flat list",
    ),
    "keypoints with nan": (
        change("annotations", 0, "keypoints", [float("nan")] * 51),
        r"annotations\[0\].keypoints must be .* finite",
    ),
    "few scores": (
        change("annotations", 0, "scores", [0.5] * 15),
        r"annotations\[0\].scores must hold 17 numbers, but holds 15",
    ),
    "score as text": (change("annotations", 0, "score", "high"), r"annotations\[0\]: 'score' must be a finite number"),
    "track id as text": (
        change("annotations", 0, "track_id", "one"),
        r"annotations\[0\]: 'track_id' must be a whole number",
    ),
    "head box of three": (
        change("annotations", 0, "bbox_head", [1, 2, 3]),
        r"annotations\[0\].bbox_head must hold 4 numbers",
    ),
    "COCO's joints": (
        change("categories", [{"keypoints": list(COCO.joints)}]),
        r"categories\[0\].keypoints lacks head_bottom, head_top",
    ),
    "categories no list": (change("categories", "person"), "'categories' must be a list"),
    "17: no image": (change("annolist", 0, "image", ...), r"annolist\[0\] lacks 'image'"),
    "17: no name": (change("annolist", 0, "image", []), r"annolist\[0\].image\[0\] must be a JSON object with 'name'"),
    "17: no rects": (change("annolist", 1, "annorect", ...), r"annolist\[1\] lacks 'annorect'"),
    "17: rect no object": (change(*RECT, 5), r"annorect\[0\] must be a JSON object"),
    "17: unknown point": (
        change(*RECT, "annopoints", 0, "point", 0, "id", [15]),
        r"point\[0\]: 'id' must be 0 to 14, but is 15",
    ),
    "17: point without x": (change(*RECT, "annopoints", 0, "point", 1, "x", ...), r"point\[1\] lacks 'x'"),
    "17: empty scalar": (change(*RECT, "x1", []), r"annorect\[0\]: 'x1' must hold one finite number"),
    "17: points no list": (change(*RECT, "annopoints", [{"point": 4}]), r"annopoints\[0\]: 'point' must be a list"),
    "17: region without points": (change("annolist", 0, "ignore_regions", [{}]), r"ignore_regions\[0\] lacks 'point'"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_with_a_file_is_said_in_one_sentence(tmp_path, case):
    content, message = BAD[case]
    path = tmp_path / "000001_test.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read_sequence(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_folders_that_hold_nothing(tmp_path):
    with pytest.raises(InputError, match="does not exist; expected a folder with one PoseTrack JSON file a sequence"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no \*.json file"):
        read_folder(tmp_path)
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as JSON text"):
        read_folder(tmp_path)


def test_writing_where_one_cannot(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="cannot be written"):
        write_sequence(Sequence("a", []), tmp_path / "file" / "a.json")
    assert (tmp_path / "file").read_text() == "mine"


def pose(track_id: int, x: float) -> Pose:
    keypoints = np.full((15, 3), 0.75, np.float32)
    keypoints[:, 0] = x
    return Pose(track_id, np.array([x, 0, 10, 20], np.float32), 0.9, keypoints, np.zeros((15, 3), np.float32), 0.6)


def output(name: str, *poses: Pose) -> FramePoses:
    return FramePoses(Frame(np.zeros((2, 2, 3), np.uint8), 0, name=name), list(poses))


def test_a_pipelines_poses_become_predictions_of_the_truths_frames():
    truth = Sequence("seq", [SequenceFrame(f"images/val/seq/{t:06d}.jpg", 70 + t, True) for t in range(3)])
    made = sequence_from_poses(
        "x", [output("images/val/seq/000002.jpg", pose(5, 1)), output("000000.jpg", pose(6, 2))], truth
    )
    assert made.name == "seq"
    assert [(f.id, [p.track_id for p in f.people]) for f in made.frames] == [(70, [6]), (71, []), (72, [5])]
    person = made.frames[2].people[0]
    assert person.joint_scores is not None
    assert person.joint_scores.tolist() == pytest.approx([0.6] * 15)  # 0.75, the box's score with it
    assert person.keypoints[0].tolist() == [1, 0.75, 1]
    assert person.score == pytest.approx(0.6)
    in_order = sequence_from_poses("x", [output("", pose(5, 1)), output("", pose(6, 2))], truth)
    assert [[p.track_id for p in f.people] for f in in_order.frames] == [[5], [6], []]


def test_a_pipelines_poses_without_a_truth_are_numbered():
    made = sequence_from_poses("clip", [output("", pose(1, 1)), output("b.png", pose(1, 2))])
    assert [(f.id, f.name) for f in made.frames] == [(0, "clip/000000.jpg"), (1, "b.png")]


def test_poses_that_do_not_fit_the_truth_are_named():
    truth = Sequence("seq", [SequenceFrame("seq/000000.jpg", 1, True)])
    with pytest.raises(InputError, match="the frame other.jpg is not among those of sequence seq"):
        sequence_from_poses("x", [output("other.jpg")], truth)
    with pytest.raises(InputError, match=r"two of the poses' frames are seq/000000.jpg"):
        sequence_from_poses("x", [output("seq/000000.jpg"), output("000000.jpg")], truth)
    with pytest.raises(InputError, match="more frames with poses than the 1 of sequence seq"):
        sequence_from_poses("x", [output(""), output("")], truth)
    with pytest.raises(InputError, match="poses have 15 joints; the coco skeleton has 17"):
        sequence_from_poses("x", [output("", pose(1, 1))], skeleton=COCO)
