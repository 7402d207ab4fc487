# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The depth image of a colour frame: the nearest, out of those that late answers may still need."""

from sdtc_ros.lifting.depth_buffer import HELD, DepthBuffer


def test_the_nearest_within_the_tolerance_is_taken():
    buffer = DepthBuffer[str]()
    for number in range(5):
        buffer.add(10**9 + number * 33_000_000, f"image {number}")
    assert buffer.nearest(10**9 + 60_000_000, 0.02) == "image 2"
    assert buffer.nearest(10**9 + 48_000_000, 0.01) is None
    assert buffer.nearest(10**9, 0.0) == "image 0"
    assert buffer.covers(10**9 + 132_000_000)
    assert not buffer.covers(10**9 + 133_000_000)


def test_no_more_is_held_than_late_answers_need():
    buffer = DepthBuffer[int]()
    assert not buffer.covers(0)
    for number in range(3 * HELD):
        buffer.add(number * 33_000_000, number)
    assert len(buffer) == HELD
    for number in range(10):
        buffer.add(10**11 + number * 10**9, number)
    assert len(buffer) == 4, "three seconds of them"
    buffer.add(5, 5)
    assert len(buffer) == 1, "a recording that begins anew"
