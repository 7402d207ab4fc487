# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Bundles: what is written is read back, and every way of being wrong has its one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_bundle import make_bundle

from sdtc_ros.bundle import load_bundle
from sdtc_ros.errors import BundleError


def _edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((folder / "model.json").read_text())
    change(manifest)
    (folder / "model.json").write_text(json.dumps(manifest))


def test_written_manifest_is_read_back(tmp_path: Path) -> None:
    """Every field survives, and the hash depends on the files' content alone."""
    bundle = make_bundle(tmp_path / "a")
    assert (bundle.name, bundle.skeleton.name, bundle.input_size, bundle.delta) == ("fake", "posetrack", (24, 32), 2)
    assert bundle.tokens == {"tokens": (4, 3)}
    assert set(bundle.files) == {"encoder.onnx", "temporal.onnx"}
    assert load_bundle(tmp_path / "a") == bundle
    _edit(tmp_path / "a", lambda m: m.update(accuracy={"AP": 1.0}))
    assert load_bundle(tmp_path / "a").bundle_hash == bundle.bundle_hash
    assert make_bundle(tmp_path / "b", size=(48, 64)).bundle_hash != bundle.bundle_hash


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda m: m.update(format=2), "newer than 1: install a newer sdtc_ros"),
        (lambda m: m.update(format="1"), "no valid format version"),
        (lambda m: m.pop("delta"), "lacks the key 'delta'"),
        (lambda m: m.update(delta="2"), "'delta' has a value of the wrong type"),
        (lambda m: m.update(delta=True), "'delta' has a value of the wrong type"),
        (lambda m: m.update(delta=-1), "'delta' has the value -1"),
        (lambda m: m.update(input_size=[192]), r"'input_size' has the value \[192\]"),
        (lambda m: m.update(input_size=[192, "256"]), "'input_size' has the value"),
        (lambda m: m.update(channel_order="rgb"), "'channel_order' has the value 'rgb'"),
        (lambda m: m.update(decode="argmax"), "'decode' has the value 'argmax'"),
        (lambda m: m.update(tokens={}), "'tokens' has the value"),
        (lambda m: m.update(skeleton="octopus"), "skeleton 'octopus' is not known; known are posetrack, hieve, coco"),
        (lambda m: m["files"].update({"../secret": "0"}), "'files' has the value"),
        (lambda m: m["files"].pop("temporal.onnx"), "lists no temporal.onnx"),
        (lambda m: m["files"].update({"weights.onnx.data": "0"}), "lacks its file weights.onnx.data"),
        (lambda m: m["files"].update({"encoder.onnx": "0" * 64}), "encoder.onnx' is not the file that model.json"),
    ],
)
def test_wrong_manifests(tmp_path: Path, change: Callable[[dict[str, Any]], object], sentence: str) -> None:
    """One sentence each, naming the bundle."""
    make_bundle(tmp_path)
    _edit(tmp_path, change)
    with pytest.raises(BundleError, match=sentence) as caught:
        load_bundle(tmp_path)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_wrong_folders(tmp_path: Path) -> None:
    """A folder that is missing, empty, without its graphs, or whose manifest is cut off."""
    with pytest.raises(BundleError, match="is not a folder"):
        load_bundle(tmp_path / "nowhere")
    with pytest.raises(BundleError, match="is not a model bundle: it holds no model.json"):
        load_bundle(tmp_path)
    make_bundle(tmp_path)
    (tmp_path / "encoder.onnx").unlink()
    with pytest.raises(BundleError, match="lacks its file encoder.onnx"):
        load_bundle(tmp_path)
    text = (tmp_path / "model.json").read_text()
    (tmp_path / "model.json").write_text(text[: len(text) // 2])
    with pytest.raises(BundleError, match="cannot be read"):
        load_bundle(tmp_path)
    (tmp_path / "model.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BundleError, match="cannot be read"):
        load_bundle(tmp_path)
    (tmp_path / "model.json").write_text("[1]")
    with pytest.raises(BundleError, match="is no JSON object"):
        load_bundle(tmp_path)


def test_one_changed_byte_is_found(tmp_path: Path) -> None:
    """The hash of the file that was changed is the one that is complained of."""
    make_bundle(tmp_path)
    data = bytearray((tmp_path / "temporal.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "temporal.onnx").write_bytes(data)
    with pytest.raises(BundleError, match="temporal.onnx' is not the file that model.json describes"):
        load_bundle(tmp_path)
