# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Cost and load: the fit finds the constants it was made of, the simulated node obeys arithmetic, machines are sums."""

from __future__ import annotations

import itertools
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_bundle import make_bundle

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # benchmarks/ is no part of the installed package

from benchmarks import scale  # noqa: E402
from benchmarks.scaling import host, links  # noqa: E402
from benchmarks.scaling import samples as sampling  # noqa: E402
from benchmarks.scaling.figures import plot_costs, plot_load  # noqa: E402
from benchmarks.scaling.fit import Costs, fit  # noqa: E402
from benchmarks.scaling.host import CutsNothing, HostSample, Nothing, host_loads, measure_host  # noqa: E402
from benchmarks.scaling.load import Setting, simulate  # noqa: E402
from benchmarks.scaling.machines import ENCODES, MACHINES, Machine, people_on_cpu, people_on_gpu  # noqa: E402
from benchmarks.scaling.samples import ENCODE, ESTIMATE, Load, Sample, grid  # noqa: E402
from sdtc_ros.engine.base import CuttingEngine  # noqa: E402
from sdtc_ros.models.bundle import Bundle  # noqa: E402
from sdtc_ros.pipeline.pipeline import PipelineConfig  # noqa: E402
from sdtc_ros.skeleton import POSETRACK  # noqa: E402

PIXELS = {"small": 12288, "large": 49152}
MACS = {"small": {ENCODE: 10**8, ESTIMATE: 2 * 10**8}, "large": {ENCODE: 4 * 10**9, ESTIMATE: 6 * 10**9}}
TRUE = Costs(
    1e-3, 2e-4, 5e-5, 1e-9,
    {("small", ENCODE): 3e10, ("small", ESTIMATE): 4e10, ("large", ENCODE): 1e11, ("large", ESTIMATE): 9e10},
    {("small", ENCODE): 1e-3, ("small", ESTIMATE): 5e-4, ("large", ENCODE): 2e-3, ("large", ESTIMATE): 3e-3},
)  # fmt: skip


def made(network: str, cameras: int, people: int, encodes: float) -> Sample:
    """A sample that costs exactly what TRUE says."""
    total, macs = encodes * cameras * people, MACS[network]
    seconds = {
        ENCODE: TRUE.calls[network, ENCODE] + total * macs[ENCODE] / TRUE.rates[network, ENCODE],
        ESTIMATE: TRUE.calls[network, ESTIMATE] + cameras * people * macs[ESTIMATE] / TRUE.rates[network, ESTIMATE],
    }
    whole = sum(seconds.values()) + TRUE.host(cameras, cameras * people, total * PIXELS[network])
    return Sample(Load(network, 2, cameras, people), total, seconds, whole, macs, PIXELS[network])


def all_made() -> list[Sample]:
    loads = itertools.product(("small", "large"), (1, 2, 4), (1, 4, 16))
    return [made(*load, 1 + 0.1 * number) for number, load in enumerate(loads)]


def hosts_made() -> list[HostSample]:
    loads = itertools.product((1, 2, 4), (1, 4, 16, 64), (0, 1))
    return [
        HostSample(c, c * p, cut * c * p * 12288.0, TRUE.host(c, c * p, cut * c * p * 12288.0)) for c, p, cut in loads
    ]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("bundle"))


def test_the_fit_finds_the_constants() -> None:
    found = fit(all_made(), hosts_made())
    for name in ("batch", "camera", "person", "pixel"):
        assert getattr(found, name) == pytest.approx(getattr(TRUE, name), rel=1e-3)
    assert found.rates == pytest.approx(TRUE.rates)
    assert found.calls == pytest.approx(TRUE.calls)
    assert found.ratios == pytest.approx([1] * len(all_made()))
    assert found.host_error < 1e-6


def test_a_load_is_foretold_without_itself() -> None:
    """One network's largest load costs twice what a line says: its own ratio is a half, and it is the worst."""
    samples = [made("small", 1, people, 1.0) for people in (1, 2, 3, 4)]
    samples[3] = replace(
        samples[3], whole=2 * samples[3].whole, seconds={part: 9 * spent for part, spent in samples[3].seconds.items()}
    )
    found = fit(samples, hosts_made())
    assert found.ratios[3] == pytest.approx(0.5, rel=1e-6)
    assert found.ratios[0] != pytest.approx(1.0, rel=0.01)  # the others' fits have it
    alone = fit([samples[0]], hosts_made())
    assert np.isnan(alone.ratios).all()


def test_no_cost_is_below_nothing() -> None:
    """A cost of people that falls cannot be: it is left out, and what is then missed is told."""
    odd = [replace(one, seconds=max(1e-4, 4e-3 - 1e-4 * one.people)) for one in hosts_made()]
    found = fit(all_made(), odd)
    assert min(found.batch, found.camera, found.person, found.pixel) >= 0
    assert found.host_error > 0.05


