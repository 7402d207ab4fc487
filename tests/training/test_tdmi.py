# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""TDMI and TDMI-ST as a whole: shapes, gradients, the two halves that meet in the cache, every row of Tables 5 to 7."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch

from sdtc_ros.errors import BundleError, UsageError
from training import train
from training.checkpoint import KEY, describe, load_network
from training.losses.sdtc import gaussian_heatmaps
from training.losses.tdmi import tdmi_loss
from training.models.hrnet import HRNetConfig
from training.models.mutual_information import InformationConfig
from training.models.rdm import RDMConfig
from training.models.tde import TDEConfig
from training.models.tdmi import TDMI, TDMIConfig
from training.module import TDMI_OPTIMISER, TDMITraining

pytestmark = pytest.mark.slow

CONFIGS = Path(train.__file__).parent / "configs"
SIZE = (64, 32)
SMALL = TDMIConfig(
    backbone=HRNetConfig(width=4, modules=(1, 1, 1), blocks=1, image_size=SIZE, stem=8),
    tde=TDEConfig(channels=8, offset_groups=2),
)
NO_RDM, NO_OBJECTIVE = RDMConfig("none"), InformationConfig(terms=())
ROWS = {
    "table 5: HRNet": {"motion": "none"},
    "table 5: Op-Flow": {"motion": "optical-flow", "rdm": NO_RDM, "information": NO_OBJECTIVE},
    "table 5 a, table 7 without RDM": {"rdm": NO_RDM, "information": NO_OBJECTIVE},
    "table 5 b, table 6 d, table 7 b": {},
    "table 6 a": {"tde": dataclasses.replace(SMALL.tde, stages=(4,), modulation=False)},
    "table 6 b": {"tde": dataclasses.replace(SMALL.tde, modulation=False, fusion="concat")},
    "table 6 c": {"tde": dataclasses.replace(SMALL.tde, modulation=False)},
    "table 7 a": {"information": NO_OBJECTIVE},
    "table 7 c": {"rdm": RDMConfig("split")},
    "TDMI-ST": {"visual": "sequence"},
}


def build(**changes):
    torch.manual_seed(0)
    network = TDMI(dataclasses.replace(SMALL, **changes))
    torch.nn.init.normal_(network.head.weight, std=0.1)  # it starts near zero; give it something to say
    return network


