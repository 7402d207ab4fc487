# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Training windows: what the crops show is where the points say, and which windows a stream gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from torch.utils.data import DataLoader

from sdtc_ros.crops import crop_boxes, crop_images, to_crop
from sdtc_ros.demo.clip import Clip, write_clip
from sdtc_ros.demo.clip import demo_clip as shipped_clip
from sdtc_ros.errors import UsageError
from sdtc_ros.skeleton import POSETRACK
from training.data import demo_clip
from training.data.augment import NO_AUGMENTATION, Augmentation, CropTransform, half_body_box, sample_transform
from training.data.demo_clip import DemoConfig, DemoData, DemoValidation, DemoWindows, split_clip, usable_people
from training.data.windows import person_window

SIZE = (48, 64)  # a crop's width and height
WIDTH, HEIGHT = 160, 120
BOX = np.array([50, 20, 50, 80], np.float32)
LEFT = {"left_shoulder", "left_elbow", "left_wrist", "left_hip", "left_knee", "left_ankle"}
LOWER = np.array([name.endswith(("hip", "knee", "ankle")) for name in POSETRACK.joints])
HARD = Augmentation(rotation_probability=1.0, half_body_probability=0.0)


def spread_joints(box: np.ndarray = BOX) -> np.ndarray:
    """15 places inside a box, the lower body's below the upper body's."""
    shares = np.random.default_rng(3).uniform(0.1, 0.9, (15, 2))
    shares[:, 1] = np.where(LOWER, 0.55 + 0.4 * shares[:, 1], 0.45 * shares[:, 1])
    return (box[:2] + shares * box[2:]).astype(np.float32)


def spot(point: np.ndarray, sigma: float = 3.0) -> np.ndarray:
    """A bright spot on black, H x W x 3 uint8."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    light = 250 * np.exp(-((x - point[0]) ** 2 + (y - point[1]) ** 2) / (2 * sigma**2))
    return np.repeat(np.round(light).astype(np.uint8)[..., None], 3, axis=2)


def centroid(image: np.ndarray) -> np.ndarray:
    """Where the light of a crop is, (x, y)."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    light = image[..., 0].astype(float)
    return np.array([(x * light).sum(), (y * light).sum()]) / light.sum()


def make_clip(frames: int = 6, step: float = 0.0, people: int = 1) -> Clip:
    """Frame t is of brightness 40 t; everybody has the same joints, which move by `step` pixels a frame."""
    joints = spread_joints() + step * np.arange(frames)[:, None, None]
    moved = np.repeat(joints[:, None], people, axis=1).astype(np.float32)
    boxes = np.tile(BOX, (frames, people, 1))
    return Clip(
        frames=[np.full((HEIGHT, WIDTH, 3), min(40 * t, 255), np.uint8) for t in range(frames)], keypoints=moved,
        visible=np.ones((frames, people, 15), bool), blurred=np.zeros((frames, people, 15), np.float32), boxes=boxes,
        head_boxes=np.tile(np.float32([60, 20, 12, 16]), (frames, people, 1)), present=np.ones((frames, people), bool),
        track_ids=np.arange(1, people + 1), fps=25.0,
    )  # fmt: skip


def window(clip: Clip, frame: int, delta: int = 2, augmentation: Augmentation = NO_AUGMENTATION, seed: int = 0):
    return person_window(clip, frame, 0, delta, SIZE, augmentation, np.random.default_rng(seed))


def draw_transform(augmentation: Augmentation, seed: int, points: np.ndarray | None = None) -> CropTransform:
    points = spread_joints() if points is None else points
    labelled = np.ones(15, bool)
    return sample_transform(BOX, points, labelled, SIZE, POSETRACK, augmentation, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(12))
def test_what_is_drawn_at_a_joint_is_cropped_to_where_the_points_say(seed):
    transform = draw_transform(HARD, seed)
    middle = BOX[:2] + BOX[2:] / 2
    for offset in ((0.0, 0.0), (6.3, -9.8), (-8.6, 4.1)):  # the spot stays inside any of these crops
        joint = (middle + offset).astype(np.float32)
        said = transform.points(np.tile(joint, (15, 1)), POSETRACK)[0]
        np.testing.assert_allclose(centroid(transform.crop(spot(joint))), said, atol=0.5)


def test_the_draws_of_the_test_above_turn_scale_shift_and_flip():
    drawn = [draw_transform(HARD, seed) for seed in range(12)]
    angles = [np.degrees(np.arctan2(t.to_image[1, 0], t.to_image[0, 0])) for t in drawn]
    scales = [np.hypot(*t.to_image[:, 0]) for t in drawn]
    assert {t.flipped for t in drawn} == {True, False}
    assert min(angles) < -20
    assert max(angles) > 20
    assert max(scales) / min(scales) > 1.5


