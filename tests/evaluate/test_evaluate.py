# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Evaluation by hand: cases small enough to count, each joint's fate known beforehand."""

from __future__ import annotations

import json
import time
from copy import deepcopy

import numpy as np
import pytest
from pose_sets import person_at, predict, truth_set

from sdtc_ros.errors import InputError, UsageError
from sdtc_ros.evaluate import evaluate
from sdtc_ros.evaluate.frames import inside
from sdtc_ros.evaluate.precision import curve_summary
from sdtc_ros.ground_truth.sequence import Person, Sequence, SequenceFrame
from sdtc_ros.skeleton import COCO, POSETRACK

NOSE, WRIST = POSETRACK.index("nose"), POSETRACK.index("left_wrist")


def sequence(*frames: list[Person], name: str = "000001_test", ignore: list[np.ndarray] | None = None) -> Sequence:
    return Sequence(
        name, [SequenceFrame(f"{name}/{t:06d}.jpg", t, True, list(p), ignore or []) for t, p in enumerate(frames)]
    )


def guess_of(person: Person, score: float = 0.5, track_id: int | None = 0, shift: float = 0.0) -> Person:
    """A prediction of a truth person, all joints moved to the right by `shift` pixels."""
    keypoints = person.keypoints.copy()
    keypoints[:, 0] += shift
    return Person(keypoints, track_id, person.box, None, score, np.full(len(keypoints), score))


ANNA = person_at(100, 100, 200, 0)  # head box 24 x 28 pixels: a hit is within 0.3 of its diagonal, 11.06 pixels
BERT = person_at(500, 100, 200, 1)


