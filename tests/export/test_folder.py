# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Where a bundle goes: what is replaced, what is kept, what is refused."""

import errno
import os
from pathlib import Path

import pytest

from export.folder import check_folder, new_bundle
from sdtc_ros.errors import BundleError, UsageError
from sdtc_ros.models.bundle import load_bundle, write_manifest


def make(out, text, data=False, refused=False):
    """Put a bundle of that content in `out`, through the door that is tested."""
    with new_bundle(out) as work:
        fill(work, text, data)
        if refused:
            raise BundleError("the graphs differ")
    return load_bundle(out)


def fill(work, text, data=False):
    names = ["encoder.onnx", "temporal.onnx"] + ["encoder.onnx.data"] * data
    for name in names:
        (work / name).write_text(f"{name} {text}")
    write_manifest(
        work, name=text, skeleton="posetrack", input_size=(48, 64), delta=2, tokens={"tokens": (12, 16)},
        mean=(0.0,) * 3, std=(1.0,) * 3,
    )  # fmt: skip


def content(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_folder_that_is_not_there_is_made(tmp_path):
    out = tmp_path / "models" / "new" / "tiny"
    assert make(out, "first").name == "first"
    assert sorted(p.name for p in out.iterdir()) == ["encoder.onnx", "model.json", "temporal.onnx"]
    assert [p.name for p in tmp_path.iterdir()] == ["models"]
    made_by_hand = tmp_path / "by-hand"
    made_by_hand.mkdir()
    assert out.stat().st_mode == made_by_hand.stat().st_mode


def test_a_bundle_is_replaced_and_other_files_stay(tmp_path):
    make(tmp_path, "first", data=True)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "engines").mkdir()
    (tmp_path / "engines" / "old.onnx").write_text("mine too")
    assert make(tmp_path, "second").name == "second"
    kept = ["engines/old.onnx", "notes.txt"]
    assert list(content(tmp_path)) == ["encoder.onnx", *kept[:1], "model.json", *kept[1:], "temporal.onnx"]
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_manifest_cannot_have_other_files_removed(tmp_path):
    bundle = tmp_path / "bundle"
    make(bundle, "first")
    (bundle / "notes.txt").write_text("mine")
    (tmp_path / "above.onnx").write_text("mine")
    manifest = (bundle / "model.json").read_text()
    more = '"files": {"notes.txt": "", "../above.onnx": "", '
    (bundle / "model.json").write_text(manifest.replace('"files": {', more))
    make(bundle, "second")
    assert (bundle / "notes.txt").exists()
    assert (tmp_path / "above.onnx").exists()


def test_a_bundle_reached_by_a_link_stays_where_it_is(tmp_path):
    make(tmp_path / "v1", "first")
    (tmp_path / "current").symlink_to("v1")
    make(tmp_path / "current", "second")
    assert (tmp_path / "current").is_symlink()
    assert load_bundle(tmp_path / "v1").name == "second"


def test_a_failure_leaves_everything_as_it_was(tmp_path):
    make(tmp_path, "first")
    (tmp_path / "notes.txt").write_text("mine")
    before = content(tmp_path)
    for out in (tmp_path, tmp_path / "a" / "b"):
        with pytest.raises(BundleError, match="differ"):
            make(out, "second", refused=True)
        assert content(tmp_path) == before
    assert not (tmp_path / "a").exists()


def test_a_full_disk_is_one_sentence(tmp_path):
    make(tmp_path, "first")
    before = content(tmp_path)
    with pytest.raises(UsageError, match="No space left on device"), new_bundle(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert content(tmp_path) == before


def test_cut_off_while_moving(tmp_path, monkeypatch):
    make(tmp_path, "first")
    replace = os.replace

    def until_temporal(source, target):
        if Path(target).name == "temporal.onnx":
            raise OSError(errno.EIO, "Input/output error")
        replace(source, target)

    monkeypatch.setattr("export.folder.os.replace", until_temporal)
    with pytest.raises(UsageError, match="Input/output error"):
        make(tmp_path, "second")
    monkeypatch.undo()
    with pytest.raises(BundleError, match="SHA-256 differs"):  # half of each is never taken for a bundle
        load_bundle(tmp_path)
    assert make(tmp_path, "third").name == "third"


def test_a_file_is_no_folder(tmp_path):
    file = tmp_path / "model.onnx"
    file.write_text("mine")
    for out in (file, file / "bundle"):
        with pytest.raises(UsageError, match=r"model\.onnx is a file"):
            check_folder(out)
    assert file.read_text() == "mine"


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="has no bundle"):
        make(tmp_path, "first")
    assert content(tmp_path) == {"notes.txt": b"mine"}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"files": 3}', '{"files": [[]]}', "\x00", pytest.param("[" * 100_000, id="deep")],
)
def test_a_model_json_of_something_else_is_left_alone(tmp_path, text):
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(UsageError, match=r"model\.json that is not a bundle's"):
        make(tmp_path, "first")
    assert content(tmp_path) == {"model.json": text.encode()}


@pytest.mark.parametrize("name", ["temporal.onnx", "model.json"])
def test_a_folder_in_a_files_place_is_left_alone(tmp_path, name):
    make(tmp_path, "first")
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    before = content(tmp_path)
    with pytest.raises(UsageError, match=name):
        make(tmp_path, "second")
    assert content(tmp_path) == before


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder in which nobody can write: /proc")
def test_a_folder_that_cannot_be_written():
    with pytest.raises(UsageError, match="cannot be written to /proc/bundle"):
        make(Path("/proc/bundle"), "first")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="Permission denied"):
        make(tmp_path / "bundle", "first")
    tmp_path.chmod(0o700)
