# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Annotation files as labelling tools export them: categories in any order, objects, gaps, a byte order mark."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sdtc_ros.errors import InputError
from sdtc_ros.evaluate import evaluate
from sdtc_ros.evaluate.replays import measure_together
from sdtc_ros.ground_truth.frame_names import numbers_in, place_frames
from sdtc_ros.ground_truth.posetrack import POSETRACK_SLOTS, parse_sequence, read_folder, read_sequence
from sdtc_ros.ground_truth.sequence import Sequence, SequenceFrame
from sdtc_ros.ground_truth.truth import place
from sdtc_ros.io.boxes_file import read_boxes
from sdtc_ros.skeleton import POSETRACK

SLOTS = list(POSETRACK_SLOTS)
PERSON = {"id": 1, "name": "person", "keypoints": SLOTS}


def annotation(image: int, track: int | None, **more: object) -> dict[str, object]:
    rng = np.random.default_rng(100 * image + (track or 0))
    points = np.ones((17, 3))
    points[:, :2] = rng.uniform(10, 90, (17, 2)) + 200 * (track or 0)
    found = {"image_id": image, "category_id": 1, "keypoints": points.ravel().tolist(), "bbox": [1, 1, 99, 99]}
    found |= {"bbox_head": [1, 1, 30, 30], "scores": [0.5] * 17}
    return found | ({} if track is None else {"track_id": track}) | more


def content(*people: dict[str, object], categories: object = (PERSON,), frames: int = 4) -> dict[str, object]:
    images = [{"id": n, "file_name": f"{n:06d}.jpg"} for n in range(frames)]
    return {"images": images, "annotations": list(people), "categories": list(categories)}


def everyone(frames: int = 4) -> list[dict[str, object]]:
    return [annotation(n, track) for n in range(frames) for track in (1, 2)]


def sequence(tmp_path, data) -> Sequence:
    return parse_sequence(data, tmp_path / "x.json")


