"""Published sets of captioned recordings: whose lists are read, and what is said of recordings that lack."""

from pathlib import Path
from typing import Any

import pytest
import torch

from arc_eval import registry
from arc_eval.contracts import DataSource
from arc_eval.dsp import write_audio
from arc_eval.errors import AudioError, DataError, SuiteError
from arc_eval.offers import Declaring
from arc_eval.records.prompt import clusters

AUDIOCAPS = "audiocap_id,youtube_id,start_time,caption\n"
SONGS = "caption_id,track_id,caption,path,duration\n"
MUSICCAPS = "ytid,start_s,end_s,caption\n"

LISTS = {
    "audiocaps": AUDIOCAPS + "1,aaa,30,a bell\n2,aaa,30,metal struck\n3,bbb,0,rain\n4,-mhFGevxLUg,5,wind\n",
    "songdescriber": SONGS
    + "7,10,slow song,34/10.mp3,2.5\n8,10,sad song,34/10.mp3,2.5\n9,11,waltz,35/11.mp3,1\n",
    "musiccaps": MUSICCAPS + "aaa,30,40,jazz\nbbb,0,10,rock\n-sevczF5etI,5,15,folk\n",
}


def opened(kind: str, csv: Path, **settings: Any) -> DataSource:
    paths = {key: str(value) for key, value in settings.items() if isinstance(value, Path)}
    data = {"kind": kind, "csv": str(csv), **settings, **paths}
    source: DataSource = registry.settings("data", data, "suite").build()
    return source


