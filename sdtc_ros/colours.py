# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Colours that joints and limbs are drawn in, on images and in viewers."""

from __future__ import annotations

from sdtc_ros.skeleton import Skeleton

Colour = tuple[int, int, int]

LEFT: Colour = (60, 160, 255)  # BGR: the person's left is orange, the right blue, the middle white
RIGHT: Colour = (255, 170, 60)
MIDDLE: Colour = (235, 235, 235)


def joint_colours(skeleton: Skeleton) -> list[Colour]:
    """The colour (BGR) of every joint, by its side."""
    sides = {"left": LEFT, "right": RIGHT}
    return [sides.get(joint.split("_")[0], MIDDLE) for joint in skeleton.joints]


def limb_colour(a: Colour, b: Colour) -> Colour:
    """The colour of a limb between joints of these colours: its side's, the middle's from one side to the other."""
    if MIDDLE not in (a, b) and a != b:
        return MIDDLE  # hips, shoulders
    return b if a == MIDDLE else a