@pytest.mark.parametrize("draw", ["uniform", "normal"])
def test_rotation_and_scale_are_drawn_as_asked(draw):
    """Uniform over the papers' ranges, every window; or the code family's clipped normals with probability 0.6."""
    limit, probability = (45.0, 1.0) if draw == "uniform" else (90.0, 0.6)
    drawn = Augmentation(draw=draw, rotation_limit=limit, rotation_probability=probability, half_body_probability=0)
    rng, box = np.random.default_rng(5), np.array([10, 10, 60, 80], np.float32)
    points, labelled = np.full((15, 2), 30, np.float32), np.ones(15, bool)
    linear = np.array(
        [sample_transform(box, points, labelled, (49, 65), POSETRACK, drawn, rng).to_image[:, :2] for _ in range(4000)]
    )
    turned = np.abs(np.degrees(np.arctan2(linear[:, 1, 0], linear[:, 0, 0])))
    scale = np.sqrt(np.linalg.det(linear))
    scale /= np.sqrt(
        np.linalg.det(
            sample_transform(box, points, labelled, (49, 65), POSETRACK, NO_AUGMENTATION, rng).to_image[:, :2]
        )
    )
    assert 0.65 - 1e-6 <= scale.min() < 0.66 and 1.34 < scale.max() <= 1.35 + 1e-6
    quarter = (turned < limit / 4).mean(), (scale < 0.825).mean(), (turned == 0).mean()
    expected = (0.25, 0.25, 0.0) if draw == "uniform" else (0.4 + 0.6 * 0.383, 0.309, 0.4)
    assert np.allclose(quarter, expected, atol=0.03)
    assert turned.max() <= limit + 1e-6 and turned.max() > 0.9 * limit


def test_without_augmentation_a_crop_is_the_pipeline_s():
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    transform = draw_transform(NO_AUGMENTATION, 0)
    boxes = crop_boxes(BOX[None], SIZE[0] / SIZE[1])
    assert np.array_equal(transform.crop(image), crop_images(image, boxes, SIZE)[0])
    points = spread_joints()
    np.testing.assert_allclose(transform.points(points, POSETRACK), to_crop(points[None], boxes, SIZE)[0], atol=1e-4)


def test_a_flip_mirrors_pixels_and_swaps_left_and_right():
    plain = draw_transform(NO_AUGMENTATION, 0)
    flipped = replace(plain, flipped=True)
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    assert np.array_equal(flipped.crop(image), plain.crop(image)[:, ::-1])
    points = spread_joints()
    straight, mirrored = plain.points(points, POSETRACK), flipped.points(points, POSETRACK)
    for joint, name in enumerate(POSETRACK.joints):
        other = POSETRACK.index(name.replace("left", "right") if name in LEFT else name.replace("right", "left"))
        expected = (SIZE[0] - 1 - straight[other, 0], straight[other, 1])
        np.testing.assert_allclose(mirrored[joint], expected, atol=1e-4)


def test_a_flipped_window_swaps_what_is_said_of_each_joint():
    clip = make_clip()
    left, right = POSETRACK.index("left_knee"), POSETRACK.index("right_knee")
    clip.visible[3, 0, left] = False
    clip.blurred[3, 0, left] = 0.06 * BOX[3]
    clip.blurred[3, 0, right] = 0.04 * BOX[3]  # too little
    clip.keypoints[4, 0, left] = (-5, 30)  # outside the image
    mirror = replace(NO_AUGMENTATION, flip_probability=1.0)
    for augmentation, joint in ((NO_AUGMENTATION, left), (mirror, right)):
        sample = window(clip, 3, 1, augmentation)
        assert np.flatnonzero(sample["occluded"]).tolist() == [joint]
        assert np.flatnonzero(sample["blurred"]).tolist() == [joint]
        assert np.argwhere(sample["weight"] == 0).tolist() == [[2, joint]]


def test_all_frames_of_a_window_share_one_transform():
    clip = make_clip(step=1.5)
    picture = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    clip = replace(clip, frames=[picture] * 6)
    sample = window(clip, 3, augmentation=HARD, seed=4)
    assert (sample["crops"] == sample["crops"][0]).all()
    steps = np.diff(sample["points"], axis=0)
    np.testing.assert_allclose(steps, np.broadcast_to(steps[0, 0], steps.shape), atol=1e-3)
    assert np.hypot(*steps[0, 0]) > 0.5


def test_the_keyframe_s_box_cuts_every_frame():
    clip = make_clip()
    clip.boxes[[0, 1, 2, 4, 5]] += 1000
    sample = window(clip, 3)
    boxes = crop_boxes(BOX[None], SIZE[0] / SIZE[1])
    np.testing.assert_allclose(sample["points"][0], to_crop(clip.keypoints[1], boxes, SIZE)[0], atol=1e-4)


