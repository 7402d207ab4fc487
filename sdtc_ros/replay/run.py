# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Replay: a bag, a video or a folder of frames through the pipeline, and everything it leaves behind.

Frames are read, processed and written one at a time, so memory does not grow with the input's length. However a
replay ends (damage, Ctrl-C, a defect), what was processed until then is on disk and readable.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter

from sdtc_ros.detection.factory import DetectorConfig, is_detector, make_detector
from sdtc_ros.engine.select import EngineConfig
from sdtc_ros.errors import InputError, UsageError
from sdtc_ros.evaluate.replays import measure
from sdtc_ros.ground_truth.truth import Truth, read_truth
from sdtc_ros.io.boxes_file import BoxTable, external_boxes
from sdtc_ros.io.sources import Excerpt, Source, open_source
from sdtc_ros.models.bundle import default_bundle
from sdtc_ros.options import BOXES, PERSON, TRUTH
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig
from sdtc_ros.pipeline.rotation import Rotation
from sdtc_ros.replay.guard import StopRequest, collected_warnings, stop_requests
from sdtc_ros.replay.lifting import DepthOptions, ReplayLifting
from sdtc_ros.replay.outputs import EVALUATION, REPORT, Outputs, OutputsFullError, Wanted, prepare_folder
from sdtc_ros.replay.progress import Progress
from sdtc_ros.replay.result import Record, ReplayResult
from sdtc_ros.replay.statistics import RunStatistics


