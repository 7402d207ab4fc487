# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a camera's figures, and what is known of its node, mean as a diagnostic status.

Knows no ROS but the layout of diagnostic_msgs: figures -> level and words is plain arithmetic. diagnostic_updater is
not used: its timer runs on the node's clock, so it would fall silent with a simulated clock that stands still, which
is when somebody looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import IntEnum
from pathlib import Path
from typing import Any

from sdtc_ros.errors import SdtcError
from sdtc_ros.node.health.statistics import OTHER_CLOCK, WINDOW, Counts, Figures, in_ms, quantile

LOST = (
    "were lost on their way: large ones are where socket buffers are small; reliability:=reliable, "
    "transport:=compressed, or more room (docs/deploy.md, 'Images over DDS')"
)
_NO_DROPS = (
    "received",
    "taken",
    "answered",
    "people",
    "restarts",
    "invalid_boxes",
    "duplicates",
    "lost",
)  # every other count is a cause of frames left out


class Level(IntEnum):
    """The levels of diagnostic_msgs/DiagnosticStatus that are used here."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Health:
    """One diagnostic status: `name` and `hardware` say of what, `message` says in words what `level` is due to."""

    name: str
    level: Level
    message: str
    values: dict[str, str] = field(default_factory=dict)
    hardware: str = ""


@dataclass(frozen=True)
class Limits:
    """From where on it is worth a warning; 0 turns one off.

    latency: seconds from stamp to publishing, the median (or the other way round, where stamps lie ahead of the clock);
    drops: part of the frames received (0..1) that were left out; silence: seconds without an image (an error).
    """

    latency: float
    drops: float
    silence: float


def drops_by_cause(counts: Counts) -> dict[str, int]:
    """How many frames were left out, by the cause's name."""
    return {entry.name: getattr(counts, entry.name) for entry in fields(counts) if entry.name not in _NO_DROPS}


def camera_health(
    name: str,
    figures: Figures,
    limits: Limits,
    *,
    topic: str,
    why_silent: str = "",
    lookahead: tuple[int, int] = (0, 0),
    alone: bool = False,
) -> Health:
    """The status of one camera.

    why_silent: the reason, where the camera is silent and one is known; lookahead: frames that are waited for now, and
    those that were asked for; alone: whether keyframes are estimated without the frames around them.
    """
    found = [*_silence(figures, limits, topic, why_silent), *_losses(figures, limits), *_slowness(figures, limits)]
    level, message = _summary(found)
    now, asked = lookahead
    text = message or _all_is_well(figures)
    if alone:
        text += "; keyframes without their neighbours: with them, fewer frames would be processed still"
    elif now < asked:
        text += f"; lookahead {now} of {asked} frames: more would take longer than lookahead_wait allows"
    values = _values(figures, topic) | {"lookahead (frames)": f"{now} of {asked}"}
    values["windows"] = "keyframes alone" if alone else "whole"
    return Health(name, level, text, values, topic)


def node_health(
    name: str,
    state: str,
    *,
    values: Mapping[str, str],
    asked: str = "",
    device: str = "",
    error: str = "",
    namesakes: int = 0,
) -> Health:
    """The status of the node as a whole.

    state: of its lifecycle; asked, device: the provider that parameter `provider` names and the one that the engine
    runs on, by their short names (empty while there is no engine); error: why the node cannot go on; namesakes: how
    many other nodes have its name.
    """
    found = []
    if error:
        found.append((Level.ERROR, error))
    if namesakes:
        found.append((Level.WARN, same_name(name, namesakes)))
    if device != asked:
        found.append((Level.WARN, f"runs on {device}, because {asked} is not available (allow_cpu is set)"))
    level, message = _summary(found)
    text = message or (f"{state}, on {device}" if device else state)
    return Health(name, level, text, {"state": state, "device": device or "none", **values}, device)


def same_name(name: str, others: int) -> str:
    """What is wrong when other nodes have this one's name, and what to do."""
    return (
        f"{others + 1} nodes are called '{name}': parameters and services reach only one of them, and where they "
        "publish on one topic the track ids of both mix; give one another name or namespace (name:=..., "
        "namespace:=...); one that was killed counts for some seconds more"
    )


