# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Windows of annotated clips: every data set's folder, what they show, whose joints count, and what breaks nothing."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import clip_folders as made
import cv2
import numpy as np
import pytest
import torch
from demo_folder import write_demo_folder
from torch.utils.data import DataLoader

from sdtc_ros.demo.clip import demo_clip
from sdtc_ros.errors import InputError, UsageError
from sdtc_ros.evaluate import evaluate
from sdtc_ros.skeleton import HIEVE, POSETRACK
from training.data import summary as reasons
from training.data.augment import NO_AUGMENTATION, Augmentation
from training.data.clips import ClipDataset, FrameCache
from training.data.frames import neighbours, read_frames
from training.data.index import build_index
from training.data.layout import find_layout, find_splits
from training.data.windows import Window, person_window

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "posetrack18"
SIZE = (96, 128)
MAKERS = {
    "posetrack17": made.posetrack17,
    "posetrack18": made.posetrack18,
    "posetrack21": lambda root: made.posetrack18(root, new=True),
    "hieve": lambda root: made.hieve(root, "val"),
}
MODEST = Augmentation(scale_range=(0.9, 1.35), rotation_limit=30.0, half_body_probability=0.0)


def dataset(root: Path, delta: int = 2, augmentation: Augmentation = NO_AUGMENTATION, **options) -> ClipDataset:
    return ClipDataset(build_index(find_layout(root, "val", **options)), SIZE, delta, augmentation)


def shows_its_joints(window: Window, joints: int) -> int:
    """How many joints with weight there are; each lies on its colour."""
    for t, crop in enumerate(window["crops"]):
        for joint in np.flatnonzero(window["weight"][t]).tolist():
            x, y = np.rint(window["points"][t, joint]).astype(int)
            difference = np.abs(crop[y, x].astype(int) - made.colour(joint)).max()
            assert difference < 30, (t, joint, crop[y, x], made.colour(joint))
    assert window["points"].shape == (len(window["crops"]), joints, 2)
    return int(window["weight"].sum())


@pytest.mark.parametrize("name", MAKERS)
def test_joints_lie_on_their_pixels_in_every_data_set(tmp_path, name):
    MAKERS[name](tmp_path)
    data = dataset(tmp_path)
    skeleton = HIEVE if name == "hieve" else POSETRACK
    assert data.index.summary.dataset == name
    assert len(data) == 6  # 2 people in 3 labelled frames
    for window in (data[i] for i in range(len(data))):
        assert shows_its_joints(window, len(skeleton)) >= 2 * (len(skeleton) - 1)  # the key- and a labelled frame
        wrist = skeleton.index("left_wrist")
        assert not window["weight"][:, wrist].any()
        occluded = {skeleton.joints[k] for k in np.flatnonzero(window["occluded"])}
        assert occluded == ({"nose"} if name in ("posetrack17", "hieve") else set())
        assert not window["blurred"].any()


@pytest.mark.parametrize("name", MAKERS)
def test_labelled_frames_alone_have_weights_and_ends_are_clamped(tmp_path, name):
    MAKERS[name](tmp_path)
    data = dataset(tmp_path)
    names = data.index.videos[0].files
    assert len(names) == made.FRAMES  # PoseTrack17's file lists three of them: the rest are found in the folder
    frames = {(int(data.index.people.frame[row]), tuple(f)) for row, f in zip(data.rows, data.frames, strict=True)}
    assert frames == {(0, (0, 0, 0, 1, 2)), (2, (0, 1, 2, 3, 4)), (4, (2, 3, 4, 5, 6))}
    for sample in range(len(data)):
        weights = data[sample]["weight"].any(axis=1)
        assert weights.tolist() == [f in made.LABELLED for f in data.frames[sample].tolist()]


