# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""An epoch's cost is that of its parts: what is frozen once, what trains three times."""

from __future__ import annotations

import pytest

from training.cost import costs_of, totals
from training.models.mlsme import MLSMEConfig
from training.models.sdtc import SDTCConfig
from training.models.tdmi import TDMIConfig
from training.models.vit import ViTConfig
from training.tables.ablate import read_table
from training.tables.epochs import EpochCost, network_config, report, row_settings, step_macs

pytestmark = pytest.mark.slow

SMALL = SDTCConfig(backbone=ViTConfig(image_size=(64, 48), dim=32, depth=2, heads=2), channels=16, head_width=8)


def test_a_frozen_backbone_counts_once_and_the_rest_three_times():
    parts = {cost.part: cost for cost in costs_of(SMALL)}
    window = totals(list(parts.values()))["window_macs"]
    trainable, inference, training = step_macs(SMALL)
    assert (trainable, inference) == (sum(c.trainable for c in parts.values()), window)
    rest = window - parts["backbone"].window_macs
    decoder = step_macs(SMALL)[2] - parts["backbone"].window_macs - 3 * rest
    without = SDTCConfig(**{**vars(SMALL), "mlsme": MLSMEConfig(mask_ratio=0.0)})
    assert step_macs(without)[2] == parts["backbone"].window_macs + 3 * rest
    tokens, heads = 5 * 12, (16 * 16 + 16 * 32) + (16 * 16 + 16 * 15 * 16)  # two MLP heads of the decoder
    layers = 2 * (4 * tokens * 16 * 16 + 2 * tokens * tokens * 16)
    assert decoder == 3 * (layers + tokens * heads)
    whole = SDTCConfig(**{**vars(without), "freeze_backbone": False})
    assert step_macs(whole)[2] == 3 * window


def test_tdmi_rows_have_the_parts_that_they_name():
    table = read_table("tdmi-5")
    costs = {}
    for row in table.rows:
        config = network_config(row_settings(table, row), tdmi=True)
        assert isinstance(config, TDMIConfig)
        costs[row.name] = step_macs(config)
    _, window, training = costs["HRNet"]
    assert training == 3 * window  # trained whole, on one frame
    assert costs["(a) TDE"][1] > 5 * window
    assert costs["(b) + RDM: TDMI"][2] > costs["(a) TDE"][2]


def test_the_report_multiplies_by_the_windows():
    line = report([EpochCost("t", "row", 87.5, 10_200_000, 90 * 10**9, 100 * 10**9, 30_000)], 50.0).splitlines()[-1]
    assert line == "| t | row | 87.5 | 10.20 | 90.0 | 100.0 | 3.0 | 1.0 |"