def windows(frames=5):
    return torch.randint(0, 256, (3, frames, *SIZE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def loss_of(network, crops, **options):
    generator = torch.Generator().manual_seed(1)
    points = torch.rand(*crops.shape[:2], 15, 2, generator=generator) * torch.tensor([31.0, 63.0])
    return tdmi_loss(network(crops), network.information, points, torch.ones(*crops.shape[:2], 15), SIZE, **options)


def test_defaults_are_the_papers():
    with torch.device("meta"):
        network = TDMI(TDMIConfig())
    inference = sum(
        p.numel() for name, p in network.named_parameters() if p.requires_grad and not name.startswith("information")
    )
    assert inference / 1e6 == pytest.approx(5.3, abs=0.05)  # SDTC's Table 10
    assert network.config.heatmap_size == (96, 72)
    assert network.config.stages == (1, 2, 3, 4)


@pytest.mark.parametrize("row", list(ROWS))
def test_rows_of_the_ablations_train(row):
    network = build(**ROWS[row]).train()
    losses = loss_of(network, windows())
    assert math.isfinite(losses.total.item())
    losses.total.backward()
    torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1).step()
    network.zero_grad()
    loss_of(network, windows()).total.backward()
    silent = [n for n, p in network.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert silent == []
    assert network.eval()(windows()).heatmaps.shape == (3, 15, 16, 8)


def test_only_what_a_row_has_is_logged():
    full, bare = loss_of(build().train(), windows()), loss_of(build(information=NO_OBJECTIVE).train(), windows())
    assert full.information != 0 and full.fit > 0
    assert bare.information == bare.fit == bare.separation == 0
    assert torch.equal(bare.total, bare.heatmap)


def test_frozen_and_unfrozen_backbone():
    frozen, free = build().train(), build(freeze_backbone=False).train()
    for network in (frozen, free):
        loss_of(network, windows()).total.backward()
    assert not frozen.backbone.training and free.backbone.training
    assert all(p.grad is None for p in frozen.backbone.parameters())
    assert all(p.grad is not None for p in free.backbone.parameters())


@pytest.mark.parametrize("row", [row for row in ROWS if "Flow" not in row])
def test_cached_features_give_what_the_whole_network_gives(row):
    network = build(**ROWS[row]).train()
    network(windows())  # norms with statistics
    network.eval()
    with torch.no_grad():
        whole = network(windows()).heatmaps
        frames = [network.encode(windows()[:, t]) for t in range(5)]  # one frame at a time, as streaming does
        cached = network.estimate({name: torch.stack([f[name] for f in frames], dim=1) for name in frames[0]})
    assert torch.allclose(whole, cached, rtol=1e-4, atol=1e-4)


def test_encoder_gives_the_stages_that_are_read():
    shapes = {name: tuple(x.shape) for name, x in build().encode(windows()[:, 0]).items()}
    assert shapes == {f"stage{s}": (3, 4, 16, 8) for s in (1, 2, 3, 4)}
    only_last = build(**ROWS["table 6 a"]).encode(windows()[:, 0])
    assert list(only_last) == list(build(motion="none").encode(windows()[:, 0])) == ["stage4"]


@pytest.mark.parametrize(
    ("row", "matter"), [("TDMI-ST", 5), ("table 5 b, table 6 d, table 7 b", 5), ("table 5: HRNet", 1)]
)
def test_which_frames_matter(row, matter):
    network = build(**ROWS[row]).eval()
    with torch.no_grad():
        tokens = {n: x.unflatten(0, (3, 5)) for n, x in network.encode(windows().flatten(0, 1)).items()}
    for x in tokens.values():
        x.requires_grad_()
    network.estimate(tokens).square().sum().backward()
    assert (tokens["stage4"].grad.abs().sum(dim=(0, 2, 3, 4)) > 0).sum() == matter


def test_tdmi_st_takes_more_than_the_keyframe_for_its_visual_feature():
    crops, other = windows(), windows()
    other[:, 0] = 255 - other[:, 0]
    for visual, same in (("keyframe", True), ("sequence", False)):
        network = build(visual=visual).eval()
        with torch.no_grad():
            assert torch.equal(network(crops).features.visual, network(other).features.visual) == same


def test_the_objective_reaches_the_encoder_and_both_gates():
    """Equation 13 alone trains TDE and both MLPs; without it nothing does what makes the noisy part noisy."""
    network = build().train()
    for pair in network.information.pairs.values():
        torch.nn.init.normal_(pair.predict.weight)
    output = network(windows())
    target = gaussian_heatmaps(torch.full((3, 15, 2), 15.0), (16, 8), SIZE)
    network.information(output.features, target, torch.ones(3, 15)).total.backward()
    for part in (network.tde, network.rdm.useful_gate, network.rdm.noisy_gate):
        assert all(p.grad is not None and p.grad.isfinite().all() for p in part.parameters())
        assert any(p.grad.any() for p in part.parameters())
    assert all(p.grad is None for p in network.head.parameters())


def test_alpha_weighs_the_information_and_cells_divide_it():
    network = build().eval()
    for pair in network.information.pairs.values():
        torch.nn.init.normal_(pair.predict.weight)
    with torch.no_grad():
        none, one = loss_of(network, windows(), alpha=0.0), loss_of(network, windows(), alpha=1.0)
    assert (one.total - none.total).item() == pytest.approx(one.information.item() / (16 * 8), rel=1e-3)
    assert none.total.item() == pytest.approx((none.heatmap + none.fit / (16 * 8)).item(), rel=1e-4)


def test_location_loss_is_in_nats_like_the_information():
    network = build(location_sigma=1.0).eval()
    with torch.no_grad():
        losses = loss_of(network, windows(), sigma=1.0)
        heatmaps = network(windows()).heatmaps
    assert losses.total.item() == pytest.approx((losses.heatmap + losses.information + losses.fit).item(), rel=1e-4)
    assert torch.allclose(heatmaps.sum(dim=(2, 3)), torch.full((3, 15), 2 * math.pi), rtol=1e-4)


def test_a_few_steps_lower_the_loss():
    network = build(freeze_backbone=False).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    before = loss_of(network, windows()).heatmap.item()
    for _ in range(15):
        optimiser.zero_grad()
        losses = loss_of(network, windows())
        losses.total.backward()
        optimiser.step()
    assert losses.heatmap.item() < 0.8 * before


@pytest.mark.parametrize("delta", [1, 3])
def test_other_spans(delta):
    assert build(delta=delta).eval()(windows(2 * delta + 1)).heatmaps.shape == (3, 15, 16, 8)


def test_what_cannot_be():
    with pytest.raises(UsageError, match="neighbouring frames"):
        build(delta=0)
    assert build(delta=0, motion="none").eval()(windows(1)).heatmaps.shape == (3, 15, 16, 8)
    with pytest.raises(BundleError, match="optical flow"):
        build(motion="optical-flow").estimate({})


def test_recipe_is_the_papers():
    """Adam, 1e-3 down to 1e-6 at epochs 6, 12 and 18; without weight decay AdamW is Adam."""
    rates = [TDMI_OPTIMISER.lr * TDMI_OPTIMISER.scale(step, math.inf, 100) for step in (0, 599, 600, 1200, 1800, 1999)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-5, 1e-6, 1e-6])
    assert TDMI_OPTIMISER.weight_decay == 0
    training = TDMITraining(SMALL)
    assert (training.alpha, training.target_sigma) == (1.0, 3.0)


def test_training_module_takes_batches_and_its_alpha():
    crops = windows()
    batch = {"crops": crops, "points": torch.full((3, 5, 15, 2), 20.0), "weight": torch.ones(3, 5, 15)}
    torch.manual_seed(0)
    training = TDMITraining(SMALL, alpha=2.0).eval()
    for pair in training.network.information.pairs.values():
        torch.nn.init.normal_(pair.predict.weight)
    with torch.no_grad():
        losses = training.losses(batch)
    expected = losses.heatmap + (2 * losses.information + losses.fit) / (16 * 8)
    assert losses.total.item() == pytest.approx(expected.item(), rel=1e-4)


def test_the_tiny_config_builds_what_it_says():
    command = train.build(["--config", str(CONFIGS / "tdmi-tiny.yaml"), "--trainer.logger", "false"])
    network = command.model.network
    assert isinstance(network, TDMI)
    assert network.config.location_sigma == 1.0 and not network.config.freeze_backbone
    assert network.config.information.terms == ("separation", "abundance", "motion", "frame")
    assert (command.datamodule.config.size, command.datamodule.config.delta) == ((96, 128), 2)


def test_a_checkpoint_brings_every_field_back(tmp_path):
    config = dataclasses.replace(
        SMALL, visual="sequence", tde=dataclasses.replace(SMALL.tde, stages=(2, 4), fusion="concat"),
        rdm=RDMConfig("split", 2), information=InformationConfig(("abundance", "frame"), "distilled", 0.5),
    )  # fmt: skip
    network = TDMI(config)
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save({KEY: describe(network), "state_dict": state}, tmp_path / "tdmi.ckpt")
    loaded = load_network(tmp_path / "tdmi.ckpt")
    assert loaded.config == config
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), network.parameters(), strict=True))


