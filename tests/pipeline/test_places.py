# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Who gets a pose where more people are tracked than are to have one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fake_bundle import make_bundle

from sdtc_ros.models.bundle import Bundle
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig
from sdtc_ros.pipeline.places import WAIT, Places
from sdtc_ros.types import Boxes, Frame

STEP = 40_000_000
Scores = dict[int, float]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("bundle"))


def people(scores: Scores, given: bool = True) -> Boxes:
    """Boxes side by side, a place for each id."""
    xywh = np.array([[10 + 50 * one, 20, 30, 80] for one in scores], np.float32).reshape(-1, 4)
    ids = np.array(list(scores), np.int64) if given else None
    return Boxes(xywh, np.array(list(scores.values()), np.float32), ids)


def chosen(places: Places, frames: list[Scores], most: int = 1) -> list[list[int]]:
    """Ids by frame, ten frames a second."""
    found = [places.choose(people(scores), most, n * 100_000_000, 1.0) for n, scores in enumerate(frames)]
    return [one.ids.tolist() for one in found if one.ids is not None]


def test_it_stays_until_somebody_is_clearly_better() -> None:
    assert chosen(Places(), [{0: 0.8, 1: 0.7}, {0: 0.7, 1: 0.85}, {0: 0.6, 1: 0.85}, {0: 0.8, 1: 0.7}]) == [
        [0], [0], [1], [1]
    ]  # fmt: skip


@pytest.mark.parametrize("others", [{}, {1: 0.8}])
def test_who_is_missed_finds_his_place_again(others: Scores) -> None:
    both = {0: 0.7, 1: 0.8}
    back = chosen(Places(), [{0: 0.9, 1: 0.8}, others, others, both, both])
    assert back == [[0], [*others], [*others], [0], [0]]


def test_those_who_stand_in_do_not_take_turns() -> None:
    frames = [{0: 0.9, 1: 0.7, 2: 0.69}, {1: 0.7, 2: 0.69}, {1: 0.7, 2: 0.71}, {1: 0.7, 2: 0.69}, {1: 0.6, 2: 0.71}]
    assert chosen(Places(), frames) == [[0], [1], [1], [1], [2]]


def test_who_is_gone_for_longer_loses_it() -> None:
    frames = [{0: 0.9, 1: 0.8}, *[{1: 0.8}] * 12, {0: 0.9, 1: 0.8}]
    assert chosen(Places(), frames)[-1] == [1]


def test_two_places_and_three_people() -> None:
    frames = [{0: 0.8, 1: 0.7, 2: 0.6}, {0: 0.6, 1: 0.7, 2: 0.75}, {1: 0.7, 2: 0.75}, {0: 0.6, 1: 0.7, 2: 0.75}]
    assert chosen(Places(), frames, most=2) == [[0, 1], [0, 1], [1, 2], [0, 1]]


def replayed(frames: list[Scores], twice: Callable[[int], set[int]], most: int, lag: int = 0) -> list[list[int]]:
    """Ids answered by frame: chosen but for those that `twice` names, of which the places hear `lag` frames later."""
    places, waiting, answers = Places(), [], []
    for n, scores in enumerate(frames):
        ids = places.choose(people(scores), most, n * 40_000_000, 1.0, distinct=True).ids
        assert ids is not None
        waiting.append(set(ids.tolist()))
        answers.append(sorted(waiting[-1] - twice(n)))
        if n >= lag:
            duplicates = waiting[n - lag] & twice(n - lag)
            places.answered(waiting[n - lag] - duplicates, duplicates)
    return answers


@pytest.mark.parametrize(("lag", "away"), [(0, WAIT), (2, 1)])
def test_one_frame_as_a_duplicate_costs_nobody_his_place(lag: int, away: int) -> None:
    """With later frames waited for, the next answer of his is under way already, and he is back with it."""
    answers = replayed([{0: 0.9, 1: 0.9, 2: 0.72}] * 20, lambda n: {1} if n == 5 else set(), 2, lag)
    assert answers == [[0, 1]] * 5 + [[0]] + [[0, 1]] * lag + [[0, 2]] * away + [[0, 1]] * (14 - lag - away)


