# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The errors a user can cause, each with the exit status that the command line answers with.

| status | meaning |
|---|---|
| 0 | done |
| 1 | a defect of ours (a traceback is printed) |
| 2 | wrong arguments |
| 3 | the input cannot be used at all (no bag, no image topic, 0 frames, unreadable truth) |
| 4 | the model bundle, checkpoint or engine cannot be used |
| 5 | the input was damaged or cut short: everything readable was processed and written |

A message is one sentence that says what is wrong, where, and what to do about it.
"""


class SdtcError(Exception):
    """Base of every error that is the user's to mend; `exit_status` is the process's answer."""

    exit_status = 1


class UsageError(SdtcError):
    """Arguments that do not fit together or name nothing."""

    exit_status = 2


class InputError(SdtcError):
    """An input (bag, video, folder, annotation file, frame) that cannot be used."""

    exit_status = 3


class BundleError(SdtcError):
    """A model bundle, checkpoint or engine that cannot be used."""

    exit_status = 4


class PartialInputError(SdtcError):
    """An input of which only a part could be read; the part was processed and its results are written."""

    exit_status = 5
