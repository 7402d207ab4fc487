# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Detection graphs of every known format, made by hand to find one white square where it is; and unknown ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from fake_bundle import make_bundle
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

from sdtc_ros.detection.boxes import usable_boxes
from sdtc_ros.detection.factory import DetectorConfig
from sdtc_ros.detection.layouts import Form, Layout
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
    path: Path,
    answers: list[np.ndarray],
    kind: int = TensorProto.FLOAT,
    shape: tuple = (1, 3, SIZE, SIZE),
    names: str = "",
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
    if names:
        helper.set_model_props(model, {"names": names})
    onnx.save(model, str(path))
    return path


def detector_of(path: Path, person_class: str = "0", **how: Any) -> OnnxDetector:
    return OnnxDetector(path, person_class=person_class, threads=1, **how)


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


def decoded() -> np.ndarray:
    """What `yolox` says, as pixels."""
    out = np.zeros((1, CELLS, 85), np.float32)
    out[0, :, :4] = 4.0  # every cell is somewhere
    out[0, 5, :6] = [*CENTRE, *SIDES, 0.9, 1.0]
    out[0, 9, :6] = [*(CENTRE + 1), *SIDES, 0.9, 0.5]
    out[0, 0, 4], out[0, 0, 7] = 1.0, 1.0
    return out


def deepstream() -> np.ndarray:
    """Corners, score and class for every cell, most of them of nothing."""
    out = np.zeros((1, CELLS, 6), np.float32)
    out[0, :3] = [[*BOX, 0.9, 0], [1, 1, 9, 9, 0.95, 2], [*BOX, 0.4, 0]]
    return out


def yolov5() -> np.ndarray:
    return np.concatenate([decoded(), np.zeros((1, 2 * CELLS, 85), np.float32)], axis=1)


LABELLED = [np.array([[[*BOX, 0.9], [1, 1, 9, 9, 0.95]]], np.float32), np.array([[0, 2]], np.int64)]
NAMES = "{0: 'car', 1: 'person'}"


@pytest.mark.parametrize(
    ("answers", "layout"),
    [
        ([yolox()], Layout.YOLOX),
        ([decoded()], Layout.YOLOX_DECODED),
        ([yolov5()], Layout.YOLOV5),
        ([yolov8()], Layout.YOLOV8),
        ([np.pad(yolov8(), ((0, 0), (0, 78), (0, 0))).transpose(0, 2, 1)], Layout.YOLOV8_ROWS),
        ([end_to_end()], Layout.END_TO_END),
        ([deepstream()], Layout.END_TO_END),
        (LABELLED, Layout.LABELLED),
    ],
    ids=lambda value: value.name if isinstance(value, Layout) else "",
)
def test_every_layout_gives_the_same_person(tmp_path: Path, answers: list[np.ndarray], layout: Layout) -> None:
    """One person of score 0.9 in image pixels; the car, the double and the weak one go."""
    detector = detector_of(graph(tmp_path / "d.onnx", answers))
    found = detector(np.zeros((256, 128, 3), np.uint8))  # scaled by 1 / 4
    assert detector._layout is layout
    np.testing.assert_allclose(found.xywh, [[32, 64, 128, 128]], rtol=1e-5)
    np.testing.assert_allclose(found.scores, [0.9], rtol=1e-5)
    assert found.xywh.dtype == found.scores.dtype == np.float32


@pytest.mark.parametrize(("names", "person"), [("['car', 'Person']", 1), ("{0: 'pedestrian', 1: 'dog'}", 0)])
def test_the_file_says_which_class_is_a_person(tmp_path: Path, names: str, person: int) -> None:
    """Two things, one of each class: only the person's box comes."""
    out = np.zeros((1, 6, CELLS), np.float32)
    out[0, :, 5], out[0, :, 6] = [20, 20, 8, 8, 0.9, 0.0], [40, 40, 8, 8, 0.0, 0.8]
    detector = OnnxDetector(graph(tmp_path / "d.onnx", [out], names=names), threads=1)
    found = detector(np.zeros((SIZE, SIZE, 3), np.uint8))
    np.testing.assert_allclose(found.scores, [0.9 if person == 0 else 0.8])


