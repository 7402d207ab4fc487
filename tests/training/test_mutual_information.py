# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The mutual-information objective on toy Gaussians, whose information is known: which way every term moves it."""

import math

import pytest
import torch
import torch.nn.functional as F

from training.models.mutual_information import (
    Dependence,
    InformationConfig,
    InformationObjective,
    MotionFeatures,
    divergence,
    label_places,
    places,
)

pytestmark = pytest.mark.slow

BATCH, CELLS = 64, (4, 4)


def gaussian(generator, channels=1):
    return torch.randn(BATCH, channels, *CELLS, generator=generator)


def correlated(x, rho, generator):
    """Jointly Gaussian with x, correlation rho; their information is -log(1 - rho^2) / 2 a cell."""
    return rho * x + torch.sqrt(1 - torch.as_tensor(rho) ** 2) * gaussian(generator, x.shape[1])


def fitted(rho, steps=150):
    """q trained on Gaussians of one correlation, and fresh samples."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    pair = Dependence(1, 1)
    optimiser = torch.optim.Adam(pair.parameters(), lr=0.05)
    for _ in range(steps):
        a = gaussian(generator)
        optimiser.zero_grad()
        pair.fit(a, places(correlated(a, rho, generator))).backward()
        optimiser.step()
    a = torch.cat([gaussian(generator) for _ in range(4)])
    noise = torch.cat([gaussian(generator) for _ in range(4)])
    return pair, a, rho * a + math.sqrt(1 - rho**2) * noise


def test_estimates_grow_with_the_true_information():
    lower, upper = [], []
    for rho in (0.0, 0.4, 0.8, 0.99):
        pair, a, b = fitted(rho)
        lower.append(pair.lower(a, places(b)).item())
        upper.append(pair.upper(a, places(b)).item())
    assert lower == sorted(lower)
    assert upper == sorted(upper)
    assert abs(lower[0]) < 0.02  # independent
    assert 0 <= upper[0] < 0.02
    assert lower[-1] > 0.3
    assert all(low <= up + 0.02 for low, up in zip(lower, upper, strict=True))


def test_opposite_is_as_dependent_as_equal():
    values = {}
    for rho in (-0.8, 0.8):
        pair, a, b = fitted(rho)
        values[rho] = pair.lower(a, places(b)).item(), pair.upper(a, places(b)).item()
    assert values[-0.8] == pytest.approx(values[0.8], rel=0.25)
    assert min(values[-0.8]) > 0.1


def trained(start, config, features_of, steps=150):
    """Move one number by the objective's total: features_of(number in -1..1, generator) -> features, target."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    objective = InformationObjective(config, motion=1, useful=1, noisy=1, visual=1, enhanced=1, joints=1)
    number = torch.tensor(math.atanh(start), requires_grad=True)
    optimiser = torch.optim.Adam([{"params": [number], "lr": 0.03}, {"params": objective.parameters(), "lr": 0.05}])
    for _ in range(steps):
        optimiser.zero_grad()
        information = objective(*features_of(torch.tanh(number), generator), torch.ones(BATCH, 1))
        (information.total + information.fit).backward()
        optimiser.step()
    return math.tanh(number.item())


def other_features(generator):
    return {name: gaussian(generator) for name in ("motion", "useful", "noisy", "visual", "enhanced")}


@pytest.mark.parametrize("start", [-0.8, 0.8])
def test_separation_makes_useful_and_noisy_motion_independent(start):
    def features_of(rho, generator):
        features = other_features(generator)
        features["noisy"] = correlated(features["useful"], rho, generator)
        return MotionFeatures(**features), torch.rand(BATCH, 1, *CELLS)

    assert abs(trained(start, InformationConfig(("separation",)), features_of)) < 0.2


@pytest.mark.parametrize("start", [-0.2, 0.2])
def test_abundance_ties_the_motion_to_its_useful_part(start):
    def features_of(rho, generator):
        features = other_features(generator)
        features["motion"] = correlated(features["useful"], rho, generator)
        return MotionFeatures(**features), torch.rand(BATCH, 1, *CELLS)

    end = trained(start, InformationConfig(("abundance",)), features_of)
    assert abs(end) > 0.8
    assert end * start > 0


@pytest.mark.parametrize("conditional", ["measured", "printed", "distilled"])
@pytest.mark.parametrize(("term", "source"), [("motion", "useful"), ("frame", "visual")])
def test_less_of_a_feature_is_lost_on_the_way_to_the_enhanced_one(term, source, conditional):
    def features_of(rho, generator):
        features = other_features(generator)
        features["enhanced"] = correlated(features[source], rho, generator)
        label = torch.softmax(2 * features[source].flatten(2), dim=2).view_as(features[source])
        return MotionFeatures(**features), label

    assert trained(0.2, InformationConfig((term,), conditional), features_of) > 0.7


@pytest.mark.parametrize(("conditional", "stays"), [("measured", True), ("printed", False), ("distilled", True)])
def test_only_the_printed_equation_makes_the_source_unlearn_the_label(conditional, stays):
    """Equation 11 as printed minimises I(M_u; y) with respect to M_u; the other readings hold M_u still."""

    def features_of(rho, generator):
        features = other_features(generator)
        features["useful"] = correlated(features["motion"], rho, generator)
        label = torch.softmax(2 * features["motion"].flatten(2), dim=2).view_as(features["motion"])
        return MotionFeatures(**features), label

    end = trained(0.8, InformationConfig(("motion",), conditional), features_of)
    assert (end == pytest.approx(0.8, abs=1e-6)) if stays else abs(end) < 0.4


