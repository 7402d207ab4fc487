# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
import numpy as np

from sdtc_ros.lifting.depth_buffer import DepthBuffer, DepthFrame


def test_the_buffer_gives_the_nearest_within_the_tolerance():
    buffer = DepthBuffer(0.02)
    for stamp in (0, 33_000_000, 66_000_000):
        buffer.add(DepthFrame(np.zeros((1, 1), np.float32), stamp))
    found = buffer.nearest(40_000_000)
    assert found is not None
    assert found.stamp == 33_000_000
    assert buffer.nearest(95_000_000) is None
    assert buffer.covers(66_000_000)
    assert not buffer.covers(67_000_000)
    buffer.clear()
    assert buffer.nearest(0) is None
