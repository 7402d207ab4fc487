# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A linear model of what a step costs, fitted to samples; what it misses by, when asked for others, is part of it.

host = batch + camera * cameras + person * people + pixel * pixels of the crops that are cut
encode = call + crops * multiply-adds / rate, estimate = call + windows * multiply-adds / rate, each with a call and
rate of its own for each network: how near a processor comes to its peak depends on the sizes of the matrices. The host
is fitted to steps through an engine that does nothing, the engine's parts to their own time in whole steps; a whole
step, which is measured for itself, is foretold by the sum, its own load left out of the fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from benchmarks.scaling.host import HostSample
from benchmarks.scaling.samples import ENCODE, ESTIMATE, Load, Sample

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Costs:
    """The model: seconds of the host a batch, a camera's frame, a person and a crop's pixel.

    rates, calls: multiply-adds a second and seconds a call, by network and part (ENCODE, ESTIMATE). host_error: how far
    the host's fit is off in the median, as a part of what was measured. ratios: for every sample, the step that a fit
    without its load foretells by the one that was measured; NaN where its network has no other load.
    """

    batch: float
    camera: float
    person: float
    pixel: float
    rates: dict[tuple[str, str], float]
    calls: dict[tuple[str, str], float]
    host_error: float = float("nan")
    ratios: tuple[float, ...] = ()

    @property
    def error(self) -> float:
        """How far loads that are left out are off, in the median."""
        return float(np.nanmedian(np.abs(np.array(self.ratios) - 1)))

    @property
    def worst(self) -> float:
        """The ratio that is farthest from 1."""
        return float(self.ratios[int(np.nanargmax(np.abs(np.array(self.ratios) - 1)))])

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


def fit(samples: Sequence[Sample], hosts: Sequence[HostSample]) -> Costs:
    """Least squares of relative errors, no cost below 0; each load is also foretold by a fit without it."""
    columns = np.array([[1, one.cameras, one.people, one.pixels] for one in hosts], float)
    spent = np.array([one.seconds for one in hosts])
    host = _solve(columns, spent, spent)
    off = float(np.median(np.abs(columns @ host / spent - 1)))
    ratios = []
    for left_out in samples:
        rest = [one for one in samples if one is not left_out]
        known = any(one.load.network == left_out.load.network for one in rest)
        ratios.append(_fit(rest, host).of(left_out) / left_out.whole if known else float("nan"))
    return replace(_fit(samples, host), host_error=off, ratios=tuple(ratios))


def _fit(samples: Sequence[Sample], host: FloatArray) -> Costs:
    rates, calls = {}, {}
    for network in dict.fromkeys(s.load.network for s in samples):
        own = [s for s in samples if s.load.network == network]
        for part in (ENCODE, ESTIMATE):
            spent = np.array([s.seconds[part] for s in own])
            columns = np.array([[1, _work(s, part)] for s in own], float)
            calls[network, part], each = _solve(columns, spent, spent).tolist()
            rates[network, part] = 1 / each if each else float("inf")
    batch, camera, person, pixel = host.tolist()
    return Costs(batch, camera, person, pixel, rates, calls)


def _work(sample: Sample, part: str) -> float:
    """Multiply-adds of a step."""
    return (sample.encodes if part == ENCODE else sample.windows) * sample.macs[part]


def _solve(columns: FloatArray, seconds: FloatArray, weights: FloatArray) -> FloatArray:
    """Factors >= 0 of the columns, errors measured against `weights`; what would fall below 0 is left out."""
    scale = np.maximum(columns.max(axis=0), 1e-300)  # a column of zeros stays one
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