@pytest.mark.parametrize("name", ["posetrack18", "hieve"])
def test_augmented_windows_agree_with_their_pixels_too(tmp_path, name):
    MAKERS[name](tmp_path)
    data = dataset(tmp_path, augmentation=MODEST)
    skeleton = data.index.skeleton
    flipped = []
    for epoch in range(12):
        window = data[epoch, 2]
        first, second = window["points"][2, :2, 0]  # side by side in the image, and no pair of left and right
        flipped.append(bool(first > second))
        order = np.array(skeleton.flip_order) if flipped[-1] else np.arange(len(skeleton))
        for t, joint in zip(*np.nonzero(window["weight"]), strict=True):
            x, y = np.rint(window["points"][t, joint]).astype(int)
            assert np.abs(window["crops"][t, y, x].astype(int) - made.colour(order[joint])).max() < 60
        wrist = skeleton.index("right_wrist" if flipped[-1] else "left_wrist")
        assert not window["weight"][:, wrist].any()
    assert set(flipped) == {False, True}


def test_an_item_is_fixed_by_seed_epoch_and_number(tmp_path):
    made.posetrack18(tmp_path)
    one, other = (dataset(tmp_path, augmentation=MODEST) for _ in range(2))
    assert np.array_equal(one[3, 1]["crops"], other[3, 1]["crops"])
    assert not np.array_equal(one[3, 1]["crops"], one[4, 1]["crops"])
    assert np.array_equal(one[1]["points"], one[0, 1]["points"])
    with pytest.raises(IndexError):
        one[len(one)]


def test_neighbours_count_only_on_the_same_track(tmp_path):
    data = made.posetrack18(tmp_path)
    for annotation in data["annotations"]:
        if annotation["image_id"] == 102:
            annotation["track_id"] = {7: 8, 8: 9}[annotation["track_id"]]  # 8 moves to the other person, 9 is new
        if annotation["image_id"] == 104:
            del annotation["track_id"]
    made.save(tmp_path, data)
    windows = dataset(tmp_path)
    seen = {}
    for sample, row in enumerate(windows.rows):
        window = windows[sample]
        seen[int(windows.index.people.frame[row]), int(windows.index.people.track[row])] = window
        weighted = [f for f, w in zip(windows.frames[sample], window["weight"], strict=True) if w.any()]
        assert int(windows.index.people.frame[row]) in weighted
    assert seen[0, 7]["weight"].any(axis=1).tolist() == [True, True, True, False, False]
    crossed = seen[0, 8]["points"]  # its track goes on in the other person, outside this crop
    known = np.array([joint != "left_wrist" for joint in POSETRACK.joints])
    shift = (made.places(2, 0) - made.places(0, 1)) * (127 / 137.5)  # crop pixels an image pixel
    assert np.allclose((crossed[4] - crossed[2])[known], shift[known], atol=0.5)
    assert not seen[0, 8]["weight"][3:].any()
    assert seen[2, 9]["weight"].any(axis=1).tolist() == [False, False, True, False, False]
    assert seen[4, -1]["weight"].any(axis=1).tolist() == [False, False, True, False, False]  # nobody's neighbours


def test_head_sizes_are_those_of_the_benchmarks(tmp_path):
    made.posetrack18(tmp_path / "a")
    window = dataset(tmp_path / "a")[0]
    scale = 128 / 127 * (127 / 137.5)  # crop pixels an image pixel: the box of 110 enlarged by a quarter
    assert float(window["head_size"]) == pytest.approx(0.6 * 15 * scale, rel=0.01)
    made.hieve(tmp_path / "b", "val")
    assert float(dataset(tmp_path / "b")[0]["head_size"]) == pytest.approx(0.2 * np.sqrt(80 * 110) * scale, rel=0.01)


