# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Boxes from outside: by number, name or stamp, from lists and annotations, and between labelled frames."""

import json

import numpy as np
import pytest

from sdtc_ros.errors import InputError
from sdtc_ros.ground_truth.sequence import Person, Sequence, SequenceFrame
from sdtc_ros.ground_truth.truth import Truth, place
from sdtc_ros.io.boxes_file import read_boxes, truth_boxes
from sdtc_ros.types import Frame

IMAGE = np.zeros((4, 4, 3), np.uint8)


def write(path, data):
    path.write_text(json.dumps(data))
    return path


@pytest.mark.parametrize("key", [{"frame": 12}, {"stamp": 99}, {"image_name": "images/val/x/000012.jpg"}])
def test_a_list_of_boxes_finds_its_frame(tmp_path, key):
    box = {"bbox": [1, 2, 3, 4], "score": 0.5, "track_id": 8, **key}
    table = read_boxes(write(tmp_path / "boxes.json", [box]))
    found = table.boxes(12, Frame(IMAGE, 99, "", "clip/000012.jpg"))
    assert found.xywh.tolist() == [[1, 2, 3, 4]]
    assert (found.scores.tolist(), found.ids.tolist()) == ([0.5], [8])
    assert len(table.boxes(13, Frame(IMAGE, 100, "", "clip/000013.jpg"))) == 0
    assert table.what == "boxes from boxes.json"


def test_boxes_without_track_ids_leave_tracking_to_the_pipeline(tmp_path):
    table = read_boxes(write(tmp_path / "b.json", [{"frame": 0, "bbox": [0, 0, 9, 9]}]))
    boxes = table.boxes(0, Frame(IMAGE, 0))
    assert boxes.ids is None
    assert boxes.scores.tolist() == [1.0]


def test_an_annotation_file_is_a_boxes_file(tmp_path):
    data = {
        "images": [{"id": 5, "file_name": "images/val/x/000003.jpg"}],
        "annotations": [{"image_id": 5, "bbox": [1, 2, 3, 4], "track_id": 2}],
    }
    boxes = read_boxes(write(tmp_path / "b.json", data)).boxes(0, Frame(IMAGE, 0, "", "here/000003.jpg"))
    assert boxes.xywh.tolist() == [[1, 2, 3, 4]]
    data["images"][0] |= {"width": 640, "height": 480}
    file = write(tmp_path / "b.json", data)
    assert len(read_boxes(file, (640, 480))) == len(read_boxes(file)) == 1
    with pytest.raises(InputError, match="b.json annotates images of 640 x 480, but the input's are 1280 x 960"):
        read_boxes(file, (1280, 960))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "contains no boxes"),
        ({"boxes": []}, "is not a boxes file"),
        ([{"frame": 1}], r"\[0\] lacks 'bbox'"),
        ([{"frame": 1, "bbox": [1, 2, 3]}], r"\[0\].bbox must hold 4 numbers"),
        ([{"frame": 1, "bbox": [1, 2, 3, 4], "score": 2}], "'score' must be between 0 and 1"),
        ([{"bbox": [1, 2, 3, 4]}], "lacks 'image_name'"),
        ([{"frame": "x", "bbox": [1, 2, 3, 4]}], "'frame' must be a whole number"),
    ],
)
def test_faulty_boxes_files(tmp_path, data, message):
    with pytest.raises(InputError, match=message):
        read_boxes(write(tmp_path / "b.json", data))


def person(left: float, track: int | None, box: bool = True) -> Person:
    points = np.zeros((15, 3))
    points[0], points[1] = (left, 0, 1), (left + 10, 20, 1)
    return Person(points, track, np.array([left, 0, 10, 20.0]) if box else None)


def test_truth_boxes_lie_on_a_line_between_labelled_frames():
    frames = [SequenceFrame(f"{n:06d}.jpg", 100 + n, n in (0, 4)) for n in range(6)]
    frames[0].people, frames[4].people = [person(0, 1)], [person(8, 1), person(50, 2)]
    table = truth_boxes(Truth(Sequence("x", frames), {100 + n: n for n in range(6)}))
    lefts = [table.boxes(n, Frame(IMAGE, n)).xywh[:, 0].tolist() for n in range(6)]
    assert lefts == [[0], [2], [4], [6], [8, 50], []]


def test_truth_without_boxes_takes_the_joints_extent():
    frame = SequenceFrame("000000.jpg", 1, True, [person(100, None, box=False)])
    boxes = truth_boxes(Truth(Sequence("x", [frame]), {1: 0})).boxes(0, Frame(IMAGE, 0))
    assert np.allclose(boxes.xywh, [[98.5, -3, 13, 26]])
    assert boxes.ids is None


def test_truth_of_a_folder_is_found_by_name():
    frames = [SequenceFrame(f"images/val/x/{n:06d}.jpg", n, True, [person(10.0 * n, 1)]) for n in (3, 4, 5)]
    table = truth_boxes(place(Sequence("x", frames), [f"{n:06d}.jpg" for n in range(3, 9)], 6))
    assert table.boxes(0, Frame(IMAGE, 0, "", "elsewhere/000003.jpg")).xywh[:, 0].tolist() == [30]
    assert table.boxes(1, Frame(IMAGE, 0, "", "elsewhere/000004.jpg")).xywh[:, 0].tolist() == [40]