@pytest.mark.parametrize(
    "others",
    [
        [{"id": 0, "name": "people", "supercategory": "none"}],
        [{"id": 5, "name": "person_bbox", "keypoints": []}],
        [{"id": 5, "name": "ball"}],
        [{"id": 5, "name": "dog", "keypoints": ["nose", "tail"]}],
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_the_category_of_people_may_stand_anywhere(tmp_path, others, first):
    categories = [*others, PERSON] if first else [PERSON, *others]
    ball = {"image_id": 0, "category_id": others[0]["id"], "bbox": [3, 3, 5, 5]}
    read = sequence(tmp_path, content(*everyone(), ball, categories=categories))
    assert [len(frame.people) for frame in read.frames] == [2, 2, 2, 2]
    assert np.allclose(read.frames[0].people[0].keypoints[0, :2], everyone()[0]["keypoints"][:2])


def test_a_file_without_the_joints_says_which(tmp_path):
    with pytest.raises(InputError, match=r"categories\[1\].keypoints lacks head_top of the posetrack skeleton"):
        sequence(tmp_path, content(categories=[{"name": "x"}, PERSON | {"keypoints": SLOTS[:2] + SLOTS[3:]}]))
    twice = [PERSON, PERSON | {"id": 2, "name": "pedestrian"}]
    with pytest.raises(InputError, match="'person' and 'pedestrian' both have the joints"):
        sequence(tmp_path, content(categories=twice))


def test_people_without_keypoints_are_left_out_and_said(tmp_path, caplog):
    read = sequence(tmp_path, content(*everyone(), annotation(1, 7, keypoints=[])))
    assert [len(frame.people) for frame in read.frames] == [2, 2, 2, 2]
    assert "1 people without keypoints are ignored" in caplog.text


def test_a_byte_order_mark(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps(content(*everyone())), encoding="utf-8-sig")
    assert len(read_sequence(tmp_path / "x.json").frames) == 4


def test_one_person_without_a_track_id_costs_that_person_only(tmp_path):
    predictions = sequence(tmp_path, content(*everyone()))
    whole = evaluate([sequence(tmp_path, content(*everyone()))], [predictions])
    assert whole.mota["total"] == 100
    stranger = annotation(2, 5)
    del stranger["track_id"]
    more = evaluate([sequence(tmp_path, content(*everyone(), stranger))], [predictions])
    assert more.mota["total"] == 100
    assert "1 annotated people have no track id and are left out of MOTA" in more.warnings
    untracked = [*everyone()[1:], {k: v for k, v in everyone()[0].items() if k != "track_id"}]
    fewer = evaluate([sequence(tmp_path, content(*untracked))], [predictions])
    assert fewer.mota["total"] == 100  # nor is the prediction of that person a false one
    missed = evaluate([sequence(tmp_path, content(*everyone()))], [sequence(tmp_path, content(*untracked))])
    assert missed.mota["total"] == pytest.approx(100 * 5 / 6)  # but an answer without an id follows nobody
    nobody = [{k: v for k, v in person.items() if k != "track_id"} for person in everyone()]
    assert evaluate([sequence(tmp_path, content(*nobody))], [predictions]).mota is None


def test_a_track_id_twice_in_a_frame_of_the_truth_is_refused(tmp_path):
    truth = sequence(tmp_path, content(*everyone(), annotation(3, 1)))
    with pytest.raises(InputError, match="x.json: frame 000003.jpg gives track id 1 to two people"):
        evaluate([truth], [sequence(tmp_path, content(*everyone()))])


NAMES = {
    "slash": "images/val/demo/{:06d}.jpg",
    "backslash": "images\\val\\demo\\{:06d}.jpg",
    "other ending": "{:06d}.png",
    "unpadded": "demo/{}.jpg",
    "query": "demo/{:06d}.jpg?x=1",
    "encoded": "images%2Fval%5C{:06d}.jpg",
    "local files": "/data/local-files/?d=demo/{:06d}.jpg",
    "upload": "/data/upload/3/3f2a1b9c-{:06d}.jpg",
    "uuid": "550e8400-e29b-41d4-a716-446655440000-{:06d}.jpg",
    "roboflow": "{:06d}_jpg.rf.4be3a91c0f7d8e.jpg",
    "cvat": "frame_{:06d}.PNG",
    "version": "{:06d}_v2.jpg",
}


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("folder", [True, False])
def test_sparse_annotations_are_found_by_name_or_number(kind, folder):
    names = [NAMES[kind].format(n) for n in (4, 8, 12)]
    pictures = [f"{n:06d}.jpg" for n in range(24)] if folder else None
    assert place_frames(names, [], pictures, 24, "truth").numbers == [4, 8, 12]


@pytest.mark.parametrize(
    ("names", "ids", "first"),
    [
        ([f"{n:08d}.jpg" for n in range(24)], [], 0),  # eight digits, but from 0
        ([f"{n:08d}.jpg" for n in range(1, 25)], [], 1),  # PoseTrack17
        ([f"{n:08d}.jpg" for n in (4, 8)], [], 1),
        ([f"{n:08d}.jpg" for n in (4, 8)], [10000000004, 10000000008], 0),  # as its ids say
        ([f"{n:06d}.jpg" for n in (4, 8)], [10000000003, 10000000007], 1),
        ([f"{n:06d}.jpg" for n in range(1, 25)], [], 1),  # the last would lie beyond the input's end
        ([f"{n:06d}.jpg" for n in (4, 8)], [1, 2], 0),
    ],
)
def test_where_numbers_count_from(names, ids, first):
    numbers = place_frames(names, ids, None, 24, "truth").numbers
    assert numbers == [n - first for n in numbers_in(names)]


def test_what_can_only_be_guessed_is_refused():
    pictures = [f"shot_{n:04d}.png" for n in range(1, 25)]
    for names, given, said in (
        (["left.jpg", "right.jpg"], None, "contain no frame number"),
        (["left.jpg"], pictures, "no image name .such as 'left.jpg'. matches an image"),
        ([f"{n:06d}.jpg" for n in range(24)], pictures, "'000000.jpg' and 'shot_0001.png', say, count differently"),
        (["000900.jpg"], pictures, "no number agrees"),
    ):
        with pytest.raises(InputError, match=said):
            place_frames(names, [], given, 24, "truth")


def test_frames_that_are_not_the_inputs_are_counted():
    frames = [SequenceFrame(f"{n:06d}.jpg", n, True) for n in (4, 8, 30)]
    read = Sequence("x", frames)
    for frame in frames:
        frame.people = [object()]
    truth = place(read, None, 24)
    assert truth.absent({4, 8}, 0, float("inf")) == 1
    assert truth.absent({4}, 0, 6) == 0


@pytest.mark.parametrize("named", [True, False])
def test_replays_are_evaluated_together_whether_they_had_the_truth_or_not(tmp_path, named):
    truth = content(*everyone())
    for n, image in enumerate(truth["images"]):
        image["file_name"] = f"images\\val\\{4 * n:06d}.jpg"
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    images = [
        {"id": 900 + n, "file_name": f"clip/{n:06d}.jpg", "number": n, "stamp": n + 1, "is_labeled": True}
        for n in range(16)
    ]
    people = [annotation(n, track) | {"image_id": 900 + 4 * n} for n in range(4) for track in (1, 2)]
    if named:
        for n in range(4):
            images[4 * n]["file_name"] = truth["images"][n]["file_name"]
    (tmp_path / "poses.json").write_text(json.dumps({"images": images, "annotations": people, "categories": [PERSON]}))
    result = measure_together([(tmp_path / "truth.json", tmp_path / "poses.json")], POSETRACK)
    assert result.ap["total"] == 100


@pytest.mark.parametrize("place", ["image_id", "track_id"])
def test_numbers_beyond_64_bits_are_refused(tmp_path, place):
    with pytest.raises(InputError, match=f"'{place}' is larger than any number of 64 bits"):
        sequence(tmp_path, content(annotation(0, 1, **{place: 2**70})))
    with pytest.raises(InputError, match="flat list of"):
        sequence(tmp_path, content(annotation(0, 1, keypoints=[10**400] * 51)))


def test_companions_of_macos_are_no_annotations(tmp_path):
    (tmp_path / "truth.json").write_text(json.dumps(content(*everyone())))
    (tmp_path / "._truth.json").write_bytes(b"\0\5\x16\7")
    assert [read.name for read in read_folder(tmp_path)] == ["truth"]


@pytest.mark.parametrize("identity", [{}, [], {"a": 1}])
def test_category_ids_that_are_none(tmp_path, identity):
    ball = {"id": 2, "name": "ball"}
    data = content(annotation(0, 1) | {"category_id": identity}) | {"categories": [PERSON, ball]}
    assert len(sequence(tmp_path, data).frames[0].people) == 1
    (tmp_path / "x.json").write_text(json.dumps(data))
    assert len(read_boxes(tmp_path / "x.json")) == 1
    with pytest.raises(InputError, match="a category's 'id' must be a number or a text"):
        sequence(tmp_path, data | {"categories": [PERSON, ball | {"id": identity}]})
