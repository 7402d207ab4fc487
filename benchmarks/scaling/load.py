# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A loaded node, simulated: cameras that fire at their own times, one worker, and the newest frame wins.

The worker takes the newest frame of every camera that has one and answers them in one batch, as `sdtc_ros.node.worker`
does; a frame that is overtaken before it is taken is dropped. A step's time is the fitted cost. People's crops move at
random, each with the probability that gives the mean number of encodes, and a crop that moved is encoded for its whole
window: that is why steps differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Service = Callable[[int, int, int], float]  # cameras, people and encodes of a batch -> seconds


@dataclass(frozen=True)
class Setting:
    """cameras at `rate` frames a second with `people` each; encodes: mean a person and frame; seconds: simulated.

    lookahead: frames beyond the keyframe that are waited for; way: seconds from the stamp to the node and from the node
    to the listener, together.
    """

    cameras: int
    people: int
    encodes: float
    delta: int = 2
    lookahead: int = 2
    rate: float = 30.0
    seconds: float = 120.0
    way: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """answered: part of all frames; latencies: seconds from a keyframe's stamp to its answer, percentiles."""

    answered: float
    p50: float
    p99: float


def simulate(setting: Setting, service: Service, seed: int = 0) -> Outcome:
    """Run the queue; the same seed gives the same outcome."""
    random = np.random.default_rng(seed)
    period = 1 / setting.rate
    phases = random.uniform(0, period, setting.cameras)
    arrived = np.zeros(setting.cameras, np.int64)  # the number of the camera's next frame
    history: list[list[float]] = [[] for _ in range(setting.cameras)]  # stamps of the frames that were taken
    latencies, now = [], 0.0
    moves = (setting.encodes - 1) / (2 * setting.delta) if setting.delta else 0.0
    while now < setting.seconds:
        newest = np.floor((now - phases) / period).astype(np.int64)  # the newest frame that is there
        ready = np.flatnonzero(newest >= arrived)
        if not len(ready):
            now = float((phases + arrived * period).min()) + 1e-9
            continue
        people = len(ready) * setting.people
        encodes = people + 2 * setting.delta * int((random.uniform(size=people) < moves).sum())
        now += service(len(ready), people, encodes)
        for camera in ready.tolist():
            history[camera].append(phases[camera] + newest[camera] * period)
            if len(history[camera]) > setting.lookahead:
                latencies.append(now - history[camera][-1 - setting.lookahead] + setting.way)
        arrived[ready] = newest[ready] + 1
    taken = sum(len(stamps) for stamps in history)
    p50, p99 = np.percentile(latencies, (50, 99))
    return Outcome(taken / (setting.cameras * setting.seconds * setting.rate), float(p50), float(p99))
