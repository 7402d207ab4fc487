# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The table of options: who offers a choice offers that one, and the documents name every word of it."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from sdtc_ros.commands import batch, demo, replay
from sdtc_ros.engine.select import EngineConfig
from sdtc_ros.errors import UsageError
from sdtc_ros.node.parameters import PARAMETERS
from sdtc_ros.options import DETECTORS, PRECISION, PROVIDER, detectors_about

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = {
    PROVIDER: ("README.md", "docs/gpu.md", "config/pose.yaml"),
    PRECISION: ("config/pose.yaml",),
}


@pytest.mark.parametrize("command", [replay, batch, demo])
@pytest.mark.parametrize("choice", [PROVIDER, PRECISION], ids=lambda choice: choice.name)
def test_commands_and_node_offer_the_tables_words(command, choice):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    (action,) = [action for action in parser._actions if action.dest == choice.name]
    assert (tuple(action.choices or ()), action.default) == (choice.words, choice.default)
    (parameter,) = [parameter for parameter in PARAMETERS if parameter.name == choice.name]
    assert (parameter.choices, parameter.default) == (choice.words, choice.default)
    assert getattr(EngineConfig(), choice.name) == choice.default


def test_a_word_that_is_none_is_refused_with_those_that_are():
    with pytest.raises(UsageError, match="unknown provider 'gpu'; choose from cpu, cuda, tensorrt, tensorrt-direct"):
        EngineConfig("gpu")
    with pytest.raises(UsageError, match="unknown precision 'fp8'; choose from auto, fp32, fp16, int8"):
        EngineConfig(precision="fp8")


@pytest.mark.parametrize("choice", DOCUMENTS, ids=lambda choice: choice.name)
def test_the_documents_name_every_word(choice):
    for name in DOCUMENTS[choice]:
        words = set(re.findall(r"[a-z0-9-]+", (ROOT / name).read_text(encoding="utf-8").lower()))
        assert set(choice.words) <= words, name


def test_detectors_are_told_in_one_sentence():
    assert detectors_about(list(DETECTORS)[:2]) == (
        "where person boxes come from: person (the detector that ships) or the path of an .onnx file (your own "
        "detector)"
    )
    (parameter,) = [parameter for parameter in PARAMETERS if parameter.name == "detector"]
    assert "topic (another process sends them" in parameter.description
