"""Song Describer: captions of songs, some songs with several; the set without singing too.

A prompt is a caption, named by `caption_id`; its recording is the file `path` in the folder, or one named
by `track_id`. A song is longer than models make: set `longest` or `seconds`. Source: Manco et al. 2023.
"""

from pathlib import PurePosixPath
from typing import ClassVar

from arc_eval.data import captioned
from arc_eval.data.captioned import Caption, Layout, Line


def _read(line: Line) -> Caption:
    return Caption(
        line.text("caption_id"),
        line.text("caption"),
        line.text("track_id"),
        line.seconds("duration"),
        file=PurePosixPath(line.text("path")).with_suffix("").as_posix(),
    )


class Settings(captioned.Settings):
    """`{kind: songdescriber, csv: song_describer-nosinging.csv, audio: FOLDER}`; as `captioned`."""

    layout: ClassVar[Layout] = Layout(
        "songdescriber", ("caption_id", "track_id", "caption", "path", "duration"), _read
    )
