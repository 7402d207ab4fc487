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

import onnx
import pytest
from fake_bundle import make_bundle

from sdtc_ros.errors import BundleError
from sdtc_ros.models.bundle import Bundle, load_bundle, read_manifest, save_manifest
from sdtc_ros.models.bundle_files import file_hash


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


def test_moves_make_another_bundle_that_older_versions_refuse(tmp_path: Path) -> None:
    plain, bundle = make_bundle(tmp_path / "a"), make_bundle(tmp_path / "b", moves=True)
    assert load_bundle(tmp_path / "b") == bundle and bundle.moves and not plain.moves
    assert [json.loads((one.folder / "model.json").read_text())["format"] for one in (plain, bundle)] == [1, 2]
    assert bundle.bundle_hash != plain.bundle_hash


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda m: m.update(format=3), "newer than 2: install a newer sdtc_ros"),
        (lambda m: m.update(moves="yes"), "'moves' has the value 'yes'"),
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
        (lambda m: m.update(skeleton="octopus"), "unknown skeleton 'octopus'; choose from posetrack, hieve, coco"),
        (lambda m: m["files"].update({"../secret": "0"}), "'files' has the value"),
        (lambda m: m["files"].pop("temporal.onnx"), "lists no temporal.onnx"),
        (lambda m: m["files"].update({"weights.onnx.data": "0"}), "lacks its file weights.onnx.data"),
        (lambda m: m["files"].update({"encoder.onnx": "0" * 64}), "encoder.onnx' does not match model.json"),
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
    with pytest.raises(BundleError, match="is not a model bundle: it has no model.json"):
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
    with pytest.raises(BundleError, match="is not a JSON object"):
        load_bundle(tmp_path)


def _with_precision(folder: Path) -> Bundle:
    """A bundle whose FP16 graphs are copies."""
    make_bundle(folder)
    for name in ("encoder", "temporal"):
        (folder / f"{name}.fp16.onnx").write_bytes((folder / f"{name}.onnx").read_bytes())
    entry = {"encoder": "encoder.fp16.onnx", "temporal": "temporal.fp16.onnx", "drift": {"p99": 0.5}}
    return save_manifest(folder, read_manifest(folder), {"fp16": entry})


def test_a_bundle_with_other_precisions(tmp_path: Path) -> None:
    """Its graphs are found by precision; what identifies the model does not change with them."""
    plain = make_bundle(tmp_path / "plain")
    bundle = _with_precision(tmp_path / "both")
    assert load_bundle(bundle.folder) == bundle
    assert bundle.graphs() == bundle.graphs("fp32") == (bundle.encoder, bundle.temporal)
    assert bundle.graphs("fp16") == (bundle.folder / "encoder.fp16.onnx", bundle.folder / "temporal.fp16.onnx")
    assert bundle.precisions["fp16"].deviation == {"p99": 0.5}
    assert bundle.files_of("fp16") == ["encoder.fp16.onnx", "temporal.fp16.onnx"]
    assert bundle.bundle_hash == plain.bundle_hash == bundle.hash_of("fp32")
    assert bundle.hash_of("fp16") != bundle.bundle_hash
    assert plain.precisions == {}
    with pytest.raises(BundleError, match="has no graphs in int8, but in fp32, fp16; `python -m export add"):
        bundle.graphs("int8")
    (bundle.folder / "temporal.fp16.onnx").write_bytes(b"other")
    with pytest.raises(BundleError, match="temporal.fp16.onnx' does not match"):
        load_bundle(bundle.folder)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (["fp16"], "'precisions' has a value of the wrong type"),
        ({"fp16": "encoder.onnx"}, "'precisions' has a value of the wrong type"),
        ({"fp16": {"encoder": "encoder.onnx"}}, "'precisions' has a value of the wrong type"),
        ({"fp16": {"encoder": 1, "temporal": "temporal.onnx"}}, "'precisions' has a value of the wrong type"),
        ({"fp16": {"encoder": "encoder.onnx", "temporal": "temporal.onnx", "drift": 3}}, "wrong type"),
        ({"fp16": {"encoder": "encoder.fp16.onnx", "temporal": "temporal.onnx"}}, "lists no encoder.fp16.onnx among"),
        ({"fp16": {"encoder": "../encoder.onnx", "temporal": "temporal.onnx"}}, r"lists no \.\./encoder.onnx among"),
    ],
)
def test_wrong_precisions(tmp_path: Path, value: Any, sentence: str) -> None:
    """One sentence each; a graph that is not listed, and so has no hash, is none of the bundle's."""
    make_bundle(tmp_path)
    _edit(tmp_path, lambda manifest: manifest.update(precisions=value))
    with pytest.raises(BundleError, match=sentence):
        load_bundle(tmp_path)


@pytest.mark.parametrize("location", ["weights.bin", "encoder.onnx.data", "n" * 200])
def test_weights_in_a_file_without_a_hash(tmp_path: Path, location: str) -> None:
    """A graph may read no file that model.json does not list, whatever its name; other files beside it are nobody's."""
    make_bundle(tmp_path)
    model = onnx.load(tmp_path / "encoder.onnx")
    onnx.save_model(model, tmp_path / "encoder.onnx", save_as_external_data=True, location=location, size_threshold=0)
    (tmp_path / "notes.onnx.data").write_text("mine")
    _edit(tmp_path, lambda m: m["files"].update({"encoder.onnx": file_hash(tmp_path / "encoder.onnx")}))
    with pytest.raises(BundleError, match=f"encoder.onnx' has weights in a file {location}, which model.json does not"):
        load_bundle(tmp_path)
    _edit(tmp_path, lambda m: m["files"].update({location: file_hash(tmp_path / location)}))
    assert location in load_bundle(tmp_path).files


def test_one_changed_byte_is_found(tmp_path: Path) -> None:
    """The hash of the file that was changed is the one that is complained of."""
    make_bundle(tmp_path)
    data = bytearray((tmp_path / "temporal.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "temporal.onnx").write_bytes(data)
    with pytest.raises(BundleError, match="temporal.onnx' does not match model.json"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("key", ["training", "accuracy", "parity"])
@pytest.mark.parametrize("value", [1.5, None, [], "x"])
def test_prose_that_is_no_object_is_refused(tmp_path, key, value):
    folder = make_bundle(tmp_path / "model").folder
    manifest = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(manifest | {key: value}))
    with pytest.raises(BundleError, match=f"'{key}' has a value of the wrong type"):
        load_bundle(folder)
