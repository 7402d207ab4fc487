# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Windows of 2 * delta + 1 frames of every track, with held crops and the tokens that belong to them.

The papers crop all frames of a window with the keyframe's box, so tokens can be cached from one keyframe to the next
only while the crop stays. Here each track holds a crop; when it stands at a keyframe, the keyframe's own fresh crop
box is compared with it. *Drift* is how far any edge of the fresh box lies from the held one's, as a part of the held
box's width (left, right) or height (top, bottom). Up to `threshold` the held crop stays and so do its tokens; beyond it
the crop becomes the fresh one and the frames of the window are cropped and encoded again. 0 therefore gives the
papers' protocol: every window in its own keyframe's crop. The crop's 25 % enlargement leaves a margin of a tenth of
the crop on each side of the person: up to 0.1 the person never leaves the crop.

A model that takes *moves* reads frames in crops of their own, so that above a threshold of 0 tokens outlive a crop that
moves: each frame is encoded in the crop that the track holds when the frame is first wanted, after a look at the
person's box there, and encoded anew only as a keyframe that has drifted or where its crop lies further than FAR from
the keyframe's.

A window is the frames t - delta ... t + delta, whether or not the person was detected in them: all are cropped with the
keyframe's crop, as in the papers (with moves: where he was not detected, with the one held). Frames that do not exist
(before the input or a cut, after it, or not yet arrived) are replaced by the nearest that does. So a new person is
processed from a whole window at once, which costs up to 2 * delta more encoder passes in the first keyframe than in the
next ones (docs/tradeoffs.md says what that is worth).

Tokens are computed when a window first asks for them, so nothing is encoded that no window needs.

The state is arrays over (track slot, frame modulo ring), so a step costs the same few NumPy calls for any number of
people. Frames are held once for all tracks, and never copied. A track is forgotten, tokens and all, as soon as no
later window can reach a frame of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sdtc_ros.crops import crop_boxes, crop_moves, drift
from sdtc_ros.engine.base import Handle
from sdtc_ros.types import Boxes, Frame

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

FAR = 0.4  # drift: a person who has moved on by so much is half outside of what was seen
_NEVER = -(1 << 40)


@dataclass(frozen=True)
class Keyframe:
    """The N people of one keyframe, in the order of its boxes; to be used before the ring takes another frame.

    distinct: of poses that show the same person only one counts; boxes, scores, ids: as they were given; crops: N x 4
    (xywh, image pixels) now in force; missing: how many crops of its windows have no tokens yet. First `store` the
    tokens of `cuts`, then ask for the `windows`.
    """

    frame: Frame
    distinct: bool
    boxes: FloatArray
    scores: FloatArray
    ids: IntArray
    crops: FloatArray
    _ring: WindowRing
    _rows: IntArray  # N: the people's in the ring
    _columns: IntArray  # 2 * delta + 1: the window's frames there, the same for all
    _missing: IntArray  # M x 2 (row, column), sorted by frame

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def missing(self) -> int:
        """How many crops are to be encoded before `windows` can be asked for."""
        return len(self._missing)

    def cuts(self) -> list[tuple[Frame, FloatArray]]:
        """The crops to encode: a frame, and its M x 4 crop boxes (xywh, image pixels)."""
        return self._ring.cuts(self._missing)

    def store(self, handles: list[Handle]) -> None:
        """Keep the tokens of the crops to encode, in the order of `cuts`."""
        self._ring.store(self._missing, handles)

    def windows(self) -> list[list[Handle]]:
        """The people's windows, N x (2 * delta + 1) handles of tokens in time order."""
        return self._ring.tokens(self._rows, self._columns)

    def moves(self, size: tuple[int, int]) -> FloatArray | None:
        """From the crops of these tokens to the keyframe's, as `Engine.estimate` takes them; size: a crop's (w, h)."""
        return self._ring.moves(self._rows, self._columns, self.crops, size)