@pytest.mark.parametrize("name", ["posetrack17-tdmi", "posetrack18-tdmi", "posetrack21-tdmi", "hieve-tdmi-st"])
def test_the_papers_recipe_is_a_config(name, tmp_path):
    small = {"width": 8, "modules": [1, 1, 1], "blocks": 1, "stem": 8}  # a backbone that is built in no time
    arguments = [f"--model.init_args.config.backbone.{key}={value}" for key, value in small.items()]
    arguments += ["--model.init_args.backbone_checkpoint=null", "--trainer.accelerator=cpu", f"--run={tmp_path}"]
    command = train.build(["--config", str(CONFIGS / f"{name}.yaml"), *arguments])
    network, data = command.model.network, command.datamodule.config
    assert (data.dataset, data.size, data.delta) == (name.split("-")[0], (288, 384), 2)
    assert command.model.optimiser == dataclasses.replace(TDMI_OPTIMISER, clip_norm=0.0)  # the paper names none
    assert command.trainer.max_epochs == 20
    assert (network.config.visual == "sequence") == name.endswith("-st")
    assert dataclasses.replace(network.config, backbone=HRNetConfig()) == TDMIConfig(
        visual=network.config.visual, skeleton=network.config.skeleton
    )
    assert len(network.skeleton) == (14 if "hieve" in name else 15)