@pytest.mark.parametrize(
    ("frame", "delta", "expected"),
    [(3, 2, [1, 2, 3, 4, 5]), (0, 2, [0, 0, 0, 1, 2]), (5, 1, [4, 5, 5]), (1, 3, [0, 0, 0, 1, 2, 3, 4]), (2, 0, [2])],
)
def test_windows_clamp_at_the_clip_s_ends(frame, delta, expected):
    clip = make_clip(step=1.0)
    sample = window(clip, frame, delta)
    assert (sample["crops"][:, 32, 24, 0] // 40).tolist() == expected
    boxes = crop_boxes(BOX[None], SIZE[0] / SIZE[1])
    for points, number in zip(sample["points"], expected, strict=True):
        np.testing.assert_allclose(points, to_crop(clip.keypoints[number], boxes, SIZE)[0], atol=1e-4)


def test_what_a_window_holds():
    sample = window(make_clip(), 3)
    assert {name: (value.shape, value.dtype.name) for name, value in sample.items()} == {
        "crops": ((5, 64, 48, 3), "uint8"),
        "points": ((5, 15, 2), "float32"),
        "weight": ((5, 15), "float32"),
        "occluded": ((15,), "bool"),
        "blurred": ((15,), "bool"),
        "head_size": ((), "float32"),
        "to_image": ((2, 3), "float32"),
        "sample": ((), "int64"),
    }


def test_joints_outside_image_or_crop_have_no_weight():
    clip = make_clip()
    clip.boxes[:] = (-10, 20, 50, 80)  # partly left of the image
    clip.keypoints[:, 0, 0] = (-3, 60)  # in the crop, outside the image
    clip.keypoints[:, 0, 1] = (2, 60)  # in both
    clip.keypoints[:, 0, 2] = (150, 60)  # in the image, outside the crop
    clip.keypoints[4, 0, 1] = (2, HEIGHT - 0.5)  # a neighbour's, below the image
    sample = window(clip, 3)
    assert 0 <= sample["points"][2, 0, 0] <= SIZE[0] - 1
    assert sample["weight"][:, :3].tolist() == [[0, 1, 0]] * 3 + [[0, 0, 0]] + [[0, 1, 0]]


def test_head_size_is_poseval_s_in_crop_pixels():
    for augmentation in (NO_AUGMENTATION, HARD):
        sample = window(make_clip(), 3, augmentation=augmentation, seed=2)
        moved = make_clip()  # two joints a head's diagonal apart
        moved.keypoints[:, 0, 0], moved.keypoints[:, 0, 1] = (60, 20), (72, 36)
        ends = window(moved, 3, augmentation=augmentation, seed=2)["points"][2, :2]
        assert sample["head_size"] == pytest.approx(0.6 * np.hypot(*(ends[0] - ends[1])), rel=0.02)


@pytest.mark.parametrize("upper", [True, False])
def test_half_a_body_is_the_labelled_joints_of_that_half(upper):
    points, labelled = spread_joints(), np.ones(15, bool)
    chosen = ~LOWER if upper else LOWER
    odd = int(np.flatnonzero(chosen)[0])
    points[odd], labelled[odd] = (5000, 5000), False
    chosen = chosen & labelled
    low, high = points[chosen].min(axis=0), points[chosen].max(axis=0)
    box = half_body_box(points, labelled, POSETRACK, upper)
    np.testing.assert_allclose(box[:2] + box[2:] / 2, (low + high) / 2, atol=1e-3)
    crop = crop_boxes(box[None], SIZE[0] / SIZE[1])[0]
    assert np.min(crop[2:] / (high - low)) == pytest.approx(1.5)


def test_half_body_crops_show_one_half_or_the_other():
    only = replace(NO_AUGMENTATION, half_body_probability=1.0)
    points = spread_joints()
    whole = np.hypot(*draw_transform(NO_AUGMENTATION, 0).to_image[:, 0])
    seen = set()
    for seed in range(12):
        transform = draw_transform(only, seed)
        moved = transform.points(points, POSETRACK)
        inside = np.all((moved >= 0) & (moved <= (SIZE[0] - 1, SIZE[1] - 1)), axis=1)
        halves = [bool(inside[half].all()) for half in (LOWER, ~LOWER)]
        assert any(halves)
        assert np.hypot(*transform.to_image[:, 0]) < whole  # nearer
        seen.add(tuple(halves))
    assert {(True, False), (False, True)} <= seen


def test_a_body_of_few_labelled_joints_is_not_halved():
    only = replace(NO_AUGMENTATION, half_body_probability=1.0)
    labelled = np.arange(15) < 8
    cut = sample_transform(BOX, spread_joints(), labelled, SIZE, POSETRACK, only, np.random.default_rng(0))
    np.testing.assert_allclose(cut.to_image, draw_transform(NO_AUGMENTATION, 0).to_image)


def test_only_people_who_can_be_seen_are_used():
    clip = make_clip(people=4)
    clip.visible[2, 1, 2:] = False  # two joints seen
    clip.keypoints[2, 2, 4:] = -1  # four inside the image
    clip.keypoints[2, 3, 5:] = -1  # five inside, three of them seen
    clip.visible[2, 3, :2] = False
    assert usable_people(clip, 2) == [0, 3]
    assert usable_people(clip, 1) == [0, 1, 2, 3]


def take(stream, count=12):
    samples = iter(stream)
    return [next(samples) for _ in range(count)]


def stream_of(seed=0, rank=0, batch=1, skip=0):
    return DemoWindows(make_clip(people=2), SIZE, 1, HARD, seed, rank, batch, skip)


def same(one, other):
    return all(np.array_equal(a[key], b[key]) for a, b in zip(one, other, strict=True) for key in a)


def test_a_stream_is_fixed_by_its_seed():
    assert same(take(stream_of()), take(stream_of()))
    assert not same(take(stream_of()), take(stream_of(seed=1)))


def test_ranks_and_workers_have_streams_of_their_own(monkeypatch):
    streams = []
    for worker in (None, 1, 2):
        number = None if worker is None else type("Worker", (), {"id": worker, "num_workers": 3})
        monkeypatch.setattr(demo_clip, "get_worker_info", lambda number=number: number)
        streams += [take(stream_of(rank=rank)) for rank in (0, 1)]
    for i, one in enumerate(streams):
        assert not any(same(one, other) for other in streams[:i])


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 3])
def test_a_stream_goes_on_after_any_number_of_batches(workers):
    def batches(skip, count):
        loader = iter(DataLoader(stream_of(batch=2, skip=skip), batch_size=2, num_workers=workers))
        return [next(loader) for _ in range(count)]

    whole = batches(0, 7)
    for skip in (1, 2, 5):
        assert same(batches(skip, 7 - skip), whole[skip:])
    assert not same(whole[:3], whole[3:6])