class WindowRing:
    """The last 2 * delta + 1 frames, and in each the boxes, crops and tokens of the tracks.

    Frames are numbered 0, 1, 2 ... as they are pushed; keyframe n may be asked for while `n >= newest - delta`.
    """

    def __init__(self, delta: int, aspect: float, threshold: float, moves: bool = False) -> None:
        """aspect: the crops' width / height; threshold: the largest drift at which a crop is held; moves: see above."""
        self._delta, self._aspect, self._moves = delta, aspect, moves
        self.threshold = threshold  # may be changed from keyframe to keyframe
        self.alone = False  # whether windows are the keyframe over and over; may be changed as well
        self.length = 2 * delta + 1
        self.clear()

    def clear(self) -> None:
        """Forget all frames and tracks."""
        self.newest = -1
        self._frames: list[Frame | None] = [None] * self.length
        self._distinct = [False] * self.length
        self._scene = 0  # frames of two scenes share no window
        self._scenes = np.full(self.length, -1, np.int64)  # of each column's frame
        self._slots: dict[int, int] = {}  # track id -> row
        self._free: list[int] = []
        ring = self.length
        self._ids = np.empty(0, np.int64)
        self._last_seen = np.empty(0, np.int64)  # newest frame number with the track
        self._held = np.empty((0, 4), np.float32)  # the crop in force; size 0 where there is none yet
        self._crops = np.empty((0, ring, 4), np.float32)  # the cell's, in which it is or will be encoded
        self._seen = np.empty((0, ring), np.int64)  # the frame number that a ring cell speaks of
        self._order = np.empty((0, ring), np.int64)  # the person's place among that frame's boxes
        self._boxes = np.empty((0, ring, 4), np.float32)
        self._scores = np.empty((0, ring), np.float32)
        self._tokens: npt.NDArray[Any] = np.empty((0, ring), object)
        self._encoded = np.empty((0, ring), bool)  # whether the cell's tokens are there, and of its crop

    def cut(self) -> None:
        """Let no later frame share a window with those so far (a gap, a new scene); these can still be processed."""
        self._slots.clear()
        self._scene += 1

    def __len__(self) -> int:
        """How many tracks are held."""
        return len(self._last_seen) - len(self._free)

    def push(self, frame: Frame, boxes: Boxes, distinct: bool = False) -> int:
        """Append a frame with its tracked people (`boxes.ids` given, unique; distinct: see Keyframe); its number."""
        self.newest += 1
        self._forget(self.newest - 2 * self._delta)
        column = self.newest % self.length
        self._frames[column], self._distinct[column] = frame, distinct
        self._scenes[column] = self._scene
        self._tokens[:, column] = None
        self._encoded[:, column] = False
        if len(boxes):
            assert boxes.ids is not None
            rows = self._rows_of(boxes.ids)
            self._seen[rows, column] = self.newest
            self._boxes[rows, column] = boxes.xywh
            self._scores[rows, column] = boxes.scores
            self._order[rows, column] = np.arange(len(rows))
            self._last_seen[rows] = self.newest
        return self.newest

    def keyframe(self, number: int) -> Keyframe:
        """Settle the crops of keyframe `number` and find which tokens its windows lack."""
        column = number % self.length
        frame = self._frames[column]
        assert frame is not None and self.newest - self._delta <= number <= self.newest
        rows = np.flatnonzero(self._seen[:, column] == number)
        rows = rows[np.argsort(self._order[rows, column])]
        boxes = self._boxes[rows, column]
        columns = self._columns(number)
        fresh = crop_boxes(boxes, self._aspect)
        if self._moves and self.threshold > 0:
            self._settle_each(rows, columns, column, fresh)
        else:
            self._move_crops(rows, fresh)
        return Keyframe(
            frame, self._distinct[column], boxes, self._scores[rows, column], self._ids[rows],
            self._crops[rows, column], self, rows, columns, self._missing(rows, columns),
        )  # fmt: skip

    def cuts(self, missing: IntArray) -> list[tuple[Frame, FloatArray]]:
        """(row, column) pairs sorted by frame as (frame, M x 4 crop boxes) a frame, in the same order."""
        starts = np.flatnonzero(np.diff(missing[:, 1], prepend=-1))
        groups = []
        for part in np.split(missing, starts[1:]) if len(missing) else []:
            frame = self._frames[int(part[0, 1])]
            assert frame is not None
            groups.append((frame, self._crops[part[:, 0], part[:, 1]]))
        return groups

    def store(self, missing: IntArray, handles: list[Handle]) -> None:
        """Keep the tokens of the crops of (row, column) pairs."""
        for (row, column), handle in zip(missing.tolist(), handles, strict=True):
            self._tokens[row, column] = handle
            self._encoded[row, column] = True

    def tokens(self, rows: IntArray, columns: IntArray) -> list[list[Handle]]:
        """The tokens of every row at the columns."""
        windows: list[list[Handle]] = self._tokens[np.ix_(rows, columns)].tolist()
        return windows

    def moves(self, rows: IntArray, columns: IntArray, to: FloatArray, size: tuple[int, int]) -> FloatArray | None:
        """From the crops of every row at the columns to that row of `to`; None for a model that takes none."""
        return crop_moves(self._crops[np.ix_(rows, columns)], to, size) if self._moves else None

    def _move_crops(self, rows: IntArray, fresh: FloatArray) -> None:
        """Give the crop in force to all cells, the fresh one where it has drifted; tokens of another crop go."""
        self._hold(rows, fresh)
        held = self._held[rows, None]
        row, column = np.nonzero((self._crops[rows] != held).any(axis=2))
        self._drop(rows[row], column)
        self._crops[rows] = held

    def _settle_each(self, rows: IntArray, columns: IntArray, keyframe: int, fresh: FloatArray) -> None:
        """Give a crop to all cells of the windows that are to be encoded; fresh: the crops of column `keyframe`."""
        begun = self._held[rows, 2] > 0
        self._hold(rows[~begun], fresh[~begun])
        for column in dict.fromkeys(columns.tolist()):
            new = rows[~self._encoded[rows, column]]
            if not len(new):
                continue
            number = self.newest - (self.newest - column) % self.length
            seen = new[self._seen[new, column] == number]
            self._hold(seen, crop_boxes(self._boxes[seen, column], self._aspect))
            self._crops[new, column] = self._held[new]
        drifted = drift(self._crops[rows, keyframe], fresh) > self.threshold
        self._crops[rows[drifted], keyframe] = fresh[drifted]
        self._drop(rows[drifted], keyframe)
        for column in np.setdiff1d(columns, keyframe).tolist():
            far = rows[drift(self._crops[rows, keyframe], self._crops[rows, column]) > FAR]
            self._crops[far, column] = self._crops[far, keyframe]
            self._drop(far, column)

    def _hold(self, rows: IntArray, fresh: FloatArray) -> None:
        """Put the fresh crop in force where the held one has drifted from it (or is none)."""
        held = self._held[rows]
        moved = (drift(held, fresh) > self.threshold) | (held[:, 2] == 0)  # 0: it holds none yet
        self._held[rows[moved]] = fresh[moved]

    def _drop(self, rows: IntArray, columns: int | slice | IntArray = slice(None)) -> None:
        self._tokens[rows, columns] = None
        self._encoded[rows, columns] = False

    def _columns(self, number: int) -> IntArray:
        """Ring columns (T) of the window around frame `number`, clamped to the frames that there are of its scene."""
        if self.alone:
            return np.full(self.length, number % self.length, np.int64)
        numbers = np.arange(number - self._delta, number + self._delta + 1)
        there = (numbers >= 0) & (numbers <= self.newest)
        there &= self._scenes[numbers % self.length] == self._scenes[number % self.length]
        first, last = numbers[there][[0, -1]]
        return np.clip(numbers, first, last) % self.length

    def _missing(self, rows: IntArray, columns: IntArray) -> IntArray:
        """The (row, column) pairs of the windows without tokens, each once, sorted by column."""
        wanted = ~self._encoded[rows]
        wanted[:, np.setdiff1d(np.arange(self.length), columns)] = False
        column, index = np.nonzero(wanted.T)
        return np.stack([rows[index], column], axis=1)

    def _rows_of(self, ids: IntArray) -> IntArray:
        """A row for every id, new ones where it has none."""
        new = [track for track in ids.tolist() if track not in self._slots]
        if len(new) > len(self._free):
            self._allocate(max(8, 2 * len(self._last_seen), len(self._last_seen) + len(new)))
        for track in new:
            row = self._slots[track] = self._free.pop()
            self._ids[row] = track
        return np.array([self._slots[track] for track in ids.tolist()], np.int64)

    def _forget(self, oldest: int) -> None:
        """Free the rows last seen before frame `oldest`."""
        gone = np.flatnonzero((self._last_seen < oldest) & (self._last_seen != _NEVER))
        for row in gone.tolist():
            if self._slots.get(int(self._ids[row])) == row:
                del self._slots[int(self._ids[row])]
        self._last_seen[gone] = _NEVER
        self._held[gone] = 0
        self._drop(gone)  # frames after the last one it was in
        self._free.extend(gone.tolist())

    def _allocate(self, rows: int) -> None:
        """Grow the arrays to that many rows; the old rows keep their place."""
        old = len(self._last_seen)
        self._ids = _grown(self._ids, rows, -1)
        self._last_seen = _grown(self._last_seen, rows, _NEVER)
        self._held = _grown(self._held, rows, 0)
        self._crops = _grown(self._crops, rows, 0)
        self._seen = _grown(self._seen, rows, _NEVER)
        self._order = _grown(self._order, rows, 0)
        self._boxes = _grown(self._boxes, rows, 0)
        self._scores = _grown(self._scores, rows, 0)
        self._tokens = _grown(self._tokens, rows, None)
        self._encoded = _grown(self._encoded, rows, False)
        self._free.extend(range(rows - 1, old - 1, -1))


def _grown(array: npt.NDArray[Any], rows: int, empty: object) -> npt.NDArray[Any]:
    """A copy of `array` with that many rows, the new ones filled with `empty`."""
    bigger = np.full((rows, *array.shape[1:]), empty, array.dtype)
    bigger[: len(array)] = array
    return bigger
