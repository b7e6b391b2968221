"""AudioCaps: captions of ten-second YouTube clips of everyday sounds, five to a clip in the test set.

A prompt is a caption, named by `audiocap_id`; its recording is a file named by `youtube_id`.
Source: Kim et al. 2019. The clips are AudioSet's, ten seconds from `start_time`.
"""

from typing import ClassVar

from arc_eval.data import captioned
from arc_eval.data.captioned import Caption, Layout, Line

SECONDS = 10.0


def _read(line: Line) -> Caption:
    start = f"from second {line.text('start_time')}"
    return Caption(line.text("audiocap_id"), line.text("caption"), line.text("youtube_id"), SECONDS, start)


class Settings(captioned.Settings):
    """`{kind: audiocaps, csv: audiocaps-test.csv, audio: FOLDER, missing: published}`; as `captioned`."""

    layout: ClassVar[Layout] = Layout(
        "audiocaps", ("audiocap_id", "youtube_id", "start_time", "caption"), _read
    )