@dataclass(frozen=True)
class ReplayOptions:
    """What to replay and how; see `python -m sdtc_ros replay --help`.

    detector: 'person', the one that ships, 'truth', an .onnx file, or a .json file of boxes; detection: settings of the
    first and the third; fps: of a folder, or in place of a video's own; protocol: evaluate's, None for the truth's own;
    depth: where joints in metres come from;
    rotate: the degrees clockwise that turn the images upright (results stay in the images as they are).
    """

    source: Path
    out: Path
    model: Path | None = None
    topic: str | None = None
    truth: Path | None = None
    detector: str = PERSON
    detection: DetectorConfig = field(default_factory=DetectorConfig)
    fps: float | None = None
    excerpt: Excerpt = field(default_factory=Excerpt)
    pipeline: PipelineConfig = field(default_factory=PipelineConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    wanted: Wanted = field(default_factory=Wanted)
    overwrite: bool = False
    rotate: int = 0
    protocol: str | None = None
    depth: DepthOptions = field(default_factory=DepthOptions)


def replay(options: ReplayOptions, pipeline: Pipeline | None = None, progress: bool = True) -> ReplayResult:
    """Run a replay to its end and write bag, JSON, video and report into `options.out`.

    pipeline: one made already, in place of the options' model, detector and settings. Raises UsageError, InputError
    and BundleError before anything is written; damage met later is reported in the result's `problems`. What came of
    it, a failure too, is in the folder's result.json (see `Record`).
    """
    record = Record(options.out)
    try:
        result = _replay(options, pipeline, progress, record)
    except BaseException as error:
        record.failed(error)
        raise
    record.done()
    return result


def _replay(options: ReplayOptions, pipeline: Pipeline | None, progress: bool, record: Record) -> ReplayResult:
    from sdtc_ros.replay.report import write_report

    rotation = Rotation(options.rotate)
    with collected_warnings() as notes:
        source = open_source(options.source, options.topic, options.fps, options.excerpt)
        pipeline = pipeline or _pipeline(options)
        truth = _truth(options, source, pipeline)
        boxes = _boxes(options, truth, source)
        lifting = _lifting(options, pipeline)
        prepare_folder(options.out, options.overwrite)
        result = ReplayResult(source, pipeline, _boxes_text(options, boxes), RunStatistics(pipeline.bundle.skeleton))
        outputs = _outputs(options, source, pipeline, truth)
        record.begin(result)
        start = perf_counter()
        with (
            suppress(OutputsFullError),
            outputs,
            stop_requests() as stop,
            Progress("replay", source.count, shown=progress) as bar,
        ):
            _run(result, boxes, outputs, rotation, lifting, stop, bar)
        result.statistics.wall = perf_counter() - start
        result.stopped, result.files = stop.status, outputs.files
        if not result.frames and outputs.problems:
            raise UsageError(f"results cannot be written to {options.out}: {outputs.problems[0]}")
        result.problems = [*source.problems, *outputs.problems, *_dropped(pipeline)]
        result.problems += lifting.problems if lifting else []
        if not outputs.problems:
            result.problems += _unused(options, result, boxes)
        if truth and "poses" in result.files:
            _measure(result, truth, outputs, options, notes)
        back = result.statistics.set_back
        if back:
            times = "once" if back == 1 else f"{back} times"
            notes.append(f"the clock was set back {times}; times in the report stand still there")
    result.notes = notes
    try:
        result.files["report"] = write_report(result, options.out / REPORT)
    except OSError as error:
        result.problems.append(f"the report could not be written: {error.strerror or error}")
    return result


def check(options: ReplayOptions) -> None:
    """Raise what `replay` would raise for these options whatever the input: before one is made, or many are begun.

    The model is opened for it, so an engine that has to be built (TensorRT's) is in the cache afterwards.
    """
    with collected_warnings():  # the replays' reports tell them
        _pipeline(options)
    if options.detector != TRUTH or options.truth is None:
        _boxes(options, None, None)


def _outputs(options: ReplayOptions, source: Source, pipeline: Pipeline, truth: Truth | None) -> Outputs:
    try:
        return Outputs(options.out, options.wanted, source, pipeline.bundle, truth)
    except OSError as error:
        raise UsageError(f"results cannot be written to {options.out}: {error.strerror or error}") from error


def _run(
    result: ReplayResult,
    boxes: BoxTable | None,
    outputs: Outputs,
    rotation: Rotation,
    lifting: ReplayLifting | None,
    stop: StopRequest,
    bar: Progress,
) -> None:
    """Frames in, keyframes out and written, until the input ends or someone wants it to."""
    pipeline, frames = result.pipeline, result.source.frames
    begin = perf_counter()
    try:
        for number, frame in frames:
            read = perf_counter() - begin
            outputs.numbers[frame.name] = number
            size = frame.image.shape[1], frame.image.shape[0]
            people = rotation.upright_boxes(boxes.boxes(number, frame), size) if boxes is not None else None
            poses = pipeline.process(rotation.upright_frame(frame), people)
            if poses is not None:
                poses = rotation.camera_poses(poses)
                outputs.write(poses, result.statistics, read, lifting.lift(poses) if lifting else None)
            bar.step()
            if stop.status:
                break
            begin = perf_counter()
    finally:
        frames.close()  # type: ignore[attr-defined]
    for waiting in pipeline.flush():
        poses = rotation.camera_poses(waiting)
        outputs.write(poses, result.statistics, 0.0, lifting.lift(poses) if lifting else None)


def _boxes_text(options: ReplayOptions, boxes: BoxTable | None) -> str:
    if boxes is not None:
        return boxes.what
    return _detection(options).title


def _pipeline(options: ReplayOptions) -> Pipeline:
    detector = make_detector(_detection(options), options.engine) if is_detector(options.detector) else None
    config = options.pipeline
    if options.detector.lower().endswith(BOXES):  # as in the papers, every box of a file has its pose
        config = replace(config, tracking=replace(config.tracking, keep_untracked=True))
    return Pipeline.from_bundle(options.model or default_bundle(), config, detector=detector, engine=options.engine)


def _detection(options: ReplayOptions) -> DetectorConfig:
    return replace(options.detection, which=options.detector)


def _truth(options: ReplayOptions, source: Source, pipeline: Pipeline) -> Truth | None:
    if options.truth is None:
        return None
    skeleton = pipeline.bundle.skeleton
    return read_truth(options.truth, source.name, skeleton, source.names, source.length, source.size)


def _boxes(options: ReplayOptions, truth: Truth | None, source: Source | None) -> BoxTable | None:
    """The external boxes, or None where a detector is to find them."""
    kind = options.detector
    if is_detector(kind):
        return None
    if kind != TRUTH and not Path(kind).is_file():
        raise UsageError(f"detector '{kind}' is not '{PERSON}', '{TRUTH}', an .onnx file or a .json file of boxes")
    return external_boxes(kind, source, truth)


def _lifting(options: ReplayOptions, pipeline: Pipeline) -> ReplayLifting | None:
    if not options.depth.topic:
        return None
    return ReplayLifting(options.source, options.depth, pipeline.bundle.skeleton, options.topic)


def _dropped(pipeline: Pipeline) -> list[str]:
    said = []
    if pipeline.dropped_boxes:
        said.append(f"{_boxes_were(pipeline.dropped_boxes)} empty or outside the image and left out")
    if pipeline.surplus_boxes:
        most = pipeline.config.max_people
        left = _boxes_were(pipeline.surplus_boxes)
        said.append(f"{left} left out beyond the best {most} of a frame; --max-people takes more")
    return said


def _boxes_were(count: int) -> str:
    return f"{count} person {'box was' if count == 1 else 'boxes were'}"


def _unused(options: ReplayOptions, result: ReplayResult, boxes: BoxTable | None) -> list[str]:
    """What of a boxes file belongs to no frame of the input, where all of it was read."""
    unused = boxes.unused() if boxes is not None and options.detector != TRUTH else 0
    if not unused or result.stopped or options.excerpt != Excerpt():
        return []
    return [f"{unused} of the {len(boxes or [])} {result.boxes} are of frames that were not read"]


def _measure(result: ReplayResult, truth: Truth, outputs: Outputs, options: ReplayOptions, notes: list[str]) -> None:
    from sdtc_ros.evaluate.result import write_json

    excerpt = options.excerpt
    absent = 0 if result.stopped else truth.absent(outputs.replayed, excerpt.start, excerpt.stop)
    try:
        result.accuracy = measure(truth, outputs.files["poses"], outputs.replayed, options.protocol)
    except InputError as error:
        result.problems.append(str(error))
    else:
        notes += result.accuracy.result.warnings
        if absent:
            result.problems.append(f"{absent} annotated frames of {truth.sequence.path} are not among those read")
        try:
            write_json(result.accuracy.result, options.out / EVALUATION)
            result.files["evaluation"] = options.out / EVALUATION
        except InputError as error:
            result.problems.append(str(error))
