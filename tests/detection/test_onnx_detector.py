# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Detection graphs of every known format, made by hand to find one white square where it is; and unknown ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from fake_bundle import make_bundle
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

from sdtc_ros.detection.onnx import OnnxDetector
from sdtc_ros.engine.select import EngineConfig
from sdtc_ros.errors import BundleError, UsageError
from sdtc_ros.pipeline.pipeline import Pipeline
from sdtc_ros.replay import run
from sdtc_ros.replay.run import ReplayOptions

SIZE = 64  # the graphs' input; 8 x 8 + 4 x 4 + 2 x 2 cells
CELLS = 84
BOX = np.array([8.0, 16.0, 40.0, 48.0])  # corners in input pixels
CENTRE, SIDES = (BOX[:2] + BOX[2:]) / 2, BOX[2:] - BOX[:2]


def graph(
    path: Path, answers: list[np.ndarray], kind: int = TensorProto.FLOAT, shape: tuple = (1, 3, SIZE, SIZE)
) -> Path:
    """A graph that answers constants, whatever it is shown."""
    nodes, outputs, values = [], [], []
    for i, answer in enumerate(answers):
        values.append(numpy_helper.from_array(answer, f"value{i}"))
        nodes.append(helper.make_node("Identity", [f"value{i}"], [f"out{i}"]))
        outputs.append(
            helper.make_tensor_value_info(f"out{i}", helper.np_dtype_to_tensor_dtype(answer.dtype), answer.shape)
        )
    nodes.append(helper.make_node("Identity", ["images"], ["seen"]))  # keeps the input in use
    inputs = [helper.make_tensor_value_info("images", kind, shape)]
    model = helper.make_model(
        helper.make_graph(nodes, "detector", inputs, outputs, values),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=9,
    )  # fmt: skip
    onnx.save(model, str(path))
    return path


def yolox() -> np.ndarray:
    """A person in cell (3, 4) of stride 8, a doubled one in stride 16, and a sure car."""
    out = np.zeros((1, CELLS, 85), np.float32)
    for row, stride, x, y in ((4 * 8 + 3, 8, 3, 4), (64 + 2 * 4 + 1, 16, 1, 2)):
        out[0, row, :2] = CENTRE / stride - [x, y]
        out[0, row, 2:4] = np.log(SIDES / stride)
        out[0, row, 4:6] = 0.9, 0.5 if stride == 16 else 1.0
    out[0, 0, 2:4], out[0, 0, 4], out[0, 0, 7] = 1.0, 1.0, 1.0
    return out


def yolov8() -> np.ndarray:
    out = np.zeros((1, 6, CELLS), np.float32)
    out[0, :, 5] = [*CENTRE, *SIDES, 0.9, 0.0]
    out[0, :, 6] = [*(CENTRE + 1), *SIDES, 0.6, 0.0]
    out[0, :, 7] = [5, 5, 4, 4, 0.0, 0.99]
    return out


def end_to_end() -> np.ndarray:
    return np.array([[[*BOX, 0.9, 0], [1, 1, 9, 9, 0.95, 2], [*BOX, 0.1, 0]]], np.float32)


LABELLED = [np.array([[[*BOX, 0.9], [1, 1, 9, 9, 0.95]]], np.float32), np.array([[0, 2]], np.int64)]


@pytest.mark.parametrize(
    "answers", [[yolox()], [yolov8()], [end_to_end()], LABELLED], ids=["yolox", "yolov8", "end to end", "labelled"]
)
def test_every_format_gives_the_same_person(tmp_path: Path, answers: list[np.ndarray]) -> None:
    """One person of score 0.9 in image pixels; the car, the double and the weak one go."""
    detector = OnnxDetector(graph(tmp_path / "d.onnx", answers), threads=1)
    found = detector(np.zeros((256, 128, 3), np.uint8))  # scaled by 1 / 4
    np.testing.assert_allclose(found.xywh, [[32, 64, 128, 128]], rtol=1e-5)
    np.testing.assert_allclose(found.scores, [0.9], rtol=1e-5)
    assert found.xywh.dtype == found.scores.dtype == np.float32


