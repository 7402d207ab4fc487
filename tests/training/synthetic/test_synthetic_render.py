# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Rendering synthetic people without bodies: pixels, depth, views, visibility, shards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sdtc_ros.errors import InputError
from training.synthetic import rasteriser
from training.synthetic.backdrop import Backdrop, drawn_backdrop
from training.synthetic.camera import View, look
from training.synthetic.exposure import TOLERANCE, joint_visibility
from training.synthetic.mesh import box, ellipsoid
from training.synthetic.output import _claim, millimetres
from training.synthetic.scene import Drawing
from training.synthetic.shading import _source
from training.synthetic.shards import frames_of, read_shard

pytestmark = pytest.mark.slow

NO_ALPHA = np.zeros((1, 4, 4), np.uint8)


def looking_along_x(width: int = 80, height: int = 60) -> View:
    rotation = look(0.0, 0.0, 0.0).astype(np.float32)
    return View(rotation, (-rotation @ [0, 0, 1]).astype(np.float32), 50.0, 39.5, 29.5, width, height)


def drawn(view: View, shapes: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    depth, ids = np.zeros((view.height, view.width), np.float32), np.full((view.height, view.width), -1, np.int32)
    first = 0
    for vertices, faces in shapes:
        screen = np.empty((len(vertices), 3), np.float32)
        rasteriser.project(
            vertices.astype(np.float32), view.rotation, view.translation, view.focal, view.cx, view.cy, screen
        )
        uv, solid = np.zeros((len(faces), 3, 2), np.float32), np.full(len(faces), -1, np.int32)
        rasteriser.draw(screen, faces.astype(np.int32), uv, solid, NO_ALPHA, depth, ids, first)
        first += len(faces)
    return depth, ids


def test_projection_is_a_pinhole_s() -> None:
    view = looking_along_x()
    point = np.array([[4.0, 0.5, 1.3]])  # 4 m ahead, half a metre to the left, 0.3 m above the camera
    np.testing.assert_allclose(view.to_pixels(point), [[39.5 - 50 * 0.5 / 4, 29.5 - 50 * 0.3 / 4]], atol=1e-4)
    np.testing.assert_allclose(view.to_camera(point), [[-0.5, -0.3, 4.0]], atol=1e-6)
    np.testing.assert_allclose(view.eye, [0, 0, 1], atol=1e-6)


def test_a_crop_and_a_finer_picture_show_the_same_points() -> None:
    view = looking_along_x()
    points = np.random.default_rng(0).uniform([2, -1, 0], [6, 1, 2], (20, 3))
    pixels = view.to_pixels(points)
    crop = view.crop(10, 5, 2.5, 96, 128)
    np.testing.assert_allclose(crop.to_pixels(points), (pixels - [10, 5]) * 2.5, atol=1e-3)
    np.testing.assert_allclose(view.finer(2).to_pixels(points), pixels * 2 + 0.5, atol=1e-3)
    np.testing.assert_allclose(view.finer(2).coarser(2).to_pixels(points), pixels, atol=1e-3)


def test_what_is_nearer_hides_what_is_behind_it() -> None:
    far, faces, _ = box(np.array([5.0, -1, 0]), np.array([5.1, 1, 2]))
    near, _, _ = box(np.array([3.0, -0.2, 0.8]), np.array([3.1, 0.2, 1.2]))
    depth, ids = drawn(looking_along_x(), [(far, faces), (near, faces)])
    assert 1 / depth[30, 40] == pytest.approx(3.0, abs=1e-3)
    assert ids[30, 40] >= 12
    assert 1 / depth[30, 33] == pytest.approx(5.0, abs=1e-3)
    assert 0 <= ids[30, 33] < 12
    assert depth[0, 0] == 0
    assert ids[0, 0] == -1


def test_an_ellipsoid_s_picture_has_its_size() -> None:
    vertices, faces, _ = ellipsoid(np.array([10.0, 0, 1]), np.full(3, 1.0), 1.0, rings=24)
    _, ids = drawn(looking_along_x(), [(vertices, faces)])
    assert (ids >= 0).sum() == pytest.approx(np.pi * 5**2 * 100 / 99, rel=0.06)


def test_bounds_are_numpy_s() -> None:
    points = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    low, high = rasteriser.bounds(points)
    np.testing.assert_array_equal(low, points.min(axis=0))
    np.testing.assert_array_equal(high, points.max(axis=0))


@pytest.mark.parametrize(
    ("owner", "surface", "seen"),
    [(0, 4.0, 2), (0, 3.5, 1), (1, 3.9, 1), (1, 4.2, 2), (-1, 0.0, 2)],
    ids=["under its own skin", "behind its own arm", "behind somebody", "before somebody", "through leaves"],
)
def test_the_depth_buffer_tells_what_is_visible(owner: int, surface: float, seen: int) -> None:
    inverse = np.full((20, 20), 1 / surface if surface else 0, np.float32)
    drawing = Drawing(np.zeros((20, 20, 3), np.float32), inverse, np.full((20, 20), owner, np.int16))
    pixels, depth = np.full((15, 2), 10.0), np.full(15, 4.05)
    pixels[3] = (25, 10)
    visibility = joint_visibility(drawing, 0, pixels, depth, 1)
    assert visibility[3] == 0
    if owner or surface < 3.6:
        assert set(np.delete(visibility, 3)) == {seen}
    else:
        np.testing.assert_array_equal(np.delete(visibility, 3) == 2, np.delete(TOLERANCE, 3) > 0.05)


def test_the_ground_of_a_panorama_shifts_as_the_camera_moves() -> None:
    """Below the horizon a backdrop is a place on the ground: a step to the left moves it to the right."""
    texture = np.random.default_rng(0).random((64, 128, 3)).astype(np.float32)
    backdrop = Backdrop(texture, 0.0, 128 / (2 * np.pi), 0.0, False)
    view = looking_along_x()
    moved = View(view.rotation, (-view.rotation @ [0, 0.5, 1]).astype(np.float32), 50.0, 39.5, 29.5, 80, 60)
    first, second = backdrop.seen(view), backdrop.seen(moved)
    np.testing.assert_allclose(first[:28], second[:28], atol=1e-5)
    assert np.abs(first[45:] - second[45:]).mean() > 0.02


def test_drawn_backdrops_follow_from_their_seed() -> None:
    first, second = (drawn_backdrop(np.random.default_rng(4), 90, 120) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (90, 120, 3)
    assert 0 <= first.min() < first.max() <= 1


def test_depth_is_written_as_millimetres() -> None:
    np.testing.assert_array_equal(millimetres(np.array([[0, 1.2344, 70.0]])), [[0, 1234, 0]])


def test_a_folder_of_other_settings_is_refused(tmp_path: Path) -> None:
    _claim(tmp_path / "out" / "windows.json", {"seed": 1, "size": (192, 256)})
    _claim(tmp_path / "out" / "windows.json", {"seed": 1, "size": (192, 256)})
    with pytest.raises(InputError, match="other settings"):
        _claim(tmp_path / "out" / "windows.json", {"seed": 2, "size": (192, 256)})


def test_a_damaged_shard_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "windows-00000.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(InputError, match="windows-00000.npz"):
        read_shard(tmp_path / "windows-00000.npz")
    shard = {"joints": np.zeros((1, 1, 15, 2)), "offsets": np.array([0, 4]), "jpeg": np.zeros(4, np.uint8)}
    with pytest.raises(InputError, match="window 0 of the shard"):
        frames_of(shard, 0)


def test_vertices_alone_mark_a_fine_mesh_s_silhouette() -> None:
    vertices, faces, _ = ellipsoid(np.array([20.0, 20, 0]), np.array([9.0, 7, 9]), 1.0, rings=80)
    screen = np.ascontiguousarray(vertices, np.float32)
    whole, marked = np.zeros((2, 40, 40), np.float32)
    rasteriser.draw_depth(screen, faces.astype(np.int32), whole)
    rasteriser.mark(screen, marked)
    assert (marked > 0).sum() == pytest.approx((whole > 0).sum(), rel=0.2)
    assert ((whole > 0) & (marked == 0)).sum() < 0.02 * (whole > 0).sum()


@pytest.mark.parametrize("shared", [1, 2, 4])
def test_a_colour_is_shared_within_a_material_only(shared: int) -> None:
    """Faces 0 and 1 are one material, 2 another; -1 is the backdrop: hems keep all their pixels."""
    ids = np.random.default_rng(0).integers(-1, 3, (8, 10)).astype(np.int32)
    material = np.array([5, 5, 6], np.int32)
    computed = 0
    for y, x in np.argwhere(ids >= 0).tolist():
        column, row = _source(ids, 0, material, x, y, shared)
        assert ids[row, column] >= 0
        assert material[ids[row, column]] == material[ids[y, x]]
        assert (column // 2, row // 2) == (x // 2, y // 2)
        assert _source(ids, 0, material, column, row, shared) == (column, row)
        computed += (column, row) == (x, y)
    assert computed == (ids >= 0).sum() if shared == 1 else computed < (ids >= 0).sum()