def test_whoever_else_there_is_has_the_place_of_a_standing_duplicate() -> None:
    """He is tried again at ever greater distances, and who has his place does not lose it to a third by that."""
    noise = np.random.default_rng(0).uniform(-0.04, 0.04, (200, 2))
    frames = [{0: 0.95, 1: 0.95, 2: 0.7 + a, 3: 0.7 + b} for a, b in noise]
    answers = replayed(frames, lambda n: {1}, 2)
    alone = [n for n, ids in enumerate(answers) if ids == [0]]
    assert alone == [0, 5, 14, 31, 64, 129]
    later = {tuple(ids) for ids in answers[32:] if ids != [0]}
    assert later in ({(0, 2)}, {(0, 3)})


def test_a_duplicate_who_parts_has_a_pose_again_and_a_place_once_it_was_answered() -> None:
    frames = [{0: 0.9, 1: 0.9, 2: 0.6}] * 40 + [{0: 0.9, 1: 0.7, 2: 0.75}] * 40
    answers = replayed(frames, lambda n: {1} if n < 20 else set(), 2)
    assert answers[20:31] == [[0, 2]] * 11 and answers[31:] == [[0, 1]] * 49


def test_where_boxes_are_given_nobody_comes_last() -> None:
    places, frame = Places(), {0: 0.9, 1: 0.8, 2: 0.7}
    places.choose(people(frame), 2, 0, 1.0, distinct=True)
    places.answered([0], [1])
    assert chosen(places, [frame], most=2) == [[0, 1]]


def test_a_cut_forgets_duplicates() -> None:
    places, frame = Places(), people({0: 0.9, 1: 0.8, 2: 0.7})
    places.answered([0], [1])
    places.clear()
    ids = places.choose(frame, 2, 0, 1.0, distinct=True).ids
    assert ids is not None and ids.tolist() == [0, 1]


def play(pipeline: Pipeline, frames: list[Boxes | None], first: int = 0) -> list[list[int]]:
    image = np.zeros((120, 160, 3), np.uint8)
    results = [pipeline.process(Frame(image, (first + n) * STEP), boxes) for n, boxes in enumerate(frames)]
    return [[pose.track_id for pose in result.poses] for result in results if result is not None]


def detector(*frames: Scores) -> Callable[[Any], Boxes]:
    left = iter(frames)
    return lambda image: people(next(left), given=False)


@pytest.mark.parametrize("every", [1, 2])
def test_a_detector_s_scores_do_not_make_people_take_turns(bundle: Bundle, every: int) -> None:
    """One is missed in the third detection; propagated where boxes are, and where not the other has the pose."""
    found = detector({0: 0.8, 1: 0.7}, {0: 0.7, 1: 0.8}, {1: 0.8}, {0: 0.75, 1: 0.8}, {0: 0.8, 1: 0.75})
    config = PipelineConfig(lookahead=0, detect_every=every, max_people=1)
    ids = play(Pipeline.from_bundle(bundle.folder, config, detector=found), [None] * (5 * every))
    assert ids == ([[1], [1], [2], [1], [1]] if every == 1 else [[1]] * 10)


def test_a_weak_box_that_starts_no_track_takes_no_place_and_is_no_surplus(bundle: Bundle) -> None:
    """A cone, scored above the person for a while."""
    found = detector({0: 0.8, 1: 0.4}, {0: 0.35, 1: 0.4}, {0: 0.35, 1: 0.4})
    pipeline = Pipeline.from_bundle(bundle.folder, PipelineConfig(lookahead=0, max_people=1), detector=found)
    assert play(pipeline, [None] * 3) == [[1]] * 3
    assert pipeline.surplus_boxes == 0


def test_in_a_crowd_too(bundle: Bundle) -> None:
    """More than are tracked, all with ids."""
    crowd = np.tile(np.array([[20, 20, 30, 80]], np.float32), (300, 1))
    scores = np.full((2, 300), 0.76, np.float32)
    scores[:, 7] = 0.9, 0.7
    pipeline = Pipeline.from_bundle(bundle.folder, PipelineConfig(lookahead=0, max_people=1))
    assert play(pipeline, [Boxes(crowd, row, np.arange(300)) for row in scores]) == [[7], [7]]
    assert pipeline.surplus_boxes == 2 * 299


def test_a_cut_gives_the_places_away_and_a_reload_does_not(bundle: Bundle) -> None:
    before, after = people({0: 0.8, 1: 0.7}), people({0: 0.7, 1: 0.8})
    pipeline = Pipeline.from_bundle(bundle.folder, PipelineConfig(lookahead=0, max_people=1))
    assert play(pipeline, [before, after]) == [[0], [0]]
    pipeline = pipeline.successor(bundle, pipeline.engine)
    assert play(pipeline, [after], first=2) == [[0]]
    assert play(pipeline, [after], first=1000) == [[1]]