def test_synthetic_clips_give_the_same_windows_through_files(tmp_path):
    clip = demo_clip(5)
    write_demo_folder(tmp_path, clip, "000005_made")
    data = dataset(tmp_path)
    assert len(data) > 0
    for sample, row in enumerate(data.rows):
        frame, track = int(data.index.people.frame[row]), int(data.index.people.track[row])
        person = clip.track_ids.tolist().index(track)
        expected = person_window(clip, frame, person, 2, SIZE, NO_AUGMENTATION, np.random.default_rng(0))
        window = data[sample]
        assert np.allclose(window["points"][window["weight"] > 0], expected["points"][window["weight"] > 0], atol=0.01)
        assert np.array_equal(window["weight"][2], expected["weight"][2])
        known = window["weight"][2] > 0
        assert np.array_equal(window["occluded"][known], expected["occluded"][known])
        assert np.array_equal(window["blurred"][known], expected["blurred"][known])
        assert window["head_size"] == pytest.approx(expected["head_size"], rel=1e-3)
        assert np.abs(window["crops"].astype(int) - expected["crops"]).mean() < 6  # JPEG


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no real PoseTrack18 frame at {REAL}")
def test_a_real_frame():
    data = dataset(REAL)
    assert (len(data), data.index.summary.single_frames) == (2, 1)
    image = cv2.imread(str(next((REAL / "images/val").glob("*/*.jpg"))))
    for sample in range(2):
        window, row = data[sample], data.rows[sample]
        assert all(np.array_equal(crop, window["crops"][0]) for crop in window["crops"])  # one frame fills the window
        x, y, w, h = data.samples.boxes[sample].tolist()
        side = 1.25 * max(h, w / 0.75)  # the crop's height in image pixels: grown to 3:4, enlarged by a quarter
        step = np.array([0.75 * side / 95, side / 127])
        for joint in np.flatnonzero(window["weight"][2]).tolist():
            point = window["points"][2, joint]
            place = (point - [47.5, 63.5]) * step + [x + w / 2, y + h / 2]
            assert np.allclose(place, data.index.people.joints[row, joint], atol=0.01)
            column, line = np.rint(point).astype(int).tolist()
            place = (np.array([column, line]) - [47.5, 63.5]) * step + [x + w / 2, y + h / 2]
            pixel = cv2.getRectSubPix(image, (1, 1), tuple(place.tolist()))[0, 0]
            assert np.abs(pixel.astype(int) - window["crops"][2, line, column]).max() <= 12


# --- what is wrong with folders and files -------------------------------------------------------------------------


@pytest.mark.parametrize("name", MAKERS)
def test_a_folder_that_is_something_else_is_told_in_a_sentence(tmp_path, name):
    with pytest.raises(InputError, match="does not exist; expected a folder with .*images/") as caught:
        find_layout(tmp_path / "nowhere", "val", name)
    assert str(tmp_path / "nowhere") in str(caught.value)
    with pytest.raises(InputError, match="has no annotations of a split 'val'; expected"):
        find_layout(tmp_path, "val", name)
    MAKERS[name](tmp_path)
    for other in MAKERS:
        if other == name:
            assert find_layout(tmp_path, "val", other).dataset == name
        elif "hieve" in (name, other):
            with pytest.raises(
                InputError, match=f"expected .*{'posetrack_data' if other == 'posetrack21' else 'anno'}"
            ):
                find_layout(tmp_path, "val", other)
        else:
            with pytest.raises(InputError, match=f"holds {name} annotations, not {other}'s; expected"):
                find_layout(tmp_path, "val", other)


def test_splits_are_found_and_named(tmp_path):
    made.posetrack18(tmp_path, "val")
    made.posetrack18(tmp_path, "train", "000002_test")
    assert [(layout.dataset, layout.split) for layout in find_splits(tmp_path)] == [
        ("posetrack18", "train"), ("posetrack18", "val"),
    ]  # fmt: skip
    with pytest.raises(InputError, match="no annotations of a split 'test'.*splits that are there: train, val"):
        find_layout(tmp_path, "test")
    with pytest.raises(InputError, match="annotations themselves: give the folder that holds them"):
        find_layout(tmp_path / "annotations" / "val", "val")
    with pytest.raises(UsageError, match="unknown data set 'coco'"):
        find_layout(tmp_path, "val", "coco")
    with pytest.raises(InputError, match="expected annotations/<split>/"):
        find_splits(tmp_path / "images")


