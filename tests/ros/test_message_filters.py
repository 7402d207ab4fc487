# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Our pairs of images and detections are those of message_filters, where that loses nothing."""

from __future__ import annotations

import json
import sys

import pytest

# the same messages, in the same order, through message_filters and through ours
BOTH = """
import json
import numpy as np
from builtin_interfaces.msg import Time
from message_filters import ApproximateTimeSynchronizer, SimpleFilter, TimeSynchronizer
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray
from sdtc_ros.node.input.matching import Matcher
from sdtc_ros.messages.poses import stamp_of

def message(kind, nanoseconds):
    made = kind()
    made.header.stamp = Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
    return made

def pairs(seed, tolerance):
    rng, theirs, ours = np.random.default_rng(seed), [], []
    images, detections = SimpleFilter(), SimpleFilter()
    filters = [images, detections]
    slop = (tolerance + 1) * 1e-9  # theirs is exclusive
    synchronizer = ApproximateTimeSynchronizer(filters, 1000, slop) if tolerance else TimeSynchronizer(filters, 1000)
    synchronizer.registerCallback(lambda i, d: theirs.append((stamp_of(i.header), stamp_of(d.header))))
    matcher = Matcher(tolerance, 1e9, matched=lambda i, d: ours.append((stamp_of(i.header), stamp_of(d.header))),
                      unmatched=lambda reason: None)
    events = []  # (arrival, kind, stamp); images lost and detections late, lost or early, each kind in order
    late = 0.0
    for number in range(500):
        stamp = 10**18 + number * 33_000_000
        if rng.random() < 0.9:
            events.append((33 * number + rng.uniform(0, 5), 0, stamp))
        late = max(late, 33 * number + rng.exponential(60))
        if rng.random() < 0.7:
            events.append((late, 1, stamp + int(rng.integers(-tolerance, tolerance + 1))))
    for _, kind, stamp in sorted(events):
        filters[kind].signalMessage(message((Image, Detection2DArray)[kind], stamp))
        (matcher.image, matcher.detections)[kind](message((Image, Detection2DArray)[kind], stamp))
    return [theirs, ours]

print(json.dumps([pairs(seed, tolerance) for seed in range(10) for tolerance in (0, 5_000_000)]))
"""


def test_the_pairs_are_those_of_message_filters(ros) -> None:
    if ros.run(sys.executable, "-c", "import message_filters").returncode:
        pytest.skip("message_filters is not installed")
    done = ros.run(sys.executable, "-c", BOTH)
    assert done.returncode == 0, done.stdout
    for theirs, ours in json.loads(done.stdout.splitlines()[-1]):
        assert len(ours) > 250
        assert ours == theirs