def in_words(error: Exception) -> str:
    """An error in a sentence: ours as it is, any other with its type, and of what it says the first line."""
    if isinstance(error, SdtcError):
        return str(error)
    said = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def memory_bytes() -> int | None:
    """Bytes of physical memory that this process holds; None where the system does not tell."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def to_diagnostics(healths: Iterable[Health], header: Any, lookup: Callable[[str], Any]) -> Any:
    """A diagnostic_msgs/DiagnosticArray; `lookup` gives message classes by type name (see messages.message_types)."""
    status, pair = lookup("diagnostic_msgs/msg/DiagnosticStatus"), lookup("diagnostic_msgs/msg/KeyValue")
    return lookup("diagnostic_msgs/msg/DiagnosticArray")(
        header=header,
        status=[
            status(
                level=bytes([health.level]), name=health.name, message=health.message, hardware_id=health.hardware,
                values=[pair(key=key, value=value) for key, value in health.values.items()],
            )
            for health in healths
        ],
    )  # fmt: skip


Finding = tuple[Level, str]


def _silence(figures: Figures, limits: Limits, topic: str, why: str) -> list[Finding]:
    if not 0 < limits.silence <= figures.silent:
        return []
    since = "since the start" if not figures.total.received else f"for {figures.silent:.0f} s"
    return [(Level.ERROR, f"no image on {topic} {since}" + (f": {why}" if why else ""))]


def _losses(figures: Figures, limits: Limits) -> list[Finding]:
    counts, causes = figures.counts, drops_by_cause(figures.counts)
    received, lost = counts.received, sum(causes.values())
    if received and not counts.answered and figures.seconds >= WINDOW:
        return [(Level.ERROR, f"none of the last {received} images got poses ({_listed(causes) or 'all wait'})")]
    found = []
    if causes["damaged"]:
        found.append((Level.WARN, f"{causes['damaged']} of the last {received} images were damaged"))
    if counts.lost and 0 < limits.drops < counts.lost / (received + counts.lost):
        found.append((Level.WARN, f"{counts.lost} of the last {received + counts.lost} images {LOST}"))
    if counts.invalid_boxes:
        found.append((Level.WARN, f"{counts.invalid_boxes} person boxes of the last {received} images were invalid"))
    if received and 0 < limits.drops < lost / received:
        found.append((Level.WARN, f"{lost / received:.0%} of the images are dropped ({_listed(causes)})"))
    return found


def _slowness(figures: Figures, limits: Limits) -> list[Finding]:
    median = quantile(figures.latency, 0.5) if figures.latency else 0.0
    if not 0 < limits.latency < abs(median):
        return []
    if abs(median) >= OTHER_CLOCK:
        return [(Level.WARN, "the images' stamps are of another clock than the node's (a recording? see use_sim_time)")]
    if median < 0:
        return [(Level.WARN, f"the images' stamps lie {-median:.3g} s ahead of the node's clock (use_sim_time?)")]
    over = f"more than warn_latency allows ({limits.latency:g} s)"
    return [(Level.WARN, f"poses come {median:.3g} s after their images, {over}")]


def _summary(found: list[Finding]) -> tuple[Level, str]:
    """The worst level, and all sentences, the worst first."""
    ordered = sorted(found, key=lambda finding: -finding[0])
    return (ordered[0][0] if ordered else Level.OK), "; ".join(sentence for _, sentence in ordered)


def _all_is_well(figures: Figures) -> str:
    if not figures.total.received:
        return "waiting for the first image"
    if not figures.latency:
        return "waiting for the first poses" if not figures.total.answered else "no new images"
    latency = in_ms(quantile(figures.latency, 0.5), 0)
    return f"{_rate(figures.counts.answered, figures):.1f} Hz, " + (f"{latency} ms" if latency else "latency unknown")


def _values(figures: Figures, topic: str) -> dict[str, str]:
    counts, total = figures.counts, figures.total
    values = {
        "image topic": topic,
        "rate in (Hz)": f"{_rate(counts.received, figures):.1f}",
        "rate out (Hz)": f"{_rate(counts.answered, figures):.1f}",
    }
    for name, part in (("p50", 0.5), ("p99", 0.99)):
        latency = (in_ms(quantile(figures.latency, part), 1) or "unknown") if figures.latency else "none"
        values[f"latency {name} (ms)"] = latency
    values |= {f"{stage} (ms)": f"{1e3 * seconds:.2f}" for stage, seconds in figures.stages.items()}
    values |= {"people a frame": f"{counts.people / max(counts.answered, 1):.1f}"}
    values |= {name: str(getattr(total, name)) for name in ("received", "taken", "answered", "waiting")}
    values |= {f"dropped, {_words(cause)}": str(count) for cause, count in drops_by_cause(total).items()}
    return values | {
        "lost on the way": str(total.lost),
        "invalid boxes": str(total.invalid_boxes),
        "duplicate poses": str(total.duplicates),
        "restarts": str(total.restarts),
    }


def _listed(causes: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {_words(cause)}" for cause, count in causes.items() if count)


def _words(cause: str) -> str:
    return {"replaced": "for newer", "unmatched": "without detections"}.get(cause, cause.replace("_", " "))


def _rate(count: int, figures: Figures) -> float:
    return count / max(figures.seconds, 1e-9)