def test_annotations_that_are_no_posetrack_are_told(tmp_path):
    made.save(tmp_path, [1, 2])
    with pytest.raises(InputError, match="000001_test.json is not a PoseTrack file: expected 'annolist' or 'images'"):
        find_layout(tmp_path, "val")
    (tmp_path / "annotations/val/000001_test.json").write_text('{"images": [')
    with pytest.raises(InputError, match="000001_test.json is not valid JSON"):
        find_layout(tmp_path, "val")


def test_images_may_lie_elsewhere(tmp_path):
    made.posetrack18(tmp_path / "a")
    (tmp_path / "a/images").rename(tmp_path / "pictures")
    with pytest.raises(InputError, match="no person to train on: 1 sequences whose images are not there"):
        dataset(tmp_path / "a")
    assert len(dataset(tmp_path / "a", images=tmp_path / "pictures")) == 6
    with pytest.raises(InputError, match="gone does not exist"):
        dataset(tmp_path / "a", images=tmp_path / "gone")


def test_all_sequences_in_one_file_are_told_apart(tmp_path):
    first, second = (made.posetrack18(tmp_path, name=name) for name in ("000001_test", "000002_test"))
    for image in second["images"]:
        image["id"] += 1000
    for annotation in second["annotations"]:
        annotation["image_id"] += 1000
    both = first | {key: first[key] + second[key] for key in ("images", "annotations")}
    (tmp_path / "annotations/val/000002_test.json").unlink()
    made.save(tmp_path, both)
    data = dataset(tmp_path)
    assert (data.index.summary.sequences, data.index.summary.tracks, len(data)) == (2, 4, 12)
    for sample in range(12):
        shows_its_joints(data[sample], 15)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"images": [{"id": 1, "file_na', "is not valid JSON"),
        ('{"images": {}, "annotations": []}', "'images' must be a list, but is an object"),
        ('{"images": [{"id": "one", "file_name": "a.jpg"}], "annotations": []}', "'id' must be a whole number"),
        (
            '{"images": [{"id": 5, "file_name": "a.jpg"}], "annotations": [{"image_id": 5, "keypoints": [1, 2]}]}',
            "keypoints must hold 51 numbers",
        ),
        ('{"images": [], "annotations": 3}', "'annotations' must be a list, but is a whole number"),
        ("[]", "is not a PoseTrack file"),
    ],
)
def test_a_broken_annotation_file_is_left_out_and_named(tmp_path, text, sentence):
    made.posetrack18(tmp_path)
    (tmp_path / "annotations/val/000002_broken.json").write_text(text)
    data = dataset(tmp_path)
    assert len(data) == 6
    assert data.index.summary.skipped[reasons.BROKEN_FILE] == 1
    example = data.index.summary.examples[reasons.BROKEN_FILE]
    assert "000002_broken.json" in example
    assert sentence in example
    assert data.index.summary.damaged


def test_a_broken_hieve_frame_costs_that_frame_only(tmp_path):
    folder = made.hieve(tmp_path, "val")
    (folder / "000002.xml").write_text("<annotation><object>")
    data = dataset(tmp_path)
    assert len(data) == 4
    assert "000002.xml is not a readable XML file" in data.index.summary.examples[reasons.BROKEN_FILE]


def change(key, value, only=lambda annotation: annotation["image_id"] == 102 and annotation["track_id"] == 7):
    def edit(data):
        for annotation in data["annotations"]:
            if only(annotation):
                annotation[key] = value
                if value is None:
                    del annotation[key]

    return edit


ONE_JOINT = [26.0, 20.0, 1.0] + [0.0] * 48


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (change("bbox", [30.0, 20.0, 0.0, 90.0]), reasons.NO_BOX),
        (change("bbox", [30.0, 20.0, 40.0, -1.0]), reasons.NO_BOX),
        (change("keypoints", ONE_JOINT), reasons.FEW_JOINTS),
        (change("bbox_head", None), reasons.NO_HEAD),
        (change("bbox_head", [1.0, 2.0, 0.0, 0.0]), reasons.NO_HEAD),
    ],
)
def test_people_who_cannot_be_used_are_counted(tmp_path, edit, reason):
    data = made.posetrack18(tmp_path)
    edit(data)
    made.save(tmp_path, data)
    windows = dataset(tmp_path)
    assert len(windows) == 5
    assert dict(windows.index.summary.skipped) == {reason: 1}
    assert "000002.jpg" in windows.index.summary.examples[reason]
    assert not windows.index.summary.damaged
    for sample in range(5):
        shows_its_joints(windows[sample], 15)


