# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A linear model of what a step costs, fitted to samples; what it misses by is part of it.

host = batch + camera * cameras + person * people + pixel * pixels of the crops that are cut
encode = call + crops * multiply-adds / rate, estimate = call + windows * multiply-adds / rate, each with a call and
rate of its own for each network: how near a processor comes to its peak depends on the sizes of the matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from benchmarks.scaling.samples import ENCODE, ESTIMATE, HOST, Load, Sample

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Costs:
    """The model: seconds of the host a batch, a camera's frame, a person and a crop's pixel.

    rates, calls: multiply-adds a second and seconds a call, by network and part (ENCODE, ESTIMATE). error: the median,
    over the samples, of how far the model is off, as a part of what was measured; worst: the largest.
    """

    batch: float
    camera: float
    person: float
    pixel: float
    rates: dict[tuple[str, str], float]
    calls: dict[tuple[str, str], float]
    error: float = float("nan")
    worst: float = float("nan")

    def host(self, cameras: int, people: float, pixels: float) -> float:
        """Seconds; people: of all cameras together, pixels: of all crops that are cut."""
        return self.batch + self.camera * cameras + self.person * people + self.pixel * pixels

    def step(self, network: str, macs: dict[str, int], crop_pixels: int, cameras: int, people: int,
             encodes: float) -> float:  # fmt: skip
        """Seconds of one frame of every camera; people, encodes: of all cameras together."""
        work = {ENCODE: encodes * macs[ENCODE], ESTIMATE: people * macs[ESTIMATE]}
        spent = sum(self.calls[network, part] + work[part] / self.rates[network, part] for part in work)
        return self.host(cameras, people, encodes * crop_pixels) + spent

    def of(self, sample: Sample) -> float:
        """Seconds of a sample's step."""
        load: Load = sample.load
        return self.step(load.network, sample.macs, sample.crop_pixels, load.cameras, sample.windows, sample.encodes)


def fit(samples: Sequence[Sample]) -> Costs:
    """Least squares of relative errors, no cost below 0."""
    host = _solve(
        np.array([[1, s.load.cameras, s.windows, s.encodes * s.crop_pixels] for s in samples], float),
        np.array([s.seconds[HOST] for s in samples]), np.array([s.whole for s in samples]),
    )  # fmt: skip
    rates, calls = {}, {}
    for network in dict.fromkeys(s.load.network for s in samples):
        own = [s for s in samples if s.load.network == network]
        for part in (ENCODE, ESTIMATE):
            spent = np.array([s.seconds[part] for s in own])
            columns = np.array([[1, _work(s, part)] for s in own], float)
            calls[network, part], each = _solve(columns, spent, spent).tolist()
            rates[network, part] = 1 / each if each else float("inf")
    batch, camera, person, pixel = host.tolist()
    model = Costs(batch, camera, person, pixel, rates, calls)
    off = np.array([abs(model.of(s) / s.whole - 1) for s in samples])
    return replace(model, error=float(np.median(off)), worst=float(off.max()))


def _work(sample: Sample, part: str) -> float:
    """Multiply-adds of a step."""
    return (sample.encodes if part == ENCODE else sample.windows) * sample.macs[part]


def _solve(columns: FloatArray, seconds: FloatArray, weights: FloatArray) -> FloatArray:
    """Factors >= 0 of the columns, errors measured against `weights`; what would fall below 0 is left out."""
    scale = columns.max(axis=0)
    kept = np.arange(columns.shape[1])
    while True:
        matrix = columns[:, kept] / scale[kept] / weights[:, None]
        found = np.linalg.lstsq(matrix, seconds / weights, rcond=None)[0]
        if (found >= 0).all():
            break
        kept = np.delete(kept, found.argmin())
    factors = np.zeros(columns.shape[1])
    factors[kept] = found / scale[kept]
    return factors
