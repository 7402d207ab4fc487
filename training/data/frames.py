# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The frames of a sequence's folder: their order, what their names count, and which are a keyframe's neighbours."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sdtc_ros.apple_double import without_apple_double
from sdtc_ros.errors import InputError
from sdtc_ros.io.sources import IMAGE_SUFFIXES

IntArray = npt.NDArray[np.int64]

UNPADDED = "sequences whose frame numbers are not padded (ordered by number, not by name)"
STEPPED = "sequences whose frame numbers rise in steps (a step counts as one frame)"
UNNUMBERED = "sequences whose frame names hold no common number (ordered by name, each counts as one frame)"

_NUMBER = re.compile(r"^(.*?)(\d+(?:\.\d+)?)$")  # the number that ends a stem, and what is before it


@dataclass(frozen=True)
class Frames:
    """The N image files of a folder in order.

    numbers: N int64, what the names say (a frame's place where they say nothing); steps: N int64, rising from 0, the
    same in frames: 1 apart where the names are (two names of the sequence are usually) one step apart, more over
    missing frames. irregular: what is unusual about the names, None where they are padded numbers that rise by 1.
    """

    files: tuple[str, ...]
    numbers: IntArray
    steps: IntArray
    irregular: str | None


def read_frames(folder: Path) -> Frames:
    """The pictures of a folder, in natural order: by the number that ends their names, else by name part by part.

    Raises InputError where two have one name but for the ending: frames and masks, say.
    """
    with os.scandir(folder) as entries:
        paths = without_apple_double(Path(entry.name) for entry in entries)
    names: dict[str, str] = {}
    for path in paths:
        if path.suffix.lower() in IMAGE_SUFFIXES and names.setdefault(path.stem, path.name) != path.name:
            raise InputError(f"{folder} holds two images of one name, {names[path.stem]} and {path.name}")
    counted = _counted(list(names))
    if counted is None:
        stems = sorted(names, key=_natural)
        places = np.arange(len(stems), dtype=np.int64)
        irregular = UNNUMBERED if len(stems) > 1 else None
        return Frames(tuple(names[stem] for stem in stems), places, places, irregular)
    stems = sorted(names, key=lambda stem: (counted[stem], stem))
    values = [counted[stem] for stem in stems]
    first = values[0] if values else 0
    low = first if values and values[-1] >= 2**63 else 0  # dates of 20 digits
    gaps = np.array([b - a for a, b in zip(values, values[1:], strict=False)], np.int64)
    step = max(1, int(np.sort(gaps)[(len(gaps) - 1) // 2])) if len(gaps) else 1
    steps = np.concatenate([[0], np.cumsum(np.maximum(np.rint(gaps / step), 1))]).astype(np.int64)[: len(stems)]
    irregular = STEPPED if step > 1 else UNPADDED if stems != sorted(stems) else None
    numbers = np.array([value - low for value in values], np.int64)
    return Frames(tuple(names[stem] for stem in stems), numbers, steps, irregular)


def neighbours(steps: IntArray, frame: int, delta: int) -> IntArray:
    """Positions of the frames nearest to steps[frame] - delta ... + delta; of two as near, that nearer the keyframe.

    steps: N int64, rising.
    """
    wanted = np.clip(steps[frame] + np.arange(-delta, delta + 1), steps[0], steps[-1])
    after = np.searchsorted(steps, wanted)
    before = np.maximum(after - 1, 0)
    to_after, to_before = steps[after] - wanted, wanted - steps[before]
    late = np.arange(-delta, delta + 1) > 0
    return np.where((to_after == 0) | (to_after < to_before) | ((to_after == to_before) & ~late), after, before)


def _counted(stems: list[str]) -> dict[str, int] | None:
    """Each stem's number, decimals scaled away; None unless all stems are one prefix and a number."""
    parts = [_NUMBER.match(stem) for stem in stems]
    if any(part is None for part in parts):
        return None
    found = [(part[1], Decimal(part[2])) for part in parts if part is not None]
    if len({prefix for prefix, _ in found}) > 1:
        return None
    places = max((-int(number.as_tuple().exponent) for _, number in found), default=0)
    return {stem: int(number.scaleb(places)) for stem, (_, number) in zip(stems, found, strict=True)}


def _natural(stem: str) -> list[tuple[int, str]]:
    """Sorts digits by value and the rest as text."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", stem)]
