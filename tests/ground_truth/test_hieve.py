# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""HiEve: its XML files, and AP of whole poses with and without frame weights, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sdtc_ros.errors import InputError
from sdtc_ros.evaluate import evaluate
from sdtc_ros.ground_truth.hieve import read_hieve_folder
from sdtc_ros.ground_truth.sequence import Person, Sequence, SequenceFrame
from sdtc_ros.skeleton import HIEVE

OBJECT = (
    "<object><name>P-{id}</name><action>walking-alone</action><bndbox><xmin>747</xmin><ymin>103</ymin>"
    "<xmax>1044</xmax><ymax>1079</ymax><Nose>928,185,0</Nose><Chest>943,278,1</Chest>"
    "<Right-shoulder>900,300,0</Right-shoulder><Left-ankle>0,0,-1</Left-ankle></bndbox></object>"
)


def write(folder, number: int, *objects: str) -> None:
    folder.mkdir(exist_ok=True)
    text = f"<annotation><filename>{number}.jpg</filename>{''.join(objects)}</annotation>"
    (folder / f"{number:06d}.xml").write_text(text)


def test_frames_are_read_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 9, 2):
        write(tmp_path / "hm_in_fighting1", number, OBJECT.format(id=4))
    write(tmp_path / "hm_in_fighting1", 11)
    (sequence,) = read_hieve_folder(tmp_path)
    assert sequence.skeleton is HIEVE
    assert [(frame.id, len(frame.people)) for frame in sequence.frames] == [(2, 1), (9, 1), (10, 1), (11, 0)]
    assert sequence.frames[0].name == "hm_in_fighting1/000002.jpg"
    person = sequence.frames[0].people[0]
    assert (person.track_id, person.action) == (4, "walking-alone")
    assert person.box is not None
    assert person.box.tolist() == [747, 103, 297, 976]
    assert person.keypoints[:3].tolist() == [[928, 185, 1], [943, 278, 0], [900, 300, 1]]
    assert person.annotated.tolist() == [True] * 3 + [False] * 11
    assert person.flags["occluded"].tolist() == [False, True] + [False] * 12
    assert read_hieve_folder(tmp_path / "hm_in_fighting1")[0].frames[0].id == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation><object>", "000000.xml is not a readable XML file"),
        ("<html/>", "the outermost element must be <annotation>, but is <html>"),
        ("<annotation><object/></annotation>", "object 0 needs a <name> with the person's number"),
        (OBJECT.format(id=1).replace("928,185,0", "928,185"), "<Nose> must hold x,y,flag, but holds '928,185'"),
        (OBJECT.format(id=1).replace("928,185,0", "a,b,c"), "<Nose> must hold x,y,flag, but holds 'a,b,c'"),
        (OBJECT.format(id=1).replace("<xmin>747</xmin>", ""), "object 0: <bndbox> lacks <xmin>"),
        (OBJECT.format(id=1).replace("747", "wide"), "<xmin> must hold one number, but holds 'wide'"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, text, message):
    if text.startswith("<object>"):
        text = f"<annotation>{text}</annotation>"
    (tmp_path / "000000.xml").write_text(text)
    with pytest.raises(InputError) as caught:
        read_hieve_folder(tmp_path)
    assert message in str(caught.value)
    assert str(tmp_path / "000000.xml") in str(caught.value)


def test_folders_that_hold_nothing(tmp_path):
    with pytest.raises(InputError, match="holds no HiEve annotations; expected folders with files like 000000.xml"):
        read_hieve_folder(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        read_hieve_folder(tmp_path / "nowhere")
    (tmp_path / "first.xml").write_text("<annotation/>")
    with pytest.raises(InputError, match="not named after a frame number"):
        read_hieve_folder(tmp_path)


def person(x: float, track_id: int, score: float | None = None, shift: float = 0.0) -> Person:
    keypoints = np.ones((14, 3))
    keypoints[:, 0] = x + shift
    keypoints[:, 1] = np.arange(10, 150, 10)
    box = np.array([x - 50, 0, 100, 200], np.float64)
    return Person(keypoints, track_id, box, None, score, None if score is None else np.full(14, score))


def video(*frames: list[Person]) -> Sequence:
    return Sequence("1", [SequenceFrame(f"1/{t:06d}.jpg", t, True, people) for t, people in enumerate(frames)], HIEVE)


def test_pose_ap_and_its_weighted_form_by_hand():
    """One person alone is found, of the three together one is: AP 2/4; with weights 1 and 3, (1 + 3) of (1 + 9)."""
    truth = video([person(100, 0)], [person(100, 0), person(400, 1), person(700, 2)])
    result = evaluate([truth], [video([person(100, 0, 0.9)], [person(400, 1, 0.8)])], "hieve")
    for level in ("50", "75", "90", "avg"):
        assert result.poses[f"AP@{level}"] == pytest.approx(50.0)
        assert result.poses[f"w_AP@{level}"] == pytest.approx(40.0)
    assert result.ap["nose"] == 50.0
    assert "w_AP@avg 40.0" in result.table()
    assert result.to_json()["poses"]["AP@avg"] == pytest.approx(50.0)


def test_similarity_is_cocos():
    """All joints moved alike; COCO's similarity of the set is known, and the figures fall between the right levels."""
    falloff = 2 * np.array([0.026, 0.079, *[0.079, 0.072, 0.062] * 2, *[0.107, 0.087, 0.089] * 2])
    for shift in (4.0, 8.0, 16.0, 24.0):
        similarity = np.exp(-(shift**2) / (2 * 100 * 200 * falloff**2)).mean()
        result = evaluate([video([person(100, 0)])], [video([person(100, 0, 0.5, shift)])], "hieve")
        expected = {f"AP@{level}": 100.0 * (similarity >= level / 100) for level in (50, 75, 90)}
        assert {key: result.poses[key] for key in expected} == expected


def test_a_truth_is_taken_once_and_by_the_better_score():
    truth = video([person(100, 0)])
    result = evaluate([truth], [video([person(100, 0, 0.3), person(100, 1, 0.7, 1.0)])], "hieve")
    assert result.poses["AP@90"] == 100.0
    result = evaluate([truth], [video([person(100, 0, 0.3), person(100, 1, 0.7, 300.0)])], "hieve")
    assert result.poses["AP@90"] == 50.0


def test_a_truth_without_a_box_is_named():
    truth = video([person(100, 0)])
    truth.frames[0].people[0].box = None
    with pytest.raises(InputError, match="has joints but no box"):
        evaluate([truth], [video([])], "hieve")