def test_every_delta_is_validated_on_the_same_keyframes():
    sets = {delta: DemoValidation(make_clip(24, people=2), SIZE, delta) for delta in (0, 1, 3)}
    assert {len(windows) for windows in sets.values()} == {2 * 4}  # frames 4, 8, 12 and 16
    for delta, windows in sets.items():
        assert len(windows.truth.sequences[0].frames) == 4
        for sample, single in zip(windows, sets[0], strict=True):
            assert sample["crops"].shape[0] == 2 * delta + 1
            assert np.array_equal(sample["crops"][delta], single["crops"][0])
            assert np.array_equal(sample["points"][delta], single["points"][0])


@pytest.mark.slow
def test_what_is_trained_on_is_not_validated_on():
    train, validation = split_clip("", 24)
    whole = shipped_clip()
    assert len(train.frames) + len(validation.frames) == len(whole.frames)
    assert len(validation.frames) == 24
    assert np.array_equal(validation.keypoints[-1], whole.keypoints[-1])
    with pytest.raises(UsageError, match="held_out: 1000 of the clip's"):
        split_clip("", 1000)
    with pytest.raises(UsageError, match="held_out: 0 of"):
        split_clip("", 0)


@pytest.fixture
def clip_file(tmp_path):
    """A clip of one's own."""
    write_clip(tmp_path / "mine.npz", make_clip(16), 95)
    return str(tmp_path / "mine.npz")


def test_validation_is_not_augmented(clip_file):
    data = DemoData(DemoConfig(clip_file, 9, size=SIZE, delta=1, batch=4, workers=0))
    first, again = (next(iter(data.val_dataloader())) for _ in range(2))
    assert first["crops"].shape == (1, 3, 64, 48, 3)
    boxes = crop_boxes(BOX[None], SIZE[0] / SIZE[1])
    np.testing.assert_allclose(first["points"][0, 1], to_crop(spread_joints()[None], boxes, SIZE)[0], atol=1e-4)
    assert all(bool((first[key] == again[key]).all()) for key in first)


def test_training_batches_follow_the_config(clip_file):
    config = DemoConfig(clip_file, 9, size=SIZE, delta=2, batch=3, workers=0, seed=5)
    batch = next(iter(DemoData(config).train_dataloader()))
    assert batch["crops"].shape == (3, 5, 64, 48, 3)
    assert batch["head_size"].shape == (3,)
    other = next(iter(DemoData(replace(config, seed=6)).train_dataloader()))
    assert not bool((batch["points"] == other["points"]).all())
    again = next(iter(DemoData(config).train_dataloader()))
    assert bool((batch["crops"] == again["crops"]).all())
