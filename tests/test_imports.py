# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Who imports whom inside the package, imports for type checkers included: no circle, and nothing from above."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "sdtc_ros").rglob("*.py")
}


@cache
def imports(path: Path) -> set[str]:
    """The modules that a file imports, anywhere in it; of a package's own names, the module they are."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{path}: a relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in FILES else node.module for name in names}
    return found


def circle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_a_circle_is_found() -> None:
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == {"a", "b", "c"}


def test_no_circle_of_imports() -> None:
    assert len(FILES) > 50
    graph = {name: {other for other in imports(path) if other in FILES} for name, path in FILES.items()}
    assert "sdtc_ros.pipeline.pipeline" in graph["sdtc_ros.node.stream"]
    assert not circle(graph)


def room(name: str) -> str:
    """The folder of a module, or the module where it stands beside the folders."""
    return name.split(".")[1] if "." in name else name


def test_rooms_import_one_way() -> None:
    """No two folders need each other."""
    pairs = {(room(name), room(other)) for name, path in FILES.items() for other in imports(path) if other in FILES}
    both = {tuple(sorted(pair)) for pair in pairs if pair[0] != pair[1] and pair[::-1] in pairs}
    assert not both


def test_the_robot_needs_nothing_of_training_and_ros_in_the_node_alone() -> None:
    above = {"torch", "lightning", "training", "export", "benchmarks"}
    for name, path in FILES.items():
        live = name.split(".")[1:2] in (["node"], ["tools"])
        found = {module.partition(".")[0] for module in imports(path)}
        assert not found & (above if live else above | {"rclpy"}), name
