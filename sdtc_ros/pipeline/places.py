# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Who gets a pose where more people are tracked than are to have one.

The best scored, but with some loyalty: a robot that attends to one person should not change him for another with every
detection, nor because he was missed in one. A track whose pose showed somebody who has one already comes last for a while.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from sdtc_ros.detection.boxes import best_boxes
from sdtc_ros.types import Boxes

STAY = 0.2  # how much better a newcomer's score must be to take somebody's place
STAND_IN = 0.1  # the same to take the pose of one who stands in for somebody who is missed
LAST = 2.0  # more than any score and bonus: behind everybody else


class Places:
    """The people who have the poses' places, by track id."""

    def __init__(self) -> None:
        """Nobody has one."""
        self._holders: dict[int, int] = {}  # when each was last chosen, nanoseconds
        self._stand_ins: list[int] = []  # chosen last, without a place
        self._duplicates: dict[int, int] = {}  # until when each comes last, nanoseconds
        self._latest = 0  # stamp of the last choice

    def clear(self) -> None:
        """Nobody has one any longer."""
        self._holders, self._stand_ins, self._duplicates = {}, [], {}

    def put_last(self, ids: Iterable[int], until: int) -> None:
        """Let these tracks, whose poses showed people who have one already, come last until that stamp (nanoseconds)."""
        self._duplicates |= dict.fromkeys(ids, until)

    def best(self, boxes: Boxes, most: int) -> Boxes:
        """The `most` best of the boxes by score and place; nothing is remembered."""
        if boxes.ids is None or len(boxes) <= most:  # no places to weigh: the usual frame
            return best_boxes(boxes, most)
        holds, stands_in = np.isin(boxes.ids, list(self._holders)), np.isin(boxes.ids, self._stand_ins)
        last = np.isin(boxes.ids, list(self._duplicates))
        return best_boxes(boxes, most, boxes.scores + STAY * holds + STAND_IN * stands_in - LAST * last)

    def choose(self, people: Boxes, most: int, stamp: int, seconds: float) -> Boxes:
        """The people of the frame of `stamp` (nanoseconds) who get a pose, at most `most`.

        Who has a place and is missed keeps it for `seconds`: another has his pose meanwhile, not his place.
        """
        assert people.ids is not None
        here, oldest = set(people.ids.tolist()), stamp - seconds * 1e9
        self._holders = {one: last for one, last in self._holders.items() if one in here or last >= oldest}
        self._duplicates = {one: until for one, until in self._duplicates.items() if until > stamp}
        if any(one in here and last < self._latest for one, last in self._holders.items()):
            self._stand_ins = []  # somebody is back
        chosen, self._latest = self.best(people, most), stamp
        assert chosen.ids is not None
        ids = chosen.ids.tolist()
        for ousted in here.difference(ids):
            self._holders.pop(ousted, None)
        for one in ids:
            if one in self._holders or len(self._holders) < most:
                self._holders[one] = stamp
        self._stand_ins = [one for one in ids if one not in self._holders]
        return chosen
