# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Between the subscriptions and the pipelines: one slot a camera that holds the newest frame, one thread that works.

Knows no ROS, only messages' attributes, so it is tested without. Every frame received is accounted for (`Counts`).
The thread takes the newest frame of every camera that has one, and results them in one batch: under load, that is all
cameras; else each frame goes its way as it comes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Generic, TypeVar

from sdtc_ros.node.stream import Arrival, Stream
from sdtc_ros.pipeline.inference import CropBuffer, infer
from sdtc_ros.pipeline.together import detect_together

T = TypeVar("T")


class Inbox(Generic[T]):
    """One place for each of several senders; it holds the newest item put there until all are taken."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: dict[int, T] = {}
        self._woken = False
        self.closed = False

    def put(self, sender: int, item: T) -> bool:
        """Put an item in; whether an older one of this sender, not taken yet, had to go for it."""
        with self._changed:
            displaced = sender in self._items
            self._items[sender] = item
            self._changed.notify()
            return displaced

    def wake(self) -> None:
        """Let whoever waits go on, with or without an item."""
        with self._changed:
            self._woken = True
            self._changed.notify()

    def take(self, seconds: float | None) -> dict[int, T]:
        """The items by sender, in the senders' order; waits for one up to `seconds` (None: for ever)."""
        with self._changed:
            self._changed.wait_for(lambda: self.closed or self._woken or self._items, seconds)
            items, self._items, self._woken = ({} if self.closed else self._items), {}, False
            return dict(sorted(items.items()))

    def close(self) -> None:
        """Wake whoever waits: nothing is given out any more."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()


class LiveWorker:
    """The thread that runs the streams' pipelines, which share one engine.

    failed is called in that thread, once, with the exception that ended it; before_round, where it is given, before
    every batch of frames (settings that changed).
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        *,
        failed: Callable[[Exception], None],
        before_round: Callable[[], None] = lambda: None,
    ) -> None:
        self._streams, self._failed, self._before_round = streams, failed, before_round
        self._inbox: Inbox[Arrival] = Inbox()
        self._orders: deque[tuple[Callable[[], object], Future[None]]] = deque()
        self._buffer = CropBuffer()
        self._thread = threading.Thread(target=self._run, name="sdtc-worker", daemon=True)

    def start(self) -> None:
        """Let the streams forget what they know of an earlier run, and begin."""
        for number, stream in enumerate(self._streams):
            stream.open(partial(self._inbox.put, number))
        self._thread.start()

    def stop(self, seconds: float | None) -> bool:
        """Ask the thread to end after the frames it works on; whether it did within `seconds` (None: wait for it)."""
        self._close()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def wake(self) -> None:
        """Have the thread look at once what the settings are now, and how long it may wait by them."""
        self._inbox.wake()

    def between_frames(self, action: Callable[[], object]) -> Future[None]:
        """Have `action` called in the worker's thread when it is at no frame; done, or holding its error, after that.

        Where the worker is stopped first, the future is cancelled.
        """
        done: Future[None] = Future()
        self._orders.append((action, done))
        if self._inbox.closed:
            self._close()
        self.wake()
        return done

    def _run(self) -> None:
        try:
            while not self._inbox.closed:
                arrivals = self._inbox.take(self._timeout())
                self._obey()
                self._before_round()
                self._work({self._streams[number]: arrival for number, arrival in arrivals.items()})
                self._check_silence()
        except Exception as error:  # nobody else would hear of it; after `stop`, the outputs may be gone
            if not self._inbox.closed:
                self._failed(error)
        finally:
            self._close()

    def _work(self, arrivals: dict[Stream, Arrival]) -> None:
        """Everything that becomes of one batch of frames."""
        begin = monotonic()
        read = {stream: stream.frame_of(arrival) for stream, arrival in arrivals.items()}
        frames = {stream: frame for stream, frame in read.items() if frame is not None}
        found = detect_together([(stream.pipeline, *frame) for stream, frame in frames.items()])
        taken = [
            (stream, stream.take(*frame, people)) for (stream, frame), people in zip(frames.items(), found, strict=True)
        ]
        results = iter(infer([one for _, ones in taken for one in ones], self._buffer))
        for stream, ones in taken:
            for _ in ones:
                stream.publish(next(results))
        for stream in arrivals:
            stream.worked(monotonic() - begin)

    def _check_silence(self) -> None:
        for stream in self._streams:
            if stream.time_left() == 0:
                stream.publish_waiting()

    def _timeout(self) -> float | None:
        """Seconds until the next camera counts as silent."""
        waits = [wait for stream in self._streams if (wait := stream.time_left()) is not None]
        return min(waits, default=None)

    def _obey(self) -> None:
        while self._orders and not self._inbox.closed:
            try:
                action, done = self._orders.popleft()
            except IndexError:  # the worker was stopped just now
                return
            try:
                action()
            except Exception as error:
                done.set_exception(error)
            else:
                done.set_result(None)

    def _close(self) -> None:
        """Nothing comes in or goes out from here on; orders that were not carried out are cancelled."""
        self._inbox.close()
        for stream in self._streams:
            stream.close()
        with suppress(IndexError):  # none is left; whoever else is here takes orders as well
            while True:
                self._orders.popleft()[1].cancel()