def echo(path: Path, fields: int, kind: int) -> Path:
    """A graph whose answer depends on its input: rows made of mean colours of the image's top left 8 x 8 pixels."""
    nodes = [
        helper.make_node("Cast", ["images"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Slice", ["real", "from", "to", "axes"], ["corner"]),
        helper.make_node("ReduceMean", ["corner", "plane"], ["colour"], keepdims=0),
        helper.make_node("Reshape", ["colour", "row"], ["rows"]),
        helper.make_node("Pad", ["rows", "pads"], ["padded"]),
        helper.make_node("Add", ["padded", "offset"], ["out"]),
    ]
    offset = np.zeros((1, 1, 6), np.float32)
    offset[0, 0, 3:5] = 100, 0.9
    values = {
        "from": np.array([0, 0], np.int64), "to": np.array([8, 8], np.int64), "axes": np.array([2, 3], np.int64),
        "plane": np.array([2, 3], np.int64), "row": np.array([1, 1, 3], np.int64),
        "pads": np.array([0, 0, 0, 0, 0, 3], np.int64), "offset": offset,
    }  # fmt: skip
    model = helper.make_model(
        helper.make_graph(
            nodes, "echo", [helper.make_tensor_value_info("images", kind, (1, 3, SIZE, SIZE))],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, (1, 1, fields))],
            [numpy_helper.from_array(value, name) for name, value in values.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)], ir_version=9,
    )  # fmt: skip
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16])
def test_the_image_arrives_as_rgb_in_0_to_1(tmp_path: Path, kind: int) -> None:
    """An end-to-end graph that answers the colour it saw: red, green in x and y, blue in the right edge."""
    detector = OnnxDetector(echo(tmp_path / "d.onnx", 6, kind), threads=1)
    image = np.full((SIZE, SIZE, 3), (51, 102, 255), np.uint8)
    x, y, w, _ = detector(image).xywh[0]
    np.testing.assert_allclose([x, y, w + x], [1.0, 0.4, 0.2], atol=1e-3)


def test_an_open_input_size_takes_the_one_given(tmp_path: Path) -> None:
    detector = OnnxDetector(
        graph(tmp_path / "d.onnx", [end_to_end()], shape=(1, 3, "h", "w")), size=(96, 64), threads=1
    )
    np.testing.assert_allclose(detector(np.zeros((128, 192, 3), np.uint8)).xywh, [[16, 32, 64, 64]])


@pytest.mark.parametrize("shape", [(1, 25200, 85), (1, 3, 8, 8), (10, 4), (1, 100, 7)])
def test_unknown_outputs_are_named(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = graph(tmp_path / "d.onnx", [np.zeros(shape, np.float32)])
    with pytest.raises(BundleError, match="gives outputs of shapes .* none of 1 x 84 x") as caught:
        OnnxDetector(path, threads=1)
    assert str(shape) in str(caught.value)


def test_files_that_are_no_detectors(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is not there"):
        OnnxDetector(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(BundleError, match="cannot be loaded"):
        OnnxDetector(tmp_path / "text.onnx")
    wrong = graph(tmp_path / "d.onnx", [end_to_end()], kind=TensorProto.UINT8)
    with pytest.raises(BundleError, match="it must take one, 1 x 3 x H x W of floats"):
        OnnxDetector(wrong)


@pytest.mark.parametrize(("provider", "allowed"), [("tensorrt-direct", False), ("cuda", True), ("cpu", True)])
def test_that_the_cpu_takes_a_gpus_place_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, provider: str, allowed: bool
) -> None:
    """TensorRT itself runs no detector, so with it nobody has to allow the CPU; it is told all the same."""
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    OnnxDetector(graph(tmp_path / "d.onnx", [end_to_end()]), provider, threads=1, allow_cpu=allowed)
    said = "detector 'd.onnx' runs on the CPU: ONNX Runtime cannot use provider 'cuda' here"
    assert caplog.messages == ([] if provider == "cpu" else [said])


def test_a_run_that_fails_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one, by which the format is found, speaks of the file; a later one of the device."""
    path = graph(tmp_path / "d.onnx", [end_to_end()])
    detector = OnnxDetector(path, threads=1)

    def fail(*_: object) -> None:
        raise RuntimeException("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : no luck\nat node.cc")

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", fail)
    with pytest.raises(UsageError, match="^provider 'cpu' failed: .* no luck$"):
        detector(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(BundleError, match="^detector '.*d.onnx' cannot be run: provider 'cpu' failed: .* no luck$"):
        OnnxDetector(path, threads=1)


def test_a_replay_gives_the_detector_what_the_engine_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the CPU is allowed for the model it is for the detector too; and it takes no more threads."""
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    path = graph(tmp_path / "d.onnx", [end_to_end()])
    bundle = make_bundle(tmp_path / "bundle")
    engine = EngineConfig("cuda", "auto", 3, allow_cpu=True)
    options = ReplayOptions(tmp_path, tmp_path / "out", model=bundle.folder, detector=str(path), engine=engine)
    made: list[OnnxDetector] = []

    def from_bundle(*_: object, detector: OnnxDetector, **__: object) -> None:
        made.append(detector)

    monkeypatch.setattr(Pipeline, "from_bundle", from_bundle)
    run._pipeline(options)
    assert made[0]._session.get_providers() == ["CPUExecutionProvider"]
    assert made[0]._session.get_session_options().intra_op_num_threads == 3
