# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a launch file reads of a file of parameters: the sections that rclpy would read for the same node."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdtc_ros.errors import UsageError
from sdtc_ros.node.params_file import node_name, parameters_in

# what rclpy (Jazzy) was seen to take from it: for /n of a, b, c, e; for /ns/n of a, d, e, f, g, h
FILE = """
/**: {ros__parameters: {a: 1, z: any}}
n: {ros__parameters: {b: 1}}
/n: {ros__parameters: {c: 1}}
/*/n: {ros__parameters: {d: 1, z: star}}
/**/n: {ros__parameters: {e: 1}}
/ns/n: {ros__parameters: {f: 1, z: own}}
ns: {n: {ros__parameters: {g: 1}}}
ns/n: {ros__parameters: {h: 1}}
other: {ros__parameters: {i: 1}}
"""


@pytest.mark.parametrize(
    ("node", "names", "last"), [("/n", "abce", "any"), ("/ns/n", "adefgh", "own"), ("/far/ns/n", "ae", "any")]
)
def test_the_sections_of_the_node_are_read_and_the_last_counts(
    tmp_path: Path, node: str, names: str, last: str
) -> None:
    path = tmp_path / "parameters.yaml"
    path.write_text(FILE)
    assert parameters_in(path, node) == dict.fromkeys(names, 1) | {"z": last}


@pytest.fixture(autouse=True)
def yaml() -> None:
    pytest.importorskip("yaml")


def test_the_last_counts_though_it_is_the_more_general(tmp_path: Path) -> None:
    path = tmp_path / "parameters.yaml"
    path.write_text("/n: {ros__parameters: {a: 1, b: 1}}\n/**: {ros__parameters: {a: 2}}\n")
    assert parameters_in(path, "/n") == {"a": 2, "b": 1}


@pytest.mark.parametrize("content", ["", "[]", "/**:", "/**: {ros__parameters: }", "/**: {a: 1}"])
def test_a_file_without_parameters_has_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "parameters.yaml"
    path.write_text(content)
    assert parameters_in(path, "/n") == {}


def test_a_file_that_cannot_be_read_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "parameters.yaml"
    with pytest.raises(UsageError, match=r"params_file '.*' does not exist"):
        parameters_in(path, "/n")
    path.write_text("/**: {ros__parameters: [")
    with pytest.raises(UsageError, match=r"params_file '.*' cannot be read: while parsing a flow") as refusal:
        parameters_in(path, "/n")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ({}, "/sdtc_pose"),
        ({"name": "eyes", "namespace": "front/"}, "/front/eyes"),
        ({"namespace": "front", "ros_namespace": "/robot"}, "/robot/front/sdtc_pose"),
        ({"namespace": "/front", "ros_namespace": "/robot"}, "/front/sdtc_pose"),
    ],
)
def test_a_nodes_full_name(given: dict[str, str], full: str) -> None:
    assert node_name(given) == full
