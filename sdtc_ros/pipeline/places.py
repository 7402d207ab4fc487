# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Who gets a pose where more people are tracked than are to have one.

The best scored, but with some loyalty: a robot that attends to one person should not change him for another with every
detection, nor because he was missed in one. A track whose pose showed somebody who has one already comes last for a
while, as if its person were missed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from sdtc_ros.detection.boxes import best_boxes
from sdtc_ros.types import Boxes

STAY = 0.2  # how much better a newcomer's score must be to take somebody's place
STAND_IN = 0.1  # the same to take the pose of one who stands in for somebody who is missed
LAST = 2.0  # more than any score and bonus: behind everybody else
WAIT = 4  # choices for which a duplicate comes last, twice as many each time it is one again


class Places:
    """The people who have the poses' places, by track id."""

    def __init__(self) -> None:
        """Nobody has one."""
        self._latest, self._choices = 0, 0  # stamp of the last choice, and how many there were
        self.clear()

    def clear(self) -> None:
        """Nobody has one any longer."""
        self._holders: dict[int, int] = {}  # when each was last chosen, nanoseconds
        self._stand_ins: list[int] = []  # chosen last, without a place
        self._duplicates: dict[int, tuple[int, int]] = {}  # up to which choice each comes last, and how long that is

    def best(self, boxes: Boxes, most: int, last: Collection[int] = ()) -> Boxes:
        """The `most` best of the boxes by score and place; nothing is remembered. last: ids behind all others."""
        if boxes.ids is None or len(boxes) <= most:  # no places to weigh: the usual frame
            return best_boxes(boxes, most)
        holds, stands_in = np.isin(boxes.ids, list(self._holders)), np.isin(boxes.ids, self._stand_ins)
        behind = np.isin(boxes.ids, list(last))
        return best_boxes(boxes, most, boxes.scores + STAY * holds + STAND_IN * stands_in - LAST * behind)

    def choose(self, people: Boxes, most: int, stamp: int, seconds: float, distinct: bool = False) -> Boxes:
        """The people of the frame of `stamp` (nanoseconds) who get a pose, at most `most`.

        Who has a place and is missed keeps it for `seconds`: another has his pose meanwhile, not his place. distinct:
        that of a duplicate is missed likewise.
        """
        assert people.ids is not None
        self._choices += 1
        last = {one for one, (until, _) in self._duplicates.items() if distinct and until >= self._choices}
        there, oldest = set(people.ids.tolist()), stamp - seconds * 1e9
        here = there - last
        self._holders = {one: seen for one, seen in self._holders.items() if one in here or seen >= oldest}
        if any(one in here and seen < self._latest for one, seen in self._holders.items()):
            self._stand_ins = []  # somebody is back
        chosen, self._latest = self.best(people, most, last), stamp
        assert chosen.ids is not None
        self._settle(here, chosen.ids.tolist(), most, stamp)
        self._duplicates = {one: wait for one, wait in self._duplicates.items() if one in there}
        return chosen

    def answered(self, ids: Iterable[int], duplicates: Iterable[int]) -> None:
        """Take notice of the tracks that a pose was answered for, and of those whose pose was left out."""
        for one in ids:
            self._duplicates.pop(one, None)
        for one in duplicates:
            until, wait = self._duplicates.get(one, (0, WAIT // 2))
            if until <= self._choices:  # others were chosen before that was known
                self._duplicates[one] = self._choices + 2 * wait, 2 * wait

    def _settle(self, here: set[int], ids: list[int], most: int, stamp: int) -> None:
        """Give the places to those who were chosen; to one who was a duplicate only once his pose was answered."""
        claim = [one for one in ids if one not in self._duplicates]
        if len(claim) == most:
            for ousted in here.difference(ids):
                self._holders.pop(ousted, None)
        for one in claim:
            if one in self._holders or len(self._holders) < most:
                self._holders[one] = stamp
        self._stand_ins = [one for one in ids if one not in self._holders]
