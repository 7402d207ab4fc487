"""The cost table: the counter against arithmetic by hand, and SDTC-B within its budget."""

import json

import torch

from training.cost import BUDGET, MODELS, count_macs, main, sdtc_costs, totals


def test_counter_counts_multiply_adds():
    with torch.device("meta"):
        assert count_macs(torch.nn.Linear(8, 16), torch.empty(3, 8)) == 3 * 8 * 16
        conv = torch.nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1)
        assert count_macs(conv, torch.empty(1, 4, 5, 5)) == 5 * 5 * 4 * 6 * 16


def test_vit_b_pass_by_hand():
    tokens, dim = 192, 768
    block = tokens * 12 * dim * dim + 2 * tokens * tokens * dim
    expected = 12 * block + tokens * dim * 3 * 16 * 16
    backbone = sdtc_costs(MODELS["sdtc-b"])[0]
    assert backbone.streaming_macs == expected
    assert backbone.window_macs == 5 * expected


def test_sdtc_b_is_in_its_budget(tmp_path, capsys):
    path = tmp_path / "cost.json"
    assert main(["--json", str(path)]) == 0
    figures = json.loads(path.read_text())
    for key, most in BUDGET.items():
        assert 0.5 * most < figures[key] <= most, key
    assert "sdtc-b" in capsys.readouterr().out


def test_streaming_saves_the_neighbours_backbone_passes():
    sums = {delta: totals(sdtc_costs(MODELS["sdtc-s"].__class__(delta=delta))) for delta in (1, 2)}
    assert sums[1]["window_macs"] < sums[2]["window_macs"]
    backbone = sdtc_costs(MODELS["sdtc-b"])[0].streaming_macs
    assert sums[2]["window_macs"] - sums[2]["streaming_macs"] >= 4 * backbone