def test_several_classes_of_people(tmp_path: Path) -> None:
    out = np.zeros((1, 7, CELLS), np.float32)
    out[0, :, 5], out[0, :, 6] = [20, 20, 8, 8, 0.9, 0, 0], [40, 40, 8, 8, 0, 0, 0.8]
    path = graph(tmp_path / "d.onnx", [out], names="{0: 'pedestrian', 1: 'car', 2: 'people'}")
    assert len(OnnxDetector(path, threads=1)(np.zeros((SIZE, SIZE, 3), np.uint8))) == 2
    assert len(detector_of(path, "people")(np.zeros((SIZE, SIZE, 3), np.uint8))) == 1
    assert len(detector_of(path, "0, people")(np.zeros((SIZE, SIZE, 3), np.uint8))) == 2


@pytest.mark.parametrize(
    ("names", "said", "says"),
    [
        ("", "", "names no classes in its metadata; say which is the person with --person-class"),
        ("{0: 'cat', 1: 'dog'}", "", r"has no class of people among its 2 \(cat, dog\); say which is the person with"),
        ("{0: 'cat', 1: 'dog'}", "person", "has no class 'person': it has 2 classes"),
        ("{0: 'cat', 1: 'dog'}", "2", "has no class '2': it has 2 classes"),
        ("not Python", "", "names no classes"),
        ("{1: 'person', 2: 'dog'}", "", "names no classes"),
        ("{0: 'person'}", "", "6 numbers a cell, as YOLOv8 would for 2 classes, but its file names 1"),
    ],
)
def test_the_class_of_people_is_never_guessed(tmp_path: Path, names: str, said: str, says: str) -> None:
    with pytest.raises(BundleError, match=says):
        detector_of(graph(tmp_path / "d.onnx", [yolov8()], names=names), said)


def test_of_one_class_nothing_need_be_said(tmp_path: Path) -> None:
    path = graph(tmp_path / "d.onnx", [yolov8()[:, :5]])
    assert len(OnnxDetector(path, threads=1)(np.zeros((SIZE, SIZE, 3), np.uint8))) == 1


def rows(*filled: list[float], columns: int, count: int = CELLS) -> np.ndarray:
    out = np.zeros((1, count, columns), np.float32)
    for i, row in enumerate(filled):
        out[0, i, : len(row)] = row
    return out


@pytest.mark.parametrize(
    ("answer", "names", "says"),
    [
        (
            rows([20, 20, 8, 8, 0.5, 0.7], columns=7),
            "",
            r"may be 4 \+ 3 classes .* or 5 \+ 2 classes .* names no classes",
        ),
        (rows([20, 20, 8, 8, 0.5, 0.7], columns=9), NAMES, "and its file names 2 classes"),
        (rows([0.3, 0.3, 0.1, 0.1, 0.9], columns=84), "", r"boxes in 0\.\.1 where pixels of its input are needed"),
        (rows([0.3, 0.3, 0.1, 0.1, 0.9], columns=CELLS, count=84).transpose(0, 2, 1)[:, :6], "", "which are no pixels"),
        (yolox()[..., :8], NAMES, "8 numbers a cell, as YOLOX would for 3 classes, but its file names 2"),
        (yolov8()[:, :1].repeat(85, axis=1), "", "85 numbers a cell, 4 .* 81 classes or an objectness too many"),
    ],
)
def test_a_layout_that_cannot_be_told_is_refused(tmp_path: Path, answer: np.ndarray, names: str, says: str) -> None:
    with pytest.raises(BundleError, match=says):
        detector_of(graph(tmp_path / "d.onnx", [answer], names=names))


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (
            [0.2, 0.2, 0.4, 0.6, 0.9, 0],
            r"taken for corners, score and class and then gives boxes that cannot be, 1 of 1",
        ),
        (
            [10, 10, 4e9, 60, 0.9, 0],
            r"boxes that cannot be, 1 of 1 \(one of 4e\+09 x 50 pixels at 10, 10, scored 0\.9\)",
        ),
        ([8, 16, 40, 48, 3.7, 0], r"scored 3\.7\).*scores without a sigmoid"),
        ([8, 16, np.nan, 48, 0.9, 0], "boxes that cannot be, 1 of 1"),
    ],
)
def test_first_boxes_that_cannot_be_are_refused(tmp_path: Path, row: list[float], says: str) -> None:
    detector = detector_of(graph(tmp_path / "d.onnx", [np.array([[row]], np.float32)]))
    with pytest.raises(BundleError, match=says):
        detector(np.zeros((SIZE, SIZE, 3), np.uint8))


