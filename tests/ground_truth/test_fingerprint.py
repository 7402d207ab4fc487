# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A fingerprint tells annotations apart, and nothing else."""

from pathlib import Path

from sdtc_ros.ground_truth.fingerprint import fingerprint


def test_equal_annotations_have_equal_fingerprints_and_others_do_not(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one.json").write_text('{"images": []}')
        (tmp_path / name / "notes.txt").write_text(name)
    first = fingerprint(tmp_path / "a")
    assert len(first) == 12
    assert first == fingerprint(tmp_path / "b")
    (tmp_path / "b" / "one.json").write_text('{"images": [1]}')
    assert first != fingerprint(tmp_path / "b")
    (tmp_path / "b" / "one.json").rename(tmp_path / "b" / "two.json")
    (tmp_path / "b" / "two.json").write_text('{"images": []}')
    assert first != fingerprint(tmp_path / "b")
