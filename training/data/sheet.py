# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Contact sheets: windows as training sees them, their joints drawn, a row a window."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from sdtc_ros.colours import joint_colours
from sdtc_ros.skeleton import Skeleton
from training.data.windows import Window

Image = npt.NDArray[np.uint8]

GAP = 4
_SHIFT = 4  # cv2 draws at 1 / 16 pixel


def contact_sheet(windows: Sequence[tuple[str, Window]], skeleton: Skeleton, columns: int = 2) -> Image:
    """Every (caption, window) as a strip of its T crops, the keyframe framed; strips in `columns` columns.

    Joints with weight are filled, occluded ones of the keyframe rings; limbs connect joints that both have weight.
    """
    strips = [_strip(caption, window, skeleton) for caption, window in windows]
    strips += [np.zeros_like(strips[0])] * (-len(strips) % columns)
    rows = [np.hstack(strips[i : i + columns]) for i in range(0, len(strips), columns)]
    return np.vstack(rows)


def prediction_sheet(
    samples: Sequence[tuple[Window, npt.NDArray[np.float32]]], skeleton: Skeleton, columns: int = 6
) -> Image:
    """Each window's keyframe twice: with its labels and with predicted keypoints K x 3 (crop pixels, score)."""
    pairs = []
    scale = max(1, 192 // samples[0][0]["crops"].shape[2])  # small crops are drawn larger
    for window, keypoints in samples:
        middle = len(window["crops"]) // 2
        cells = []
        for points, known, occluded in (
            (window["points"][middle], window["weight"][middle] > 0, window["occluded"]),
            (keypoints[:, :2], np.ones(len(skeleton), bool), np.zeros(len(skeleton), bool)),
        ):
            crop = window["crops"][middle]
            cell = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
            _draw(cell, points * scale, known, occluded, skeleton)
            cells.append(cell)
        pair = np.hstack(cells)
        pairs.append(cv2.copyMakeBorder(pair, GAP, GAP, GAP, GAP, cv2.BORDER_CONSTANT, value=(60, 60, 60)))
    pairs += [np.zeros_like(pairs[0])] * (-len(pairs) % columns)
    rows = [np.hstack(pairs[i : i + columns]) for i in range(0, len(pairs), columns)]
    return np.asarray(np.vstack(rows), np.uint8)


def _strip(caption: str, window: Window, skeleton: Skeleton) -> Image:
    middle = len(window["crops"]) // 2
    cells = []
    for t, crop in enumerate(window["crops"]):
        cell = crop.copy()
        occluded = window["occluded"] if t == middle else np.zeros(len(skeleton), bool)
        _draw(cell, window["points"][t], window["weight"][t] > 0, occluded, skeleton)
        colour = (255, 255, 255) if t == middle else (60, 60, 60)
        cells.append(cv2.copyMakeBorder(cell, GAP, GAP, GAP, GAP, cv2.BORDER_CONSTANT, value=colour))
    strip = np.hstack(cells)
    label = np.full((18, strip.shape[1], 3), 30, np.uint8)
    cv2.putText(label, caption, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (220, 220, 220), 1, cv2.LINE_AA)
    return np.asarray(np.vstack([label, strip]), np.uint8)


def _draw(
    image: Image,
    points: npt.NDArray[np.float32],
    known: npt.NDArray[np.bool_],
    occluded: npt.NDArray[np.bool_],
    skeleton: Skeleton,
) -> None:
    colours = joint_colours(skeleton)
    places = [tuple(p) for p in np.rint(np.clip(points, -2000, 2000) * (1 << _SHIFT)).astype(int).tolist()]
    for a, b in skeleton.limbs:
        if known[a] and known[b]:
            cv2.line(image, places[a], places[b], (90, 90, 90), 1, cv2.LINE_AA, _SHIFT)
    for place, colour, there, covered in zip(places, colours, known.tolist(), occluded.tolist(), strict=True):
        if there:
            cv2.circle(image, place, 3 << _SHIFT, colour, 1 if covered else -1, cv2.LINE_AA, _SHIFT)
