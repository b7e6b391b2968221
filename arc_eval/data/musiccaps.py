"""MusicCaps: captions by musicians of ten-second YouTube clips, one to a clip; the set without singing too.

Prompt and recording are both named by `ytid`. Source: Agostinelli et al. 2023.
"""

from typing import ClassVar

from arc_eval.data import captioned
from arc_eval.data.captioned import Caption, Layout, Line
from arc_eval.errors import DataError


def _read(line: Line) -> Caption:
    try:
        seconds = float(line.text("end_s")) - float(line.text("start_s"))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise DataError(f"{line.where}: `start_s` and `end_s` must be seconds, the second the later one")
    ytid = line.text("ytid")
    return Caption(ytid, line.text("caption"), ytid, seconds)


class Settings(captioned.Settings):
    """`{kind: musiccaps, csv: musiccaps-public.csv, audio: FOLDER, missing: published}`; as `captioned`."""

    layout: ClassVar[Layout] = Layout("musiccaps", ("ytid", "start_s", "end_s", "caption"), _read)