def test_the_host_is_measured_with_engines_that_do_nothing(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that counts, a step costs one tick; crops are cut where the engine does not; tracking is there."""
    assert isinstance(CutsNothing(15), CuttingEngine)
    assert not isinstance(Nothing(15), CuttingEngine)
    ticks = itertools.count()
    monkeypatch.setattr(host, "process_time", lambda: float(next(ticks)))
    given: list[bool] = []
    together = host.process_together
    monkeypatch.setattr(
        host,
        "process_together",
        lambda inputs, buffer: (given.append(inputs[0][2].ids is None), together(inputs, buffer)),
    )
    found = measure_host(bundle, [(1, 3), (2, 2)], 4, rounds=2)
    assert [(one.cameras, one.people) for one in found] == [(1, 3), (1, 3), (2, 4), (2, 4)]
    assert [one.seconds for one in found] == [1.0] * 4
    assert all(given)
    for cut, not_cut in zip(found[::2], found[1::2], strict=True):
        assert not_cut.pixels == 0
        assert cut.people <= cut.pixels / (24 * 32) <= 5 * cut.people
    assert {people for _, people in host_loads(quick=False)} >= {1, 64}


def test_encodes_are_those_that_the_page_of_trade_offs_measured() -> None:
    """A detector's boxes at the default, in bold there."""
    text = (ROOT / "docs" / "tradeoffs.md").read_text(encoding="utf-8")
    default = re.escape(f"**{PipelineConfig().sticky:g}**")
    row = re.search(rf"^\| {default} \|(.*)\|$", text, re.MULTILINE)
    assert row is not None
    assert float(row[1].split("|")[4]) == ENCODES


def test_the_soak_is_simulated_with_the_encodes_of_its_own_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale, "_soak_encodes", lambda people: {2: 1.8}[people])
    text, checked = scale.check_soak(TRUE, made("small", 1, 2, 1.8))
    assert checked["encodes"] == 1.8
    assert "| measured (docs/live.md) | 94.7 % | 118 | 171 |" in text
    heavy = replace(TRUE, rates={key: rate / 4 for key, rate in TRUE.rates.items()})
    monkeypatch.setattr(scale, "_soak_encodes", lambda people: 1.0)
    fewer = scale.check_soak(heavy, made("small", 1, 2, 1.8))[1]["simulated"]["answered"]
    monkeypatch.setattr(scale, "_soak_encodes", lambda people: 3.0)
    assert scale.check_soak(heavy, made("small", 1, 2, 1.8))[1]["simulated"]["answered"] < 0.8 * fewer


def test_encodes_of_the_soak_by_its_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Held crops are encoded once, crops that always move in every frame of their window."""
    found = []
    for sticky in (0.0, 0.1, 1e9):
        monkeypatch.setitem(scale.SOAK, "sticky", sticky)
        found.append(scale._soak_encodes(2))
    assert found[0] > 4.5 > found[1] > 1.3 > found[2] >= 1.0


def test_what_goes_over_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A finer JPEG is larger, both are smaller than the image; a person's poses are 15 joints of six kilobytes."""
    monkeypatch.setattr(links, "SIZES", ((160, 120),))
    (found,) = links.measure_links(POSETRACK)
    assert found.raw == 160 * 120 * 3
    assert found.raw > found.jpeg[95] > found.jpeg[80] > 500
    assert 4 * 5500 < found.poses < 4 * 6500
    text = links.report_links([found])
    assert f"| raw images | {8 * 30 * 57600 / 1e6:.1f} Mbit/s |" in text
    assert "| decoding a JPEG of quality 80 |" in text


def test_a_light_load_is_answered_whole_at_its_own_latency() -> None:
    """Five milliseconds a frame: two frames of lookahead and the service, whoever fires when."""
    found = simulate(Setting(1, 2, 1.0, way=0.01), lambda cameras, people, encodes: 0.005)
    assert found.answered == pytest.approx(1.0, abs=0.002)
    assert found.p50 == pytest.approx(2 / 30 + 0.005 + 0.01, abs=1e-6)
    assert found.p99 == pytest.approx(found.p50, abs=1e-6)


def test_an_overload_answers_what_the_service_allows() -> None:
    """Fifty milliseconds a frame are twenty frames a second of thirty; a batch of cameras costs its sum."""
    found = simulate(Setting(1, 2, 1.0), lambda cameras, people, encodes: 0.05)
    assert found.answered == pytest.approx(20 / 30, rel=0.01)
    assert 2 * 0.05 + 0.05 <= found.p50 <= 2 * 0.05 + 0.05 + 1 / 30
    both = simulate(Setting(2, 2, 1.0), lambda cameras, people, encodes: 0.05 * cameras)
    assert both.answered == pytest.approx(10 / 30, rel=0.02)