@pytest.mark.parametrize(
    ("edits", "new"),
    [(("keypoints",), False), (("bbox",), True), (("unmarked",), False), (("keypoints", "unmarked"), True), ((), True)],
)
def test_people_without_a_head_box_do_not_stop_validation_whatever_else_they_lack(tmp_path, edits, new):
    """Evaluation refuses people it cannot measure: they are left out and counted, whichever reason was found first."""
    data = made.posetrack18(tmp_path, new=new)
    for key, value in (("keypoints", ONE_JOINT), ("bbox", [30.0, 20.0, 0.0, 90.0]), ("bbox_head", None)):
        if key in edits or key == "bbox_head":
            change(key, value)(data)
    data["images"][2]["is_labeled"] = "unmarked" not in edits
    made.save(tmp_path, data, place="posetrack_data" if new else "annotations")
    windows = dataset(tmp_path)
    truth = windows.truth()
    answers = truth.predictions(np.arange(len(windows)), np.ones((len(windows), 15, 3)))
    counted = evaluate(truth.sequences, answers, truth.protocol).counts
    assert counted["people"] == (5 if not new or "unmarked" not in edits else 4)
    skipped = windows.index.summary.skipped
    assert skipped[reasons.UNMEASURED] + skipped[reasons.NO_HEAD] == 1


def test_a_head_box_without_extent_is_measured_as_the_benchmarks_do(tmp_path):
    """Nobody can hit its joints, but they count as missed; it still gives no window."""
    data = made.posetrack18(tmp_path)
    change("bbox_head", [1.0, 2.0, 0.0, 0.0])(data)
    made.save(tmp_path, data)
    windows = dataset(tmp_path)
    assert (len(windows), sum(len(f.people) for s in windows.truth().sequences for f in s.frames)) == (5, 6)


def test_people_in_frames_not_marked_as_labelled_are_neighbours_only(tmp_path):
    data = made.posetrack18(tmp_path, new=True)
    data["images"][2]["is_labeled"] = False
    made.save(tmp_path, data, place="posetrack_data")
    windows = dataset(tmp_path)
    assert (len(windows), windows.index.summary.skipped[reasons.UNMARKED]) == (4, 2)
    assert windows[0]["weight"].any(axis=1).tolist() == [True, True, True, False, True]


def test_posetrack21_has_a_joint_where_both_coordinates_are_positive(tmp_path):
    for name, new in (("a", False), ("b", True)):
        data = made.posetrack18(tmp_path / name, new=new)
        data["annotations"][0]["keypoints"][:3] = [0.0, 30.0, 1.0]
        made.save(tmp_path / name, data, place="posetrack_data" if new else "annotations")
        index = build_index(find_layout(tmp_path / name, "val"))
        assert bool(index.people.labelled[0, 0]) is not new


def test_posetrack17_people_without_points_are_counted(tmp_path):
    data = made.posetrack17(tmp_path)
    data["annolist"][0]["annorect"].append({"track_id": [3], "annopoints": []})
    data["annolist"][1]["annorect"][0]["annopoints"][0]["point"] = [{"id": [0], "x": [5], "y": [5]}]
    made.save(tmp_path, data, name="000001_bonn_relpath_5sec_testsub")
    windows = dataset(tmp_path)
    assert dict(windows.index.summary.skipped) == {reasons.POINTLESS: 1, reasons.FEW_JOINTS: 1}