def test_perfect_predictions_are_100_percent():
    truth = [sequence([ANNA, BERT], [ANNA], [BERT])]
    result = evaluate(
        truth, [sequence([guess_of(ANNA), guess_of(BERT, 0.4, 1)], [guess_of(ANNA)], [guess_of(BERT, track_id=1)])]
    )
    for figures in (result.ap, result.precision, result.recall, result.mota, result.motp):
        assert figures is not None
        assert set(figures.values()) == {100.0}
    assert result.groups["ap"] == dict.fromkeys(
        ["Head", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle", "Mean"], 100.0
    )


def test_no_predictions_are_0_percent():
    result = evaluate([sequence([ANNA], [ANNA])], [sequence([], [])])
    assert set(result.ap.values()) == set(result.recall.values()) == {0.0}
    assert result.mota is not None
    assert result.mota["total"] == -100.0  # poseval books a miss and a false positive where one side lists nobody


@pytest.mark.parametrize(("shift", "ap"), [(11.0, 100.0), (11.1, 0.0)])
def test_a_hit_is_within_three_tenths_of_the_head_boxs_diagonal(shift, ap):
    assert evaluate([sequence([ANNA])], [sequence([guess_of(ANNA, shift=shift)])]).ap["total"] == ap


def test_a_joint_predicted_but_not_annotated_is_a_false_positive():
    truth = deepcopy(ANNA)
    truth.keypoints[WRIST] = 0
    result = evaluate([sequence([truth], [BERT])], [sequence([guess_of(ANNA, 0.9)], [guess_of(BERT, 0.1, 1)])])
    # the false one scores above the true one: precision 1/2 where recall reaches 1
    assert (result.ap["left_wrist"], result.precision["left_wrist"], result.recall["left_wrist"]) == (50.0, 50.0, 100.0)
    assert result.ap["nose"] == 100.0


def test_of_two_predictions_of_one_person_the_first_of_equals_is_the_match():
    two = [guess_of(ANNA, 0.2, 0), guess_of(ANNA, 0.8, 1, shift=1.0)]
    result = evaluate([sequence([ANNA])], [sequence(two)])
    assert (result.ap["nose"], result.precision["nose"], result.recall["nose"]) == (50.0, 50.0, 100.0)
    other_way = evaluate([sequence([ANNA])], [sequence(two[::-1])])
    assert other_way.ap["nose"] == 100.0


def test_the_prediction_that_hits_more_joints_is_the_match_whatever_its_score():
    worse = guess_of(ANNA, 0.9, 0)
    worse.keypoints[WRIST, :2] += 100
    result = evaluate([sequence([ANNA])], [sequence([worse, guess_of(ANNA, 0.1, 1)])])
    assert result.ap["left_wrist"] == result.ap["nose"] == 50.0


def test_an_ignore_region_that_empties_a_frame_leaves_its_predictions_false():
    everywhere_left = np.array([(0, 0), (300, 0), (300, 500), (0, 500)], np.float64)
    truth = [sequence([ANNA], ignore=[everywhere_left])]
    assert evaluate(truth, [sequence([guess_of(ANNA)])]).precision["total"] == 0.0  # nobody is left on either side
    result = evaluate([sequence([ANNA], [BERT])], [sequence([guess_of(ANNA)], [guess_of(BERT)])])
    assert result.precision["total"] == 100.0
    truth = [sequence([ANNA], [BERT], ignore=[everywhere_left])]
    result = evaluate(truth, [sequence([guess_of(BERT, 0.9)], [guess_of(BERT, 0.8)])])
    assert (result.precision["nose"], result.recall["nose"], result.ap["nose"]) == (50.0, 100.0, 50.0)


def test_a_frame_without_people_does_not_count():
    result = evaluate([sequence([ANNA], [])], [sequence([guess_of(ANNA)], [guess_of(BERT, 0.9)])])
    assert result.ap["total"] == result.precision["total"] == 100.0
    assert result.counts["frames"] == 1


def test_posetrack21_counts_labelled_frames_and_joints_right_of_and_below_the_corner():
    truth, guess = [sequence([ANNA], [])], [sequence([guess_of(ANNA)], [guess_of(BERT, 0.9)])]
    assert evaluate(truth, guess, "posetrack21").precision["total"] == 50.0
    truth[0].frames[1].labelled = False
    assert evaluate(truth, guess, "posetrack21").precision["total"] == 100.0
    shifted = deepcopy(ANNA)
    shifted.keypoints[:, 0] -= ANNA.keypoints[NOSE, 0] + 1  # the nose is one pixel outside of the image
    truth, guess = [sequence([shifted])], [sequence([guess_of(shifted)])]
    assert evaluate(truth, guess, "posetrack21").ap["nose"] == 0.0
    assert evaluate(truth, guess, "posetrack18").ap["nose"] == 100.0


def test_a_joint_nobody_has_is_left_out_of_the_mean():
    truth, guess = deepcopy(ANNA), guess_of(ANNA)
    truth.keypoints[NOSE] = 0
    result = evaluate([sequence([truth])], [sequence([guess])])
    assert np.isnan(result.ap["nose"])
    assert result.ap["total"] == 100.0
    assert result.to_json()["ap"]["nose"] is None
    assert json.loads(json.dumps(result.to_json(), allow_nan=False))["groups"]["ap"]["Head"] == 100.0
    guess.keypoints[NOSE] = 0  # nor does anybody predict it
    assert evaluate([sequence([truth])], [sequence([guess])]).ap["nose"] == 0.0


def test_equal_scores_keep_the_order_of_the_file_and_say_what_it_is_worth():
    nobody = guess_of(person_at(900, 600, 200, 0), 0.5, 7)
    first = evaluate([sequence([ANNA])], [sequence([guess_of(ANNA), nobody])])
    last = evaluate([sequence([ANNA])], [sequence([nobody, guess_of(ANNA)])])
    assert (first.ap["total"], last.ap["total"]) == (100.0, 50.0)
    assert first.ap_range == last.ap_range == (50.0, 100.0)
    assert "between 50.00 and 100.00" in first.warnings[0]


def test_sequences_count_in_the_order_of_their_names():
    truth = [sequence([BERT], name="b"), sequence([ANNA], name="a")]
    wrong = guess_of(BERT, 0.5, shift=200)
    guess = [sequence([wrong], name="b"), sequence([guess_of(ANNA)], name="a")]
    assert evaluate(truth, guess).ap["total"] == 50.0  # a's hit first: recall reaches 1/2 at precision 1
    assert evaluate(truth, guess, ties="poseval").ap["total"] in (25.0, 50.0)


def test_predictions_without_scores_are_ranked_last_and_reported():
    unscored = guess_of(BERT, track_id=1)
    unscored.joint_scores = None
    result = evaluate([sequence([ANNA])], [sequence([unscored, guess_of(ANNA, 0.0)])])
    assert result.ap["total"] == 100.0
    assert result.warnings[0].startswith("1 predicted people have no joint scores")


def test_identity_switches_by_hand():
    """Four frames of two people, the last of which poseval leaves out; the tracks change places in the third."""
    straight = [guess_of(ANNA, 0.5, 0), guess_of(BERT, 0.5, 1)]
    crossed = [guess_of(ANNA, 0.5, 1), guess_of(BERT, 0.5, 0)]
    truth = [sequence(*[[ANNA, BERT]] * 4)]
    result = evaluate(truth, [sequence(straight, straight, crossed, [])])
    assert result.mota is not None
    assert result.mota["nose"] == pytest.approx(100 * (1 - 2 / 6))
    assert result.clear_motp is not None
    assert result.clear_motp["nose"] == 100.0


def test_motp_of_poseval_counts_distances_twice():
    shift = 0.25 * 0.6 * float(np.hypot(24, 28))  # a quarter of a unit
    truth = [sequence([ANNA], [ANNA], [ANNA])]
    result = evaluate(truth, [sequence(*[[guess_of(ANNA, shift=shift)]] * 3)])
    assert result.motp is not None
    assert result.clear_motp is not None
    assert (result.motp["total"], result.clear_motp["total"]) == pytest.approx((50.0, 75.0))


def test_without_track_ids_there_is_ap_but_no_mota():
    result = evaluate([sequence([ANNA], [ANNA])], [sequence([guess_of(ANNA, track_id=None)], [])])
    assert (result.mota, result.motp) == (None, None)
    assert result.ap["total"] == 50.0
    assert "no MOTA" in result.table()


def test_accuracy_on_hidden_joints_alone():
    truth = deepcopy(ANNA)
    truth.flags = {"occluded": np.arange(15) < 5}
    missed = deepcopy(BERT)
    missed.flags = {"occluded": np.arange(15) < 1}
    guess = guess_of(ANNA)
    guess.keypoints[:2, :2] += 50  # two of the five occluded joints are wrong
    result = evaluate([sequence([truth, missed])], [sequence([guess])])
    occluded, seen = result.subsets["occluded"], result.subsets["not occluded"]
    assert (occluded.joints, occluded.pck, occluded.recall) == pytest.approx((6, 60.0, 50.0))
    assert (seen.joints, seen.pck, seen.recall) == pytest.approx((24, 100.0, 100 * 10 / 24))
    assert "occluded joints: 6" in result.table()


def test_missing_head_box_is_named():
    truth = deepcopy(BERT)
    truth.head_box = None
    with pytest.raises(InputError, match=r"frame 000001_test/000000.jpg, person 1 \(track id 1\).*head box"):
        evaluate([sequence([ANNA, truth])], [sequence([])])
    truth.keypoints[:] = 0  # without joints nothing is measured by it
    assert evaluate([sequence([ANNA, truth])], [sequence([guess_of(ANNA)])]).ap["total"] == 100.0


def test_head_box_without_area_matches_nothing():
    truth = deepcopy(ANNA)
    truth.head_box = np.array([100.0, 100.0, 0.0, 0.0])
    assert evaluate([sequence([truth])], [sequence([guess_of(ANNA)])]).ap["total"] == 0.0


def test_missing_sequences_frames_and_repeated_track_ids_are_named():
    truth = [sequence([ANNA], [ANNA])]
    with pytest.raises(InputError, match="sequence 000001_test has no predictions"):
        evaluate(truth, [sequence([ANNA], name="000002_test")])
    with pytest.raises(InputError, match=r"lacks the frame 000001_test/000001.jpg \(image id 1\)"):
        evaluate(truth, [sequence([guess_of(ANNA)])])
    with pytest.raises(InputError, match=r"frame 000001_test/000000.jpg gives track id 0 to two people"):
        evaluate(truth, [sequence([guess_of(ANNA), guess_of(BERT)], [])])
    with pytest.raises(InputError, match="no frame to evaluate in its 1 sequences: none lists a person"):
        evaluate([sequence([], [])], [sequence([], [])])
    with pytest.raises(InputError, match="joints of coco; the protocol posetrack18 compares those of posetrack"):
        evaluate(truth, [Sequence("000001_test", [], COCO)])
    with pytest.raises(UsageError, match="unknown protocol 'posetrack19'"):
        evaluate(truth, truth, "posetrack19")


def test_frames_are_paired_by_name_or_else_by_id():
    guess = sequence([guess_of(ANNA)], [guess_of(BERT)])
    guess.frames.reverse()
    assert evaluate([sequence([ANNA], [BERT])], [guess]).ap["total"] == 100.0
    for frame in guess.frames:
        frame.name = f"elsewhere/{frame.id}.png"
    assert evaluate([sequence([ANNA], [BERT])], [guess]).ap["total"] == 100.0


def test_a_frame_left_out_does_not_shift_the_others():
    """PoseTrack17's files have no ids but the position in the list; names must decide."""
    guess = sequence([guess_of(ANNA)], [guess_of(BERT)])
    truth = sequence([ANNA], [], [BERT])
    guess.frames[1].name = truth.frames[2].name
    assert evaluate([truth], [guess]).ap["total"] == 100.0
    truth.frames[1].people = [ANNA]
    with pytest.raises(InputError, match="lacks the frame 000001_test/000001.jpg"):
        evaluate([truth], [guess])


def test_a_polygons_boundary_is_outside_of_it():
    square = np.array([(0, 0), (10, 0), (10, 10), (0, 10)], np.float64)
    points = np.array([(5, 5), (0, 5), (10, 5), (5, 0), (5, 10), (0, 0), (-1, 5), (11, 5), (5, 11), (9.999, 0.001)])
    assert inside(points, square).tolist() == [True, *[False] * 8, True]


def test_area_of_a_hand_drawn_curve():
    # hits at ranks 1 and 3 of 3, four to be found: 1/4 x 1 + 1/4 x 2/3
    labels, scores = np.array([True, True, False]), np.array([0.9, 0.1, 0.5])
    ap, precision, recall = curve_summary(labels, scores, np.ones(3), 4)
    assert (ap, precision, recall) == pytest.approx((100 * (0.25 + 0.25 * 2 / 3), 200 / 3, 50.0))


@pytest.mark.slow
def test_a_set_the_size_of_posetrack18s_validation_takes_seconds():
    """A tenth of its 170 sequences in under 6 s is the whole of it in under a minute."""
    rng = np.random.default_rng(3)
    truth = truth_set(rng, sequences=17, frames=60, people=7)
    guess = [predict(rng, sequence) for sequence in truth]
    began = time.process_time()  # of this process alone, whatever else the machine does
    result = evaluate(truth, guess)
    assert time.process_time() - began < 6
    assert result.counts["sequences"] == 17