def test_truth_by_stamps_is_found_by_stamps():
    frames = [SequenceFrame(f"1790000000{n:09d}.jpg", n, True, [person(10.0 * n, 1)]) for n in (3, 4)]
    table = truth_boxes(place(Sequence("x", frames), None, None))
    assert table.boxes(0, Frame(IMAGE, 1_790_000_000_000_000_004)).xywh[:, 0].tolist() == [40]


BOX = [100.0, 20.0, 40.0, 90.0]


@pytest.mark.parametrize(
    "name", ["images\\val\\000004.jpg", "4.png", "a/000004.jpg?x=1", "%61/000004.jpg", "3f2a1b9c-000004.jpg"]
)
@pytest.mark.parametrize("pictures", [None, [f"{n:06d}.jpg" for n in range(9)]])
def test_boxes_by_names_as_tools_write_them(tmp_path, name, pictures):
    table = read_boxes(write(tmp_path / "b.json", [{"image_name": name, "bbox": BOX}]), (640, 480))
    table.place(pictures, 9, None)
    found = [table.boxes(n, Frame(IMAGE, n, "", f"clip/{n:06d}.jpg")).xywh.tolist() for n in range(9)]
    assert [n for n in range(9) if found[n]] == [4]
    assert table.unused() == 0


def test_boxes_of_no_frame_of_the_input(tmp_path):
    table = read_boxes(write(tmp_path / "b.json", [{"image_name": "left_side.jpg", "bbox": BOX}]))
    with pytest.raises(InputError, match="no image name .such as 'left_side.jpg'. matches an image of the input"):
        table.place(["a.jpg", "b.jpg"], 2, None)
    table = read_boxes(write(tmp_path / "b.json", [{"frame": 30, "bbox": BOX}]))
    with pytest.raises(InputError, match="all are of frames from number 30 on, but the input has 24"):
        table.place(None, 24, None)
    some = [{"frame": 2, "bbox": BOX}, {"frame": 30, "bbox": BOX}, {"frame": 31, "bbox": BOX}]
    table = read_boxes(write(tmp_path / "b.json", some))
    table.place(None, 24, None)
    table.boxes(2, Frame(IMAGE, 2))
    assert table.unused() == 2


def test_cocos_results_need_the_truth_for_their_ids(tmp_path):
    path = write(tmp_path / "b.json", [{"image_id": 1234, "category_id": 1, "bbox": BOX, "score": 0.5}])
    with pytest.raises(InputError, match="identify images by 'image_id' alone; give the annotations"):
        read_boxes(path).place(None, 9, None)
    table = read_boxes(path)
    table.place(None, 9, place(Sequence("x", [SequenceFrame("000005.jpg", 1234, True)]), None, 9))
    assert table.boxes(5, Frame(IMAGE, 5)).xywh.tolist() == [BOX]


@pytest.mark.parametrize(
    ("category", "taken"),
    [({"category_id": 1}, True), ({"category_id": 3}, False), ({"label": "car"}, False), ({"label": "Person"}, True)],
)
def test_boxes_of_others_than_people_are_left_out(tmp_path, category, taken):
    boxes = [{"frame": 0, "bbox": BOX, "category_id": 1}, {"frame": 1, "bbox": BOX, **category}]
    assert len(read_boxes(write(tmp_path / "b.json", boxes))) == 1 + taken


@pytest.mark.parametrize("ids", [[3], [0, 1], [2, 3]])
def test_categories_that_may_or_may_not_be_people(tmp_path, ids):
    boxes = [{"frame": 0, "bbox": BOX, "category_id": i} for i in ids]
    with pytest.raises(InputError, match="which boxes are people"):
        read_boxes(write(tmp_path / "b.json", boxes))


def test_categories_of_an_annotation_file_go_by_their_names(tmp_path):
    data = {
        "images": [{"id": 5, "file_name": "000003.jpg"}],
        "annotations": [{"image_id": 5, "bbox": BOX, "category_id": i} for i in (0, 7)],
        "categories": [{"id": 0, "name": "car"}, {"id": 7, "name": "person"}],
    }
    assert len(read_boxes(write(tmp_path / "b.json", data))) == 1


def test_fractions_and_corners_are_told_from_boxes(tmp_path):
    rng = np.random.default_rng(4)
    low = rng.uniform([20, 10], [500, 200], (30, 2))
    sides = rng.uniform([40, 100], [120, 260], (30, 2))
    whole = np.concatenate([low, sides], 1)
    corners = np.concatenate([low, low + sides], 1)
    for boxes, refused in ((whole, ""), (corners, "corners x1 y1 x2 y2"), (whole / [640, 480, 640, 480], "fractions")):
        rows = [{"frame": n, "bbox": row} for n, row in enumerate(boxes.tolist())]
        path = write(tmp_path / "b.json", rows)
        if refused:
            with pytest.raises(InputError, match=refused):
                read_boxes(path, (640, 480))
        else:
            assert len(read_boxes(path, (640, 480))) == 30