def test_missing_frames_and_folders_are_counted(tmp_path):
    made.posetrack18(tmp_path)
    data = made.posetrack18(tmp_path, name="000002_test")
    folder = tmp_path / "images/val/000001_test"
    (folder / "000002.jpg").unlink()
    (folder / "000003.jpg").unlink()
    for file in (tmp_path / "images/val/000002_test").iterdir():
        file.unlink()
    windows = dataset(tmp_path)
    skipped = windows.index.summary.skipped
    assert (skipped[reasons.NO_IMAGE], skipped[reasons.LOST_PEOPLE], skipped[reasons.NO_FOLDER]) == (2, 2, 1)
    assert windows.index.summary.damaged
    assert len(windows) == 4
    stems = [windows.index.videos[0].files[f][:6] for f in windows.frames[0].tolist()]
    assert stems == ["000000", "000000", "000000", "000001", "000001"]  # of 1 and 4, 1 is nearer to 2
    assert len(data["images"]) == 6
    for sample in range(4):
        shows_its_joints(windows[sample], 15)


@pytest.mark.parametrize(
    "name",
    [
        "images\\val\\000001_test\\{:06d}.jpg", "images/val/000001_test/{}.jpg", "images/val/000001_test/{:06d}.png",
        "images%2Fval%2F000001_test%2F{:06d}.jpg", "images/val/000001_test/{:08d}.jpg",
    ],
)  # fmt: skip
def test_names_as_labelling_tools_write_them_find_their_images(tmp_path, name):
    data = made.posetrack18(tmp_path)
    plain = dataset(tmp_path).index.positions
    for number, image in enumerate(data["images"]):
        image["file_name"] = name.format(number)
    made.save(tmp_path, data)
    index = dataset(tmp_path).index
    assert [found.tolist() for found in index.positions] == [found.tolist() for found in plain]
    assert not index.summary.skipped


@pytest.mark.parametrize("name", MAKERS)
def test_companions_of_macos_are_passed_over(tmp_path, name):
    MAKERS[name](tmp_path)
    before = dataset(tmp_path).index
    for file in [file for file in tmp_path.rglob("*") if file.is_file()]:
        file.with_name(f"._{file.name}").write_bytes(b"\0\5\x16\7")
    index = dataset(tmp_path).index
    assert (index.summary.frames, len(index.videos)) == (before.summary.frames, len(before.videos))
    assert index.summary.skipped == before.summary.skipped


def test_frames_and_masks_of_one_name_are_told(tmp_path):
    made.posetrack18(tmp_path)
    made.posetrack18(tmp_path, name="000002_test")
    frame = next((tmp_path / "images/val/000002_test").iterdir())
    frame.with_suffix(".png").write_bytes(frame.read_bytes())
    summary = dataset(tmp_path).index.summary
    assert (summary.skipped[reasons.UNPLACED], summary.sequences) == (1, 1)
    assert "two images of one name" in summary.examples[reasons.UNPLACED]


def test_a_sequence_of_a_single_frame_fills_its_window(tmp_path):
    made.posetrack18(tmp_path)
    for number in range(1, made.FRAMES):
        (tmp_path / f"images/val/000001_test/{number:06d}.jpg").unlink()
    data = made.posetrack18(tmp_path / "b")
    data["images"] = data["images"][:1]
    data["annotations"] = data["annotations"][:2]
    made.save(tmp_path, data)
    windows = dataset(tmp_path)
    assert (len(windows), windows.index.summary.single_frames, dict(windows.index.summary.skipped)) == (2, 1, {})
    assert windows[0]["weight"].any(axis=1).all()


def test_nobody_to_train_on_is_told(tmp_path):
    data = made.posetrack18(tmp_path)
    made.save(tmp_path, data | {"annotations": []})
    with pytest.raises(InputError, match="posetrack18, split 'val', has no person to train on: none listed"):
        dataset(tmp_path)