def test_more_people_than_there_can_be_are_refused(tmp_path: Path) -> None:
    x, y = np.mgrid[:20, :20].reshape(2, 400) * 3.2
    out = np.stack([x, y, x + 3, y + 3, np.full(400, 0.9), np.zeros(400)], axis=1)[None].astype(np.float32)
    detector = detector_of(graph(tmp_path / "d.onnx", [out]))
    with pytest.raises(BundleError, match=r"and then gives 400 people in one image: it is of another layout"):
        detector(np.zeros((SIZE, SIZE, 3), np.uint8))


def test_a_single_impossible_box_later_is_left_to_the_pipeline(tmp_path: Path) -> None:
    """The graph is sound by then; the pipeline drops the box and counts it."""
    answer = np.array([[[*BOX, 0.9, 0], [4, 4, 12, 12, 0.8, 0], [5, 5, 1e9, 9, 0.7, 0]]], np.float32)
    found = detector_of(graph(tmp_path / "d.onnx", [answer]))(np.zeros((SIZE, SIZE, 3), np.uint8))
    assert len(found) == 3
    kept, dropped = usable_boxes(found, (SIZE, SIZE))
    assert (len(kept), dropped) == (2, 1)


@pytest.mark.parametrize(("wants", "form"), [(0.0, Form.BGR_NORMALISED), (120.0, Form.BGR_255)])
def test_whether_pixels_are_to_be_normalised_is_found_by_trying(tmp_path: Path, wants: float, form: Form) -> None:
    """A graph whose score is 1 where the mean of its input is `wants`, and falls off with the distance."""
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
        helper.make_node("Sub", ["mean", "wants"], ["off"]),
        helper.make_node("Abs", ["off"], ["distance"]),
        helper.make_node("Neg", ["distance"], ["closeness"]),
        helper.make_node("Exp", ["closeness"], ["score"]),
        helper.make_node("Reshape", ["score", "one"], ["column"]),
        helper.make_node("Concat", ["box", "column"], ["dets"], axis=2),
        helper.make_node("Identity", ["zero"], ["labels"]),
    ]
    values = {
        "wants": np.array(wants, np.float32), "one": np.array([1, 1, 1], np.int64),
        "box": BOX.reshape(1, 1, 4).astype(np.float32), "zero": np.zeros((1, 1), np.int64),
    }  # fmt: skip
    model = helper.make_model(
        helper.make_graph(
            nodes, "norm", [helper.make_tensor_value_info("images", TensorProto.FLOAT, (1, 3, SIZE, SIZE))],
            [
                helper.make_tensor_value_info("dets", TensorProto.FLOAT, (1, 1, 5)),
                helper.make_tensor_value_info("labels", TensorProto.INT64, (1, 1)),
            ],
            [numpy_helper.from_array(value, name) for name, value in values.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=9,
    )  # fmt: skip
    onnx.save(model, str(tmp_path / "d.onnx"))
    detector = detector_of(tmp_path / "d.onnx")
    assert len(detector(np.full((SIZE, SIZE, 3), 255, np.uint8))) == 0
    assert detector._form is None  # nobody there yet: undecided
    image = np.full((SIZE, SIZE, 3), (104, 116, 124) if wants == 0 else 120, np.uint8)
    np.testing.assert_allclose(detector(image).xywh, [[8, 16, 32, 32]], atol=1e-4)
    assert detector._form is form


def echo(path: Path, fields: int, kind: int) -> Path:
    """A graph whose answer depends on its input: rows made of mean colours of the image's top left 8 x 8 pixels."""
    nodes = [
        helper.make_node("Cast", ["images"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Slice", ["real", "from", "to", "axes"], ["corner"]),
        helper.make_node("ReduceMean", ["corner", "plane"], ["colour"], keepdims=0),
        helper.make_node("Mul", ["colour", "ten"], ["tens"]),
        helper.make_node("Reshape", ["tens", "row"], ["rows"]),
        helper.make_node("Pad", ["rows", "pads"], ["padded"]),
        helper.make_node("Add", ["padded", "offset"], ["out"]),
    ]
    offset = np.zeros((1, 1, 6), np.float32)
    offset[0, 0, 2:5] = 20, 50, 0.9
    values = {
        "from": np.array([0, 0], np.int64), "to": np.array([8, 8], np.int64), "axes": np.array([2, 3], np.int64),
        "plane": np.array([2, 3], np.int64), "ten": np.array(10, np.float32), "row": np.array([1, 1, 3], np.int64),
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
    """An end-to-end graph that answers the colour it saw: ten times red, green in x and y, blue in the right edge."""
    detector = detector_of(echo(tmp_path / "d.onnx", 6, kind))
    image = np.full((SIZE, SIZE, 3), (51, 102, 255), np.uint8)
    np.testing.assert_allclose(detector(image).xywh, [[10, 4, 12, 46]], atol=0.01)


def test_an_open_input_size_takes_the_one_given(tmp_path: Path) -> None:
    detector = detector_of(graph(tmp_path / "d.onnx", [end_to_end()], shape=(1, 3, "h", "w")), size=(96, 64))
    np.testing.assert_allclose(detector(np.zeros((128, 192, 3), np.uint8)).xywh, [[16, 32, 64, 64]])


@pytest.mark.parametrize("shape", [(1, 25200, 85), (1, 3, 8, 8), (10, 4), (1, 100, 7)])
def test_unknown_outputs_are_named(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = graph(tmp_path / "d.onnx", [np.zeros(shape, np.float32)])
    with pytest.raises(BundleError, match="gives outputs of shapes .* none of 1 x 84 x") as caught:
        detector_of(path)
    assert str(shape) in str(caught.value)


def test_files_that_are_no_detectors(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="does not exist"):
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
    detector_of(graph(tmp_path / "d.onnx", [end_to_end()]), provider=provider, allow_cpu=allowed)
    said = "detector 'd.onnx' runs on the CPU: ONNX Runtime cannot use provider 'cuda' here"
    assert caplog.messages == ([] if provider == "cpu" else [said])


def test_a_run_that_fails_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one, by which the format is found, speaks of the file; a later one of the device."""
    path = graph(tmp_path / "d.onnx", [end_to_end()])
    detector = detector_of(path)

    def fail(*_: object) -> None:
        raise RuntimeException("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : no luck\nat node.cc")

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", fail)
    with pytest.raises(UsageError, match="^provider 'cpu' failed: .* no luck$"):
        detector(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(BundleError, match="^detector '.*d.onnx' cannot be run: provider 'cpu' failed: .* no luck$"):
        detector_of(path)


def test_a_replay_gives_the_detector_what_the_engine_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the CPU is allowed for the model it is for the detector too; and it takes no more threads."""
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    path = graph(tmp_path / "d.onnx", [end_to_end()])
    bundle = make_bundle(tmp_path / "bundle")
    engine = EngineConfig("cuda", "auto", 3, allow_cpu=True)
    options = ReplayOptions(tmp_path, tmp_path / "out", model=bundle.folder, detector=str(path), engine=engine)
    options = replace(options, detection=DetectorConfig(person_class="0"))
    made: list[OnnxDetector] = []

    def from_bundle(*_: object, detector: OnnxDetector, **__: object) -> None:
        made.append(detector)

    monkeypatch.setattr(Pipeline, "from_bundle", from_bundle)
    run._pipeline(options)
    assert made[0]._session.get_providers() == ["CPUExecutionProvider"]
    assert made[0]._session.get_session_options().intra_op_num_threads == 3
