# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""TDMI's mutual-information objective (section 3.2, equations 8-13) through variational self-distillation.

A channel's softmax over the cells of its map says which place the channel speaks of, in the way of a heatmap. Equation
7 between features a and b is estimated for that place of b: a variational distribution q(place of b | a), one 1x1
convolution and a softmax over cells, is distilled from b's own places by KL(P_b || q) with b as the teacher
(variational self-distillation, Tian et al., CVPR 2021). From q come

- what is maximised: the lower bound E[log q - log P_b's marginal] (Barber & Agakov, 2003), at most log(batch size);
- what is minimised: E_joint[log q] - E_independent[log q] (CLUB, Cheng et al., ICML 2020), at least 0. A lower bound
  or a bare KL would not do: driving these down makes the two parts opposite, which is as dependent as equal.

Marginals are means over the batch: with one sample there is no information to measure, and all estimates are 0 or less.

The family's published code (FAMI-Pose, and the distillation code it follows) passes probabilities to `kl_div`, which
takes log-probabilities for its first argument, and adds the result with a plus where the paper maximises. Here every
term is in nats and enters with the paper's sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Term = Literal["separation", "abundance", "motion", "frame"]
Evidence = tuple[Tensor, Tensor, Tensor | None]  # a; log-probabilities of b's places; weight


@dataclass(frozen=True)
class InformationConfig:
    """Which terms equation 13 has, and how they are taken.

    terms: "separation" I(M_u; M_n) (8), "abundance" -I(M; M_u) (9), "motion" I(M_u; y | F~) (11), "frame"
    I(F; y | F~) (12). Empty: no objective (Table 7 a).
    conditional: how 11 and 12, I(x; y | F~) = I(x; y) - I(x; F~), are taken. "measured" holds x still, so that I(x; y)
    says what there is to keep and F~ alone learns; "printed" minimises the difference in all of its features, as the
    equations read: x unlearns the label, and x and F~ tell more of each other; "distilled" is the distillation paper's
    own bound, KL(q(y | x) || q(y | F~)) with x as teacher.
    temperature: of the softmax that makes a feature's places.
    """

    terms: tuple[Term, ...] = ("separation", "abundance", "motion", "frame")
    conditional: Literal["measured", "printed", "distilled"] = "measured"
    temperature: float = 1.0


@dataclass
class MotionFeatures:
    """What the objective reads, each B x (its channels) x h x w.

    M, M_u, M_n (None where motion is not parted), the visual feature F and the enhanced feature F~.
    """

    motion: Tensor
    useful: Tensor
    noisy: Tensor | None
    visual: Tensor
    enhanced: Tensor


@dataclass
class Information:
    """Equation 13 and its terms in nats (scalars; a term that is left out is 0).

    total = separation - abundance + motion + frame. fit: the variational distributions' own loss, which trains these
    alone and has to be added to whatever is minimised.
    """

    total: Tensor
    separation: Tensor
    abundance: Tensor
    motion: Tensor
    frame: Tensor
    fit: Tensor


def places(maps: Tensor, temperature: float = 1.0) -> Tensor:
    """B x C x h x w -> log-probabilities B x C x hw of the place that each channel speaks of."""
    return F.log_softmax(maps.flatten(2).float() / temperature, dim=2)


def label_places(heatmaps: Tensor) -> Tensor:
    """Target heatmaps B x K x h x w (0 or more) -> log-probabilities B x K x hw of the joint's place."""
    share = heatmaps.flatten(2).float()
    share = share / share.sum(dim=2, keepdim=True).clamp_min(1e-6)
    return torch.log(share.clamp_min(1e-12))


class Dependence(nn.Module):
    """Estimates of I(a; place of b) by q(place of b | a); see the module's text.

    In all methods a is B x A x h x w, log_b the log-probabilities B x C x hw of b's places, weight B x C (0 leaves a
    sample's channel out, 1 and None count it), and the result a scalar in nats, the mean over channels. The estimates
    leave q as it is; `fit` alone trains it.
    """

    def __init__(self, given: int, told: int) -> None:
        super().__init__()
        self.predict = nn.Conv2d(given, told, 1, bias=False)  # a bias would move all cells of a channel alike
        nn.init.zeros_(self.predict.weight)  # a q that knows nothing yet pushes the features nowhere

    def log_q(self, a: Tensor, fixed: bool = False) -> Tensor:
        """log q(place of b | a), B x C x hw; `fixed`: q's own parameters get no gradient."""
        return places(F.conv2d(a, self.predict.weight.detach()) if fixed else self.predict(a))

    def fit(self, a: Tensor, log_b: Tensor, weight: Tensor | None = None) -> Tensor:
        """KL(P_b || q), which trains q and nothing else."""
        return _mean(divergence(log_b.detach(), self.log_q(a.detach())), weight)

    def lower(self, a: Tensor, log_b: Tensor, weight: Tensor | None = None) -> Tensor:
        """Lower bound, for what is maximised."""
        marginal = _marginal(log_b, weight)
        own = (log_b.exp() * (log_b - marginal.clamp_min(1e-12).log())).sum(dim=2)  # KL(P_b || its marginal)
        return _mean(own - divergence(log_b, self.log_q(a, fixed=True)), weight)

    def upper(self, a: Tensor, log_b: Tensor, weight: Tensor | None = None) -> Tensor:
        """Contrast of joint and independent pairs, for what is minimised.

        A channel below 0 counts as 0: information is not negative, q lags behind there.
        """
        if weight is None:
            weight = log_b.new_ones(log_b.shape[:2])
        contrast = ((log_b.exp() - _marginal(log_b, weight)) * self.log_q(a, fixed=True)).sum(dim=2)
        counts = weight.sum(dim=0)
        by_channel = (contrast * weight).sum(dim=0) / (counts - 1).clamp_min(1)  # -1: the marginal holds its own pair
        return by_channel.clamp_min(0).mean()


class InformationObjective(nn.Module):
    """Equation 13; training only."""

    def __init__(
        self, config: InformationConfig, motion: int, useful: int, noisy: int, visual: int, enhanced: int, joints: int
    ) -> None:
        """The numbers are channels of the features; noisy = 0 where motion is not parted: no separation then."""
        super().__init__()
        self.config = config
        pairs = {
            "separation": {"noisy_useful": (noisy, useful)} if noisy else {},
            "abundance": {"motion_useful": (motion, useful)},
            "motion": {"useful_label": (useful, joints)},
            "frame": {"visual_label": (visual, joints)},
        }
        if config.conditional == "distilled":
            pairs["motion"]["enhanced_label"] = pairs["frame"]["enhanced_label"] = (enhanced, joints)
        else:
            pairs["motion"]["enhanced_useful"] = (enhanced, useful)
            pairs["frame"]["enhanced_visual"] = (enhanced, visual)
        wanted = {name: sizes for term in config.terms for name, sizes in pairs[term].items()}
        self.pairs = nn.ModuleDict({name: Dependence(*sizes) for name, sizes in wanted.items()})

    def forward(self, features: MotionFeatures, target: Tensor, weight: Tensor) -> Information:
        """target heatmaps B x K x h x w, weight B x K (0: joint not labelled)."""
        evidence = self._evidence(features, target, weight)
        zero = weight.new_zeros(())
        fit = sum((self._pair(name).fit(*evidence[name]) for name in self.pairs), zero)
        separation = abundance = motion = frame = zero
        terms = self.config.terms
        if "separation" in terms and features.noisy is not None:
            separation = self._pair("noisy_useful").upper(*evidence["noisy_useful"])  # (8)
        if "abundance" in terms:
            abundance = self._pair("motion_useful").lower(*evidence["motion_useful"])  # (9)
        if "motion" in terms:
            motion = self._lost("useful", evidence)  # (11)
        if "frame" in terms:
            frame = self._lost("visual", evidence)  # (12)
        total = separation - abundance + motion + frame  # (13)
        return Information(total, separation, abundance, motion, frame, fit)

    def _lost(self, x: Literal["useful", "visual"], evidence: dict[str, Evidence]) -> Tensor:
        """I(x; y | F~) as `conditional` says."""
        known, (feature, label, weight) = self._pair(f"{x}_label"), evidence[f"{x}_label"]
        if self.config.conditional == "distilled":
            student = self._pair("enhanced_label").log_q(evidence["enhanced_label"][0], fixed=True)
            return _mean(divergence(known.log_q(feature).detach(), student), weight)
        (enhanced, log_x, _), pair = evidence[f"enhanced_{x}"], self._pair(f"enhanced_{x}")
        if self.config.conditional == "printed":
            return known.upper(feature, label, weight) - pair.lower(enhanced, log_x)
        return known.lower(feature.detach(), label, weight) - pair.lower(enhanced, log_x.detach())

    def _evidence(self, features: MotionFeatures, target: Tensor, weight: Tensor) -> dict[str, Evidence]:
        """Every pair's a, places of b, and weight."""
        useful, visual = (places(x, self.config.temperature) for x in (features.useful, features.visual))
        label = label_places(target)
        evidence: dict[str, Evidence] = {
            "motion_useful": (features.motion, useful, None),
            "useful_label": (features.useful, label, weight),
            "visual_label": (features.visual, label, weight),
            "enhanced_label": (features.enhanced, label, weight),
            "enhanced_useful": (features.enhanced, useful, None),
            "enhanced_visual": (features.enhanced, visual, None),
        }
        if features.noisy is not None:
            evidence["noisy_useful"] = (features.noisy, useful, None)
        return evidence

    def _pair(self, name: str) -> Dependence:
        pair = self.pairs[name]
        assert isinstance(pair, Dependence)
        return pair


def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) over the last dimension, in nats; both arguments are log-probabilities."""
    return F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(dim=-1)


def _marginal(log_b: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of the probabilities over the batch, 1 x C x hw."""
    if weight is None:
        return log_b.exp().mean(dim=0, keepdim=True)
    counts = weight.sum(dim=0).clamp_min(1)[None, :, None]
    return (log_b.exp() * weight.unsqueeze(2)).sum(dim=0, keepdim=True) / counts


def _mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of B x C values over those that count."""
    return values.mean() if weight is None else (values * weight).sum() / weight.sum().clamp_min(1)