def renamed(root: Path, name) -> ClipDataset:
    """A PoseTrack18 data set whose frame n is called name(n)."""
    data = made.posetrack18(root)
    folder = root / "images/val/000001_test"
    for n in range(made.FRAMES):
        (folder / f"{n:06d}.jpg").rename(folder / f"{name(n)}.jpg")
    for n, image in enumerate(data["images"]):
        image["file_name"] = f"images/val/000001_test/{name(n)}.jpg"
    made.save(root, data)
    return dataset(root)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (lambda n: f"{n:06d}", None),
        (lambda n: f"{n + 7:06d}", None),
        (lambda n: f"cam2_{n:04d}", None),
        (lambda n: f"{n + 1:08d}", None),
        (lambda n: f"frame_{n + 8}", "1 sequences whose frame numbers are not padded"),
        (lambda n: f"{n + 8}", "1 sequences whose frame numbers are not padded"),
        (lambda n: f"{1790000000000000000 + 40_000_000 * n + n % 3}", "1 sequences whose frame numbers rise in steps"),
        (lambda n: f"{1790000000 + n / 25:.9f}", "1 sequences whose frame numbers rise in steps"),
        (lambda n: f"2026112810215312{n:06d}00", "1 sequences whose frame numbers rise in steps"),
        (lambda n: f"{10 * n:06d}", "1 sequences whose frame numbers rise in steps"),
        (lambda n: f"left{n + 9}right", "1 sequences whose frame names hold no common number"),
        (lambda n: "abcdefg"[n], "1 sequences whose frame names hold no common number"),
    ],
)  # fmt: skip
def test_neighbours_are_the_frames_before_and_after_whatever_their_names(tmp_path, name, said):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        windows = renamed(tmp_path, name)
    assert [said in str(w.message) for w in caught] == ([True] if said else [])
    for sample, row in enumerate(windows.rows):
        key = int(windows.index.people.frame[row])
        expected = np.clip(np.arange(key - 2, key + 3), 0, made.FRAMES - 1)
        files = [windows.index.videos[0].files[f] for f in windows.frames[sample]]
        assert files == [f"{name(n)}.jpg" for n in expected]
        shows_its_joints(windows[sample], 15)
    if said:
        assert said.removeprefix("1 ") in "\n".join(windows.index.summary.lines())


def test_a_missing_frame_stays_missing_in_steps_too(tmp_path):
    made.posetrack18(tmp_path)
    folder = tmp_path / "images/val/000001_test"
    frames = read_frames(folder)
    assert (frames.steps.tolist(), frames.irregular) == ([0, 1, 2, 3, 4, 5, 6], None)
    for n in (3, 4):
        (folder / f"{n:06d}.jpg").unlink()
    assert read_frames(folder).steps.tolist() == [0, 1, 2, 5, 6]
    for n in (6, 5, 2, 1):
        (folder / f"{n:06d}.jpg").rename(folder / f"{10 * n:06d}.jpg")
    frames = read_frames(folder)
    assert (frames.steps.tolist(), frames.numbers.tolist()) == ([0, 1, 2, 5, 6], [0, 10, 20, 50, 60])


def test_windows_without_any_neighbour_are_told(tmp_path):
    """Frames 0 to 2 and then one 40 frames later: its window is five times itself, which nothing else would say."""
    data = made.posetrack18(tmp_path)
    folder = tmp_path / "images/val/000001_test"
    (folder / "000004.jpg").rename(folder / "000040.jpg")
    for n in (3, 5, 6):
        (folder / f"{n:06d}.jpg").unlink()
    data["images"][4]["file_name"] = "images/val/000001_test/000040.jpg"
    made.save(tmp_path, data)
    with pytest.warns(UserWarning, match="2 of 6 windows whose keyframe has no other frame within 2"):
        dataset(tmp_path)


@pytest.mark.parametrize(
    ("numbers", "frame", "expected"),
    [
        ([0, 1, 2, 3, 4], 2, [0, 1, 2, 3, 4]),
        ([0, 1, 2, 3, 4], 0, [0, 0, 0, 1, 2]),
        ([0, 1, 2, 3, 4], 4, [2, 3, 4, 4, 4]),
        ([5], 0, [0, 0, 0, 0, 0]),
        ([0, 4, 8], 1, [1, 1, 1, 1, 1]),  # 2 and 6 lie as near to either: the keyframe's side
        ([0, 3, 4, 6, 9], 2, [1, 1, 2, 2, 3]),
    ],
)
def test_neighbours_by_number(numbers, frame, expected):
    assert neighbours(np.array(numbers), frame, 2).tolist() == expected