@pytest.mark.parametrize("term", ["motion", "frame"])
def test_the_printed_equations_stop_no_gradient(term):
    """I(x; y) - I(x; F~) with respect to x as well as to F~: the gradient is that of both estimates, written out."""
    generator = torch.Generator().manual_seed(6)
    objective = InformationObjective(InformationConfig((term,), "printed"), 2, 2, 0, 2, 2, 3)
    for parameter in objective.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    given = {name: gaussian(generator, 2) for name in ("motion", "useful", "visual", "enhanced")}
    target, weight = torch.rand(BATCH, 3, *CELLS, generator=generator), torch.ones(BATCH, 3)
    x = "useful" if term == "motion" else "visual"

    def gradients(loss_of):
        leaves = {name: value.clone().requires_grad_() for name, value in given.items()}
        return torch.autograd.grad(loss_of(leaves), [leaves[x], leaves["enhanced"]])

    def written_out(f):
        known, kept = objective.pairs[f"{x}_label"], objective.pairs[f"enhanced_{x}"]
        return known.upper(f[x], label_places(target), weight) - kept.lower(f["enhanced"], places(f[x]))

    got = gradients(lambda f: objective(MotionFeatures(noisy=None, **f), target, weight).total)
    for one, other in zip(got, gradients(written_out), strict=True):
        assert one.abs().max() > 1e-6
        assert torch.allclose(one, other, atol=1e-7)


def test_total_is_equation_13():
    generator = torch.Generator().manual_seed(2)
    objective = InformationObjective(InformationConfig(), 3, 3, 3, 2, 2, 5)
    shapes = {"motion": 3, "useful": 3, "noisy": 3, "visual": 2, "enhanced": 2}
    features = MotionFeatures(**{name: gaussian(generator, c) for name, c in shapes.items()})
    got = objective(features, torch.rand(BATCH, 5, *CELLS, generator=generator), torch.ones(BATCH, 5))
    assert got.total.item() == pytest.approx((got.separation - got.abundance + got.motion + got.frame).item())
    assert all(value.item() != 0 for value in (got.abundance, got.motion, got.frame, got.fit))
    got.fit.backward()
    assert all(p.grad is not None and p.grad.any() for p in objective.parameters())


def test_the_estimates_do_not_train_their_own_critic():
    generator = torch.Generator().manual_seed(2)
    pair = Dependence(2, 3)
    torch.nn.init.normal_(pair.predict.weight)
    a, b = gaussian(generator, 2).requires_grad_(), gaussian(generator, 3).requires_grad_()
    (pair.lower(a, places(b)) + pair.upper(a, places(b))).backward()
    assert all(p.grad is None for p in pair.parameters())
    assert a.grad.any() and b.grad.any()
    a.grad = b.grad = None
    pair.fit(a, places(b)).backward()
    assert a.grad is None and b.grad is None and pair.predict.weight.grad.any()


def test_unlabelled_joints_count_for_nothing():
    generator = torch.Generator().manual_seed(3)
    objective = InformationObjective(InformationConfig(("motion",)), 1, 1, 0, 1, 1, 2)
    features = MotionFeatures(**other_features(generator))
    target = torch.rand(BATCH, 2, *CELLS, generator=generator)
    weight = torch.ones(BATCH, 2)
    weight[::2, 1] = 0
    changed = target.clone()
    changed[::2, 1] = torch.rand(BATCH // 2, *CELLS, generator=generator)
    assert torch.equal(objective(features, target, weight).total, objective(features, changed, weight).total)
    assert not torch.equal(
        objective(features, target, torch.ones_like(weight)).total,
        objective(features, changed, torch.ones_like(weight)).total,
    )


def test_no_labels_and_one_sample_are_finite():
    generator = torch.Generator().manual_seed(3)
    objective = InformationObjective(InformationConfig(conditional="printed"), 1, 1, 1, 1, 1, 1)
    features = MotionFeatures(**{k: v[:1].requires_grad_() for k, v in other_features(generator).items()})
    got = objective(features, torch.zeros(1, 1, *CELLS), torch.zeros(1, 1))
    (got.total + got.fit).backward()
    assert math.isfinite(got.total.item())
    assert got.separation.item() == 0
    assert all(p.grad.isfinite().all() for p in objective.parameters() if p.grad is not None)


def test_divergence_is_one_and_the_published_form_is_not():
    """KL of equals is 0 and otherwise above; kl_div of probabilities, as published, is negative for equals."""
    generator = torch.Generator().manual_seed(4)
    p, q = places(gaussian(generator)), places(gaussian(generator))
    assert divergence(p, p).abs().max() < 1e-6
    assert divergence(p, q).min() > 0
    by_hand = (p.exp() * (p - q)).sum(dim=-1)
    assert torch.allclose(divergence(p, q), by_hand, atol=1e-6)
    assert F.kl_div(p.exp(), p.exp(), reduction="none").sum(dim=-1).max() < -1


def test_label_places_are_the_target_as_a_distribution():
    target = torch.zeros(1, 1, 2, 2)
    target[0, 0, 0, 1], target[0, 0, 1, 1] = 3.0, 1.0
    assert torch.allclose(label_places(target).exp(), torch.tensor([[[0.0, 0.75, 0.0, 0.25]]]), atol=1e-6)