@pytest.fixture
def lists(tmp_path: Path) -> dict[str, Path]:
    """A small list of each kind."""
    for kind, text in LISTS.items():
        (tmp_path / f"{kind}.csv").write_text(text)
    return {kind: tmp_path / f"{kind}.csv" for kind in LISTS}


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Recordings named as the lists name them, a second long, each with its own level."""
    names = ("aaa.wav", "bbb.flac", "34/10.2min.wav", "11.wav")
    for level, name in enumerate(names, 1):
        (tmp_path / "sounds" / name).parent.mkdir(parents=True, exist_ok=True)
        write_audio(tmp_path / "sounds" / name, torch.full((1, 8000), level / 10), 8000)
    return tmp_path / "sounds"


def test_captions_of_one_recording_share_it(lists: dict[str, Path], sounds: Path):
    source = opened("audiocaps", lists["audiocaps"], audio=sounds, sample_rate=8000, channels=1)
    prompts = source.prompts()
    assert [(p.id, p.text, p.seconds, p.unit) for p in prompts[:3]] == [
        ("1", "a bell", 10.0, "aaa"),
        ("2", "metal struck", 10.0, "aaa"),
        ("3", "rain", 10.0, "bbb"),
    ]
    assert source.audio("1").equal(source.audio("2"))
    assert source.audio("1").mean() == pytest.approx(0.1, abs=1e-3)
    assert source.audio("3").mean() == pytest.approx(0.2, abs=1e-3)
    assert clusters(prompts)["1"] == clusters(prompts)["2"] != clusters(prompts)["3"]


def test_songs_are_found_by_path_or_by_number(lists: dict[str, Path], sounds: Path):
    source = opened("songdescriber", lists["songdescriber"], audio=sounds, sample_rate=8000, longest=0.5)
    assert [(p.id, p.seconds, p.unit) for p in source.prompts()] == [
        ("7", 0.5, "10"),
        ("8", 0.5, "10"),
        ("9", 0.5, "11"),
    ]
    assert source.audio("8").shape == (2, 4000)
    assert source.audio("8").mean() == pytest.approx(0.3, abs=1e-3)
    assert source.audio("9").mean() == pytest.approx(0.4, abs=1e-2)


def test_a_prompt_that_is_its_recording_shares_it_with_none(lists: dict[str, Path]):
    prompts = opened("musiccaps", lists["musiccaps"]).prompts()
    assert [(p.id, p.seconds, p.unit) for p in prompts][:1] == [("aaa", 10.0, "aaa")]
    assert clusters(prompts) == {}


def test_without_audio_a_set_is_prompts_alone(lists: dict[str, Path]):
    source = opened("audiocaps", lists["audiocaps"], seconds=4)
    assert source.takes() == 0
    assert {p.seconds for p in source.prompts()} == {4.0}
    with pytest.raises(AudioError, match="read without `audio`"):
        source.audio("1")


def test_what_is_declared_missing_is_known_and_not_read(lists: dict[str, Path], sounds: Path):
    source = opened("audiocaps", lists["audiocaps"], audio=sounds, missing="published")
    assert isinstance(source, Declaring)
    missing = source.missing()
    assert missing is not None
    assert (missing.recordings, missing.known, missing.prompts) == (("-mhFGevxLUg",), 3, 1)
    write_audio(sounds / "-mhFGevxLUg.wav", torch.zeros(1, 800), 8000)
    with pytest.raises(AudioError, match="declared missing by published list of audiocaps"):
        source.audio("4")
    again = opened("audiocaps", lists["audiocaps"], audio=sounds, missing="published")
    assert again.identity() == source.identity()


def test_what_is_not_declared_is_a_loss(lists: dict[str, Path], sounds: Path):
    source = opened("audiocaps", lists["audiocaps"], audio=sounds)
    assert isinstance(source, Declaring) and source.missing() is None
    with pytest.raises(AudioError, match=r"no recording -mhFGevxLUg\.wav .* declare it with `missing`"):
        source.audio("4")


def test_a_list_of_ones_own_declares_too(lists: dict[str, Path], sounds: Path, tmp_path: Path):
    own = tmp_path / "lost.txt"
    own.write_text("# gone since spring\nbbb\n")
    source = opened("audiocaps", lists["audiocaps"], audio=sounds, missing=own)
    assert isinstance(source, Declaring)
    missing = source.missing()
    assert missing is not None and (missing.recordings, missing.declared) == (("bbb",), "lost.txt")
    own.write_text("bb\n")
    with pytest.raises(DataError, match=r"none of its 1 ids, such as 'bb', .* they look like bbb"):
        opened("audiocaps", lists["audiocaps"], audio=sounds, missing=own)
    with pytest.raises(DataError, match="no list of songdescriber is published"):
        opened("songdescriber", lists["songdescriber"], missing="published")


def test_the_published_lists_of_missing_recordings_are_whole(shared: Path):
    source = opened("audiocaps", shared / "data" / "prompts" / "audiocaps-test.csv", missing="published")
    assert isinstance(source, Declaring)
    missing = source.missing()
    assert missing is not None
    assert (len(missing.recordings), missing.known, missing.prompts) == (94, 975, 470)
    assert len(source.prompts()) == 4875
    songs = opened("songdescriber", shared / "data" / "prompts" / "song_describer-nosinging.csv").prompts()
    assert (len(songs), len({prompt.unit for prompt in songs})) == (586, 446)


def test_the_list_of_missing_musiccaps_names_87(tmp_path: Path):
    from arc_eval.data.unavailable import FOLDER

    names = [line for line in (FOLDER / "musiccaps.txt").read_text().split("\n") if line[:1] not in ("#", "")]
    assert len(names) == len(set(names)) == 87
    assert all(len(name) == 11 for name in names)


def test_identity_is_of_list_recordings_and_what_is_missing(lists: dict[str, Path], sounds: Path):
    def identity(**settings: Any) -> dict[str, str]:
        return dict(opened("audiocaps", lists["audiocaps"], audio=sounds, **settings).identity())

    first = identity()
    assert identity(missing="published") != first
    assert identity(seconds=3) != first
    write_audio(sounds / "aaa.wav", torch.zeros(1, 8000), 8000)
    assert {name for name, value in identity().items() if value != first[name]} == {"recordings"}


MISTAKES = {
    "other columns": ("audiocaps", "id,youtube_id,start_time,caption\n1,a,0,x\n", "'audiocap_id'; known: "),
    "no caption": ("audiocaps", AUDIOCAPS, "lists no caption"),
    "empty cell": ("audiocaps", AUDIOCAPS + "1,,0,x\n", "line 2, column 'youtube_id': empty"),
    "short line": ("audiocaps", AUDIOCAPS + "1,a,0\n", "line 2: 3 cells under 4 columns"),
    "id twice": ("audiocaps", AUDIOCAPS + "1,a,0,x\n1,b,0,y\n", "line 3: id '1' was used at .*line 2"),
    "two places": (
        "audiocaps",
        AUDIOCAPS + "1,a,0,x\n2,a,9,y\n",
        "recording 'a' is from second 9, at .*line 2",
    ),
    "no length": ("songdescriber", SONGS + "1,2,x,a.mp3,0\n", "'0' is not a positive number"),
    "backwards": ("musiccaps", MUSICCAPS + "a,5,5,x\n", "`start_s` and `end_s`"),
}


@pytest.mark.parametrize(("kind", "text", "said"), MISTAKES.values(), ids=list(MISTAKES))
def test_a_list_that_contradicts_itself_is_refused(tmp_path: Path, kind: str, text: str, said: str):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        opened(kind, tmp_path / "list.csv")


def test_other_mistakes_are_named(lists: dict[str, Path], sounds: Path, tmp_path: Path):
    with pytest.raises(DataError, match="needs the CSV that was published with it"):
        opened("audiocaps", tmp_path / "absent.csv")
    with pytest.raises(DataError, match="no such folder"):
        opened("audiocaps", lists["audiocaps"], audio=tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no audio file"):
        opened("audiocaps", lists["audiocaps"], audio=tmp_path / "empty")
    with pytest.raises(SuiteError, match="unknown key; did you mean 'audio'"):
        opened("audiocaps", lists["audiocaps"], audios=sounds)
    (sounds / "copy").mkdir()
    (sounds / "copy" / "aaa.wav").write_bytes((sounds / "aaa.wav").read_bytes())
    with pytest.raises(DataError, match="are both named 'aaa'"):
        opened("audiocaps", lists["audiocaps"], audio=sounds).audio("1")
    with pytest.raises(DataError, match="no prompt '11'; there are 1"):
        opened("audiocaps", lists["audiocaps"], audio=sounds).audio("11")
