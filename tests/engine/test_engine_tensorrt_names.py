# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Every name of TensorRT's and pycuda's that our files use exists in the bindings that are installed.

Without a GPU nothing runs, but names can be compared: `trt.X.Y`, attributes of whatever is annotated `trt.X`, methods
of classes that derive from `trt.X`, `drv.X`. The lean bindings know the running half; the stand-ins are held to the
same, so that the tests that run with them cannot pass by names that TensorRT does not have.
"""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from sdtc_ros.engine.gpu import gpus
from sdtc_ros.engine.trt.build import make, make_logger
from sdtc_ros.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "sdtc_ros" / "engine"
OURS = {path.relative_to(ENGINE).as_posix(): path for path in sorted(ENGINE.rglob("*.py"))}
BUILDING, RUNNING = ["trt/build.py"], ["trt/device.py", "trt/graph.py"]
STAND_INS = {"fake_tensorrt.py": BUILDING, "fake_tensorrt_runtime.py": RUNNING}


class Names(ast.NodeVisitor):
    """Collects dotted names under `module` (trt.X.Y as "X.Y"), of classes' attributes too where they are annotated."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.found: set[str] = set()
        self._kinds: list[dict[str, str]] = [{}]

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        arguments = {a.arg: self._kind(a.annotation) for a in [*node.args.args, *node.args.kwonlyargs]}
        self._kinds.append({**self._kinds[-1], **arguments})
        self.generic_visit(node)
        self._kinds.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for base in node.bases:
            if kind := self._kind(base):
                public = [item.name for item in node.body if isinstance(item, ast.FunctionDef) and item.name[0] != "_"]
                self.found.update(f"{kind}.{name}" for name in public)
        whole = {}  # self.name: trt.X, wherever in the class it is annotated
        for item in ast.walk(node):
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Attribute):
                whole[ast.unparse(item.target)] = self._kind(item.annotation)
        self._kinds.append({**self._kinds[-1], **whole})
        self.generic_visit(node)
        self._kinds.pop()

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._kinds[-1][ast.unparse(node.target)] = self._kind(node.annotation)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        start, _, rest = ast.unparse(node).partition(".")
        if start == self.module and rest.replace(".", "").isidentifier():
            self.found.add(rest)
        elif kind := self._kinds[-1].get(ast.unparse(node.value)):
            self.found.add(f"{kind}.{node.attr}")
        self.generic_visit(node)

    def _kind(self, annotation: ast.expr | None) -> str:
        """X of `trt.X`, `trt.X | None`."""
        if isinstance(annotation, ast.BinOp):
            annotation = annotation.left
        text = ast.unparse(annotation) if annotation is not None else ""
        return text.removeprefix(f"{self.module}.") if text.startswith(f"{self.module}.") else ""


def names(files: list[Path], module: str = "trt") -> set[str]:
    """What the files use of the module, the longest forms only."""
    visitor = Names(module)
    for path in files:
        visitor.visit(ast.parse(path.read_text(encoding="utf-8")))
    return {name for name in visitor.found if not any(other.startswith(f"{name}.") for other in visitor.found)}


def missing(wanted: set[str], module: ModuleType) -> list[str]:
    """Those that the module lacks."""
    return sorted(name for name in wanted if not _has(module, name))


def _has(module: object, name: str) -> bool:
    for part in name.split("."):
        if not hasattr(module, part):
            return False
        module = getattr(module, part)
    return True


def bindings(name: str) -> ModuleType:
    """An installed module, or a skip that says why there is none."""
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:
        pytest.skip(f"{name} is not installed or cannot be loaded ({str(error).splitlines()[0]})")


def test_the_names_that_are_found(tmp_path: Path) -> None:
    """Annotated arguments, variables and attributes, base classes, calls on what is not annotated left alone."""
    path = tmp_path / "file.py"
    path.write_text(
        "def f(a: trt.A, b: int):\n c: trt.C | None = a.make(b)\n b.not_ours()\n return c.use(trt.D.E)\n"
        "class M(trt.Monitor):\n def __init__(self):\n  self.g: trt.G = 1\n def step(self):\n  return self.g.go\n"
        "def g(a):\n return a.not_ours(drv.Other)\n"
    )
    assert names([path]) == {"A.make", "C.use", "D.E", "Monitor.step", "G.go"}
    assert names([path], "drv") == {"Other"}


def test_our_files_are_seen_through() -> None:
    """The collector finds what a reader would, on both sides."""
    found = names([OURS[name] for name in BUILDING])
    assert {"Builder.create_network", "OnnxParser.parse", "IBuilderConfig.set_timing_cache", "ITensor.shape"} <= found
    assert {
        "BuilderFlag.TF32",
        "IProgressMonitor.step_complete",
        "NetworkDefinitionCreationFlag.STRONGLY_TYPED",
    } <= found
    found = names([OURS[name] for name in RUNNING])
    assert {"IExecutionContext.execute_async_v3", "Runtime.deserialize_cuda_engine", "nptype"} <= found


@pytest.mark.parametrize("files", [BUILDING, RUNNING], ids=["building", "running"])
def test_tensorrt_has_every_name(files: list[str]) -> None:
    """In the full bindings."""
    trt = bindings("tensorrt")
    assert missing(names([OURS[name] for name in files]), trt) == []


def test_lean_tensorrt_has_every_name_of_the_running_half() -> None:
    """The lean bindings can be had without the builder."""
    wanted = names([OURS[name] for name in RUNNING])
    assert missing(wanted, bindings("tensorrt_lean")) == []


def test_a_real_runtime_without_a_driver_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorRT 11 makes a runtime all the same, which then crashes the process: ours must not hand it out."""
    lean = bindings("tensorrt_lean")
    try:
        gpus()
    except UsageError:
        monkeypatch.setitem(sys.modules, "tensorrt", lean)
        with pytest.raises(UsageError, match="cannot start on this GPU"):
            make(lean.Runtime, make_logger())
    else:
        pytest.skip("there is a GPU")


@pytest.mark.parametrize("stand_in", STAND_INS)
def test_the_stand_ins_invent_nothing(stand_in: str) -> None:
    """Whatever the stand-ins' classes named after TensorRT's offer is there in TensorRT too."""
    trt = bindings("tensorrt")
    tree = ast.parse((ROOT / "tests" / stand_in).read_text(encoding="utf-8"))
    offered = {
        f"{kind.name}.{item.name}"
        for kind in tree.body
        if isinstance(kind, ast.ClassDef) and (ast.get_docstring(kind) or "").startswith("trt.")
        for item in kind.body
        if isinstance(item, ast.FunctionDef) and not item.name.startswith("_")
    } - {"INetworkDefinition.take"}  # the parser's way into the network
    assert len(offered) > 5
    assert missing(offered, trt) == []


def test_pycuda_has_every_name() -> None:
    """pycuda needs CUDA's toolkit to be installed, and a driver to be imported."""
    assert missing(names([OURS["trt/cuda.py"]], "drv"), bindings("pycuda.driver")) == []