def test_crops_that_move_are_encoded_for_their_window() -> None:
    """The mean number of encodes is what was asked for."""
    asked: list[tuple[int, int]] = []
    simulate(
        Setting(1, 4, 1.8, seconds=300), lambda cameras, people, encodes: (asked.append((people, encodes)), 0.01)[1]
    )
    people, encodes = (sum(one[i] for one in asked) for i in (0, 1))
    assert encodes / people == pytest.approx(1.8, rel=0.03)
    assert {(n - p) % 4 for p, n in asked} == {0}


def test_people_by_hand() -> None:
    """30 ms of a frame's 33.3: on a core of TRUE 2.7 ms and 8.4 ms a person; on a device of 1 TFLOPS at half."""
    small = MACS["small"]
    each = 5e-5 + 1e-9 * PIXELS["small"] + 1e8 / 3e10 + 2e8 / 4e10
    assert people_on_cpu(TRUE, "small", small, PIXELS["small"], 1, 1.0) == int((0.03 - 2.7e-3) / each) == 3
    machine = Machine("a", 1e12, 2.0)
    device = 2 * 3e8 / 0.5e12
    assert people_on_gpu(TRUE, small, machine, 0.5, 1, 1.0) == int((0.03 - 2.4e-3) / (device + 1e-4))
    assert people_on_gpu(TRUE, small, Machine("b", 1e12, 1000.0), 0.5, 1, 1.0) == 0
    assert people_on_gpu(TRUE, small, Machine("c", 1e15, 1.0), 0.5, 2, 1.0) == 128  # max_people, twice


def test_published_peaks() -> None:
    """Dense FP16: half of the sparse figure on a Hopper data sheet, a quarter of Orin's sparse INT8."""
    assert [round(machine.peak / 1e12, 1) for machine in MACHINES] == [989.5, 42.5, 15.0, 10.0]


def test_loads_are_measured_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the arithmetic bundle: who was there, what was encoded, parts that are a whole."""
    monkeypatch.setattr(sampling, "random_bundle", lambda network, delta: make_bundle(tmp_path / f"b{delta}", delta))
    monkeypatch.setattr(sampling, "network_macs", lambda network, delta: MACS["small"])
    loads = [Load("sdtc-tiny", 2, 1, 3), Load("sdtc-tiny", 2, 2, 2)]
    found = sampling.measure_loads("sdtc-tiny", 2, loads, 4)
    assert [sample.windows for sample in found] == [3, 4]
    for sample in found:
        assert sample.windows <= sample.encodes <= 5 * sample.windows
        assert sample.whole > sum(sample.seconds.values()) > 0
        assert min(sample.seconds.values()) > 0
        assert sample.crop_pixels == 24 * 32
    costs = fit(found, measure_host(make_bundle(tmp_path / "host"), [(1, 1), (1, 4), (2, 1)], 2, 1))
    assert "sdtc-tiny, 2 | 2 x 2" in scale.report_samples(found, costs)
    assert "estimate (0.20 GMAC)" in scale.report_costs(costs, found)
    plot_costs(found, costs, tmp_path / "costs.png")
    plot_load({(1, 1): simulate(Setting(1, 1, 1.0, seconds=2), lambda *_: 0.01)}, tmp_path / "load.png")
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in ("costs.png", "load.png"))


def test_the_grid_holds_what_the_fit_needs() -> None:
    """All spans, cameras and sizes; every network at the default span, which the tables speak of."""
    loads = [load for some in grid(quick=False).values() for load in some]
    assert {load.delta for load in loads} == {0, 1, 2, 3}
    assert {load.cameras for load in loads} == {1, 2, 4}
    assert {load.people for load in loads} >= {1, 2, 4, 8, 16, 32}
    assert {load.network for load in loads if load.delta == 2} == {"sdtc-tiny", "sdtc-s", "sdtc-b"}


def test_few_loads_give_no_table_of_gpus(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What --quick measures is too little to go from here to a machine a thousand times as fast."""
    monkeypatch.setattr(
        scale,
        "_measured",
        lambda quick, frames: (
            [replace(s, load=replace(s.load, network="sdtc-tiny"), macs=MACS["small"]) for s in all_made()[:9]],
            hosts_made(),
        ),
    )
    monkeypatch.setattr(scale, "_soak_encodes", lambda people: 1.8)
    monkeypatch.setattr(links, "SIZES", ((160, 120),))
    assert scale.main(["--quick"]) == 0
    assert "H200" not in capsys.readouterr().out
    assert scale.main([]) == 0
    assert "| H200 (SXM) | sdtc-tiny | 989.5 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--frames", "0"], "--frames must be at least 1"),
        (["--load-plot", "nowhere/a.png"], "there is no folder nowhere"),
    ],
)
def test_wrong_arguments(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert scale.main(arguments) == 2
    assert sentence in capsys.readouterr().err