# --- images that do not decode ------------------------------------------------------------------------------------


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def test_an_unreadable_frame_gives_way_to_its_neighbour_with_that_ones_labels(tmp_path):
    made.posetrack18(tmp_path)
    folder = tmp_path / "images/val/000001_test"
    cut(folder / "000003.jpg")
    cut(folder / "000004.jpg")
    data = dataset(tmp_path)
    with pytest.warns(UserWarning, match="000003.jpg does not decode: the nearest readable frame is taken instead"):
        middle = data[2]  # frames 0 1 2 3 4, keyframe 2
    assert np.array_equal(middle["crops"][3], middle["crops"][2])
    assert np.array_equal(middle["crops"][4], middle["crops"][2])
    assert middle["weight"].any(axis=1).tolist() == [True, False, True, True, True]
    shows_its_joints(middle, 15)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # warned once
        late = data[4]  # frames 2 3 4 5 6, keyframe 4 itself is damaged: 5 is as near as 3, which is damaged too
        shows_its_joints(late, 15)
        data[4]
    assert late["weight"].any(axis=1).tolist() == [True, True, False, False, False]
    assert [path.name for path in data.unreadable()] == ["000003.jpg", "000004.jpg"]


def test_a_window_without_one_readable_frame_is_black_and_weightless(tmp_path):
    made.posetrack18(tmp_path)
    for file in (tmp_path / "images/val/000001_test").iterdir():
        file.write_bytes(b"")
    data = dataset(tmp_path)
    with pytest.warns(UserWarning, match="does not decode"):
        window = data[2]
    assert not window["crops"].any()
    assert not window["weight"].any()
    assert np.isfinite(window["points"]).all()
    assert len(data.unreadable()) == 5


def test_a_jpeg_that_is_cut_short_counts_as_unreadable(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = cv2.imencode(".jpg", noise)[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(data[:-400])
    (tmp_path / "b.jpg").write_bytes(data)
    cache = FrameCache(1)
    assert cache.read(tmp_path / "a.jpg") is None
    assert cache.read(tmp_path / "b.jpg").shape == (64, 64, 3)
    assert cache.read(tmp_path / "gone.jpg") is None
    (tmp_path / "b.jpg").unlink()
    assert cache.read(tmp_path / "b.jpg") is None  # only the latest frame is kept


def test_workers_count_unreadable_images_together(tmp_path):
    made.posetrack18(tmp_path)
    cut(tmp_path / "images/val/000001_test/000001.jpg")
    data = dataset(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batches = list(DataLoader(data, batch_size=2, num_workers=2))
    assert sum(len(batch["crops"]) for batch in batches) == 6
    assert batches[0]["crops"].dtype == torch.uint8
    assert [path.name for path in data.unreadable()] == ["000001.jpg"]


@pytest.mark.slow
def test_corrupt_is_never_a_crash(tmp_path):
    """Bytes and values at random: a sentence or fewer windows, never anything else."""
    made.posetrack18(tmp_path)
    sound = json.dumps(json.loads((tmp_path / "annotations/val/000001_test.json").read_text()))
    random = np.random.default_rng(0)
    outcomes = set()
    for _ in range(60):
        place = int(random.integers(0, len(sound)))
        text = sound[:place] + str(random.choice(list('0123456789-.e"[]{},'))) + sound[place + 1 :]
        (tmp_path / "annotations/val/000001_test.json").write_text(text)
        try:
            data = dataset(tmp_path)
            for sample in range(len(data)):
                assert np.isfinite(data[sample]["points"]).all()
            outcomes.add(len(data))
        except InputError:
            outcomes.add(-1)
    assert -1 in outcomes
    assert max(outcomes) == 6
