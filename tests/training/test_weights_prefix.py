# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""State dicts that DataParallel wrote: refused with the reason, read after the prefix is taken off."""

from __future__ import annotations

import pytest
import torch

from sdtc_ros.errors import BundleError
from training.checkpoint import read_checkpoint
from training.weights.__main__ import main
from training.weights.files import read_weights


def test_plain_weights(tmp_path, capsys):
    state = {"module.backbone.x": torch.ones(2), "module.head.module.y": torch.zeros(3)}
    torch.save({"state_dict": state}, tmp_path / "a.pth")
    with pytest.raises(BundleError, match="every name begins with 'module.'.* strip .*a.pth --to FILE"):
        read_weights(tmp_path / "a.pth")
    assert main(["show", str(tmp_path / "a.pth")]) == 4
    said = capsys.readouterr().err
    assert "every name begins with 'module.'" in said
    assert said.rstrip().endswith("a.pth --to FILE")
    assert main(["strip", str(tmp_path / "a.pth"), "--to", str(tmp_path / "b.pth")]) == 0
    assert sorted(read_weights(tmp_path / "b.pth")[0]) == ["backbone.x", "head.module.y"]
    assert main(["strip", str(tmp_path / "b.pth"), "--to", str(tmp_path / "c.pth")]) == 4
    assert "nothing to take off" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["module.network.x", "network.module.x"])
def test_a_checkpoint_of_ours(tmp_path, name):
    torch.save({"sdtc_ros": {"format": 1}, "state_dict": {name: torch.ones(2)}}, tmp_path / "a.ckpt")
    with pytest.raises(BundleError, match="every name begins with 'module.'"):
        read_checkpoint(tmp_path / "a.ckpt")
    assert main(["strip", str(tmp_path / "a.ckpt"), "--to", str(tmp_path / "b.ckpt")]) == 0
    assert list(read_checkpoint(tmp_path / "b.ckpt")["state_dict"]) == ["network.x"]
