# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Seeded damage: to bytes, and to the values of JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

Random = np.random.Generator
_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**63, 2**70, 1e308, -1e-9, float("nan"), float("inf"), "", "x", "\ud800", "0", [], {},
    [[]], [1, 2, 3], {"id": 1},
)  # fmt: skip


def damage(data: bytes, random: Random) -> bytes:
    """The bytes with one to four changes: flipped, zeroed, cut off, taken out, put in twice, or noise put in."""
    for _ in range(int(random.integers(1, 5))):
        data = _one(bytearray(data), random)
    return data


def _one(data: bytearray, random: Random) -> bytes:
    if not data:
        return bytes(random.bytes(int(random.integers(0, 64))))
    at = int(random.integers(len(data)))
    size = int(min(len(data) - at, 2 ** random.integers(0, 13)))
    kind = int(random.integers(7))
    if kind == 0:
        for place in random.integers(len(data), size=random.integers(1, 9)):
            data[place] ^= 1 << int(random.integers(8))
    elif kind == 1:
        data[at : at + size] = bytes(size)
    elif kind == 2:
        del data[at:]
    elif kind == 3:
        del data[at : at + size]
    elif kind == 4:
        data[at:at] = data[at : at + size]
    elif kind == 5:
        data[at : at + size] = random.bytes(size)
    else:  # lengths and counts are where readers trust what they read
        data[at : at + 8] = b"\xff" * min(8, len(data) - at)
    return bytes(data)


def damage_values(text: str, random: Random) -> str:
    """JSON text with one to three values replaced, removed or doubled."""
    content = json.loads(text)
    for _ in range(int(random.integers(1, 4))):
        _change(content, random)
    return json.dumps(content)


def _change(node: Any, random: Random) -> None:
    """Walk down to a random place and change what is there."""
    while isinstance(node, (dict, list)) and node:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = keys[int(random.integers(len(keys)))]
        if isinstance(node[key], (dict, list)) and node[key] and random.random() < 0.8:
            node = node[key]
            continue
        kind = random.random()
        if kind < 0.6:
            node[key] = _VALUES[int(random.integers(len(_VALUES)))]
        elif kind < 0.85:
            del node[key]
        elif isinstance(node, list):
            node.insert(key, node[key])
        else:
            node[f"{key}2"] = node.pop(key)
        return
