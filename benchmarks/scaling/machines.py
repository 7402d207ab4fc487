# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What other machines carry, by arithmetic: published peaks, a share of them that is assumed, the host's cost here.

Peaks are dense FP16 of the tensor cores, without the doubling by sparsity that data sheets print. H200: "NVIDIA H200
Tensor Core GPU" data sheet, 1,979 TFLOPS with sparsity (SXM). Orin: "NVIDIA Jetson AGX Orin Series Technical Brief",
170 sparse INT8 TOPS of the GPU's 64 tensor cores (the 275 on the box add the deep-learning accelerators, which do not
run these graphs); half of it dense, half of that FP16. Orin NX 16 GB and Nano 8 GB have half the tensor cores at 918
and 625 MHz ("Super" modes more): 60 and 40 sparse INT8 TOPS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.scaling.fit import Costs
from benchmarks.scaling.samples import ENCODE, ESTIMATE
from sdtc_ros.pipeline.pipeline import PipelineConfig

RATE = 30.0  # frames a second
BUSY = 0.9  # of a machine's time that is spent: beyond it queues grow
SHARES = (0.3, 0.5)  # of the peak that is reached: an assumption until it is measured
MOST = PipelineConfig().max_people  # before one camera
ENCODES = 1.87  # a person and frame at the default, a detector's boxes: benchmarks/sticky.py, docs/tradeoffs.md


@dataclass(frozen=True)
class Machine:
    """peak: FP16 operations a second, two a multiply-add; slower: a core of its host against one of this machine."""

    name: str
    peak: float
    slower: float


MACHINES = (
    Machine("H200 (SXM)", 1979e12 / 2, 1.0),
    Machine("AGX Orin 64 GB", 170e12 / 4, 2.5),
    Machine("Orin NX 16 GB", 60e12 / 4, 2.5),
    Machine("Orin Nano 8 GB", 40e12 / 4, 2.5),
)


def people_on_gpu(
    costs: Costs, macs: dict[str, int], machine: Machine, share: float, cameras: int, encodes: float
) -> int:
    """How many people, of all cameras together, one process carries at RATE, and no more than pipelines take.

    Crops are cut on the device.
    """
    budget = BUSY / RATE - machine.slower * costs.host(cameras, 0, 0)
    device = 2 * (encodes * macs[ENCODE] + macs[ESTIMATE]) / (machine.peak * share)
    return max(0, min(MOST * cameras, int(budget / (device + machine.slower * costs.person))))


def people_on_cpu(
    costs: Costs, network: str, macs: dict[str, int], crop_pixels: int, cameras: int, encodes: float
) -> int:
    """How many people, of all cameras together, one core of this machine carries at RATE."""
    people = 0
    while costs.step(network, macs, crop_pixels, cameras, people + 1, (people + 1) * encodes) <= BUSY / RATE:
        people += 1
    return people


def rows_on_gpu(
    costs: Costs, macs: dict[str, dict[str, int]], cameras: Sequence[int], encodes: float
) -> list[list[str]]:
    """A row a machine and network: people at the lower and upper share, for each number of cameras."""
    rows = []
    for machine in MACHINES:
        for network, own in macs.items():
            found = [
                [people_on_gpu(costs, own, machine, share, count, encodes) for share in SHARES] for count in cameras
            ]
            cells = (f"{few}-{many}" if few < many else f"{many}" for few, many in found)
            rows.append([machine.name, network, f"{machine.peak / 1e12:.1f}", *cells])
    return rows
