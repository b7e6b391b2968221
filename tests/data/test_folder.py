"""A folder of recordings with its list: what is read, and what each mistake is told."""

import os
from pathlib import Path

import pytest
import torch

from arc_eval import registry
from arc_eval.contracts import DataSource
from arc_eval.data.folder import Folder, Settings
from arc_eval.dsp import write_audio
from arc_eval.errors import AudioError, DataError


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Two clips, one of them in a folder of its own, at two rates; no list yet."""
    folder = tmp_path / "sounds"
    (folder / "deep").mkdir(parents=True)
    noise = torch.rand(2, 4800, generator=torch.Generator().manual_seed(0)) - 0.5
    write_audio(folder / "bell.wav", noise[:1, :4410], 44100)
    write_audio(folder / "deep" / "rain.flac", noise, 48000)
    return folder


def listed(folder: Path, text: str, name: str = "metadata.csv") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


BOTH = "file_name,caption\nbell.wav,a bell\ndeep/rain.flac,rain\n"


def opened(path: Path, **settings: object) -> Folder:
    return Settings.model_validate({"path": path, **settings}).build()


def test_it_keeps_the_contract_of_a_data_source(sounds: Path):
    listed(sounds, BOTH)
    source: DataSource = registry.settings("data", {"kind": "folder", "path": str(sounds)}, "suite").build()
    assert [(p.id, p.text) for p in source.prompts()] == [("bell", "a bell"), ("deep/rain", "rain")]
    assert [p.seconds for p in source.prompts()] == [pytest.approx(0.1), pytest.approx(0.1)]
    assert (source.takes(), source.sample_rate) == (1, 44100)
    for prompt in source.prompts():
        assert source.audio(prompt.id).shape == (2, 4410)
    assert all(isinstance(value, str) for value in source.identity().values())


def test_real_files_are_read(shared: Path):
    source = opened(shared / "data" / "sonic-pi-cc0")
    prompts = source.prompts()
    assert len(prompts) == 155
    assert prompts[0].tags == ("ambience",)
    assert source.audio(prompts[0].id).shape[-1] == pytest.approx(prompts[0].seconds * 44100, rel=0.01)


def test_published_prompt_lists_are_read_with_their_own_column_names(shared: Path):
    path = shared / "data" / "prompts" / "audiocaps-test.csv"
    source = opened(path, columns={"id": "audiocap_id"}, seconds=10)
    assert len(source.prompts()) == 4875
    assert source.prompts()[0].id == "103549"
    assert source.takes() == 0


@pytest.mark.parametrize("caption", ["caption", "text", "prompt"])
@pytest.mark.parametrize("seconds", ["seconds", "duration", "duration_s"])
@pytest.mark.parametrize("tags", ["tags", "category", "label"])
def test_columns_go_by_several_names(sounds: Path, caption: str, seconds: str, tags: str):
    listed(
        sounds,
        f'{tags},{caption},id,{seconds},file_name\nbell|metal,"a bell, struck",b1,1.5,bell.wav\n'
        ',"rain\non a ""tin"" roof",r1,,deep/rain.flac\n',
    )
    bell, rain = opened(sounds).prompts()
    assert (bell.id, bell.text, bell.seconds, bell.tags) == ("b1", "a bell, struck", 1.5, ("bell", "metal"))
    assert (rain.id, rain.text, rain.tags) == ("r1", 'rain\non a "tin" roof', ())
    assert rain.seconds == pytest.approx(0.1)


def test_rate_channels_and_length_are_settings(sounds: Path):
    listed(sounds, BOTH)
    source = opened(sounds, sample_rate=16000, channels=1, seconds=3)
    assert source.audio("deep/rain").shape == (1, 1600)
    assert [prompt.seconds for prompt in source.prompts()] == [3, 3]


def test_nothing_is_longer_than_longest_and_shorter_sounds_keep_their_length(sounds: Path):
    listed(sounds, "file_name,caption,seconds\nbell.wav,a bell,7\ndeep/rain.flac,rain,0.02\n")
    source = opened(sounds, longest=0.05)
    whole = opened(sounds)
    assert [prompt.seconds for prompt in source.prompts()] == [0.05, 0.02]
    assert source.audio("bell").equal(whole.audio("bell")[:, :2205])
    assert opened(sounds, longest=9).audio("bell").equal(whole.audio("bell"))
    assert source.identity() != whole.identity() != opened(sounds, longest=9).identity()


def test_a_list_of_prompts_alone_has_no_takes(tmp_path: Path):
    path = listed(tmp_path, "prompt,seconds\n\na bell,2\nwind,1\nrain,3\n", "prompts.csv")
    source = opened(path)
    assert [(p.id, p.text, p.seconds) for p in source.prompts()] == [
        ("3", "a bell", 2.0),
        ("4", "wind", 1.0),
        ("5", "rain", 3.0),
    ]
    assert source.takes() == 0
    with pytest.raises(AudioError, match="prompts alone"):
        source.audio("3")


def test_a_byte_order_mark_is_no_part_of_a_name(sounds: Path):
    (sounds / "metadata.csv").write_bytes(b"\xef\xbb\xbf" + BOTH.encode())
    assert len(opened(sounds).prompts()) == 2


def test_several_captions_of_a_clip_need_only_ids(sounds: Path):
    rows = "id,file_name,caption\na,bell.wav,a bell\nb,bell.wav,metal\nc,deep/rain.flac,rain\n"
    listed(sounds, rows)
    source = opened(sounds)
    assert source.audio("a").equal(source.audio("b"))
    assert [prompt.unit for prompt in source.prompts()] == ["bell.wav", "bell.wav", "c"]


def test_another_list_may_name_a_part_or_find_files_by_id(sounds: Path, tmp_path: Path):
    part = listed(tmp_path, "file_name,caption\nbell.wav,a bell\n", "part.csv")
    assert opened(sounds, prompts=part).audio("bell").shape == (2, 4410)
    by_id = listed(tmp_path, "id,caption,seconds\ndeep/rain,rain,1\nwind,wind,1\n", "ids.csv")
    source = opened(sounds, prompts=by_id)
    assert source.audio("deep/rain").shape == (2, 4410)
    with pytest.raises(AudioError, match=r"wind\.wav: not found, though .*ids\.csv, line 3"):
        source.audio("wind")


def test_identity_is_of_content_not_of_place_or_time(sounds: Path, tmp_path: Path):
    listed(sounds, BOTH)
    first = opened(sounds).identity()
    os.utime(sounds / "bell.wav", (0, 0))
    moved = sounds.rename(tmp_path / "moved")
    assert opened(moved).identity() == first
    write_audio(moved / "bell.wav", torch.zeros(1, 4410), 44100)
    assert opened(moved).identity()["recordings"] != first["recordings"]
    listed(moved, BOTH.replace("a bell", "one bell"))
    assert opened(moved).identity()["list"] != first["list"]
    assert opened(moved, channels=1).identity()["channels"] != first["channels"]


MISTAKES = {
    "empty list": ("", "is empty; its first line must name the columns"),
    "only a header": ("file_name,caption\n", "lists no prompt"),
    "no caption column": ("file_name,captoin\nbell.wav,x\n", "line 1: no column caption, text, prompt"),
    "double column": ("caption,caption\na,b\n", "line 1: column 'caption' stands twice"),
    "empty caption": (BOTH.replace(",rain\n", ", \n"), "line 3, column 'caption': empty; fill it in"),
    "empty file name": (BOTH.replace("deep/rain.flac", ""), "line 3, column 'file_name': empty"),
    "duplicate id": (
        "id,file_name,caption\na,bell.wav,a bell\na,deep/rain.flac,rain\n",
        "line 3: id 'a' was used on line 2; rename one",
    ),
    "duplicate file": (
        BOTH + "bell.wav,metal\n",
        "line 4: id 'bell' was used on line 2; give the list a column `id`",
    ),
    "loose comma": (BOTH + "bell.wav,a bell, struck\n", "line 4: 3 cells under 2 columns; .* quotes"),
    "open quote": (BOTH + 'bell.wav,"a bell\n', "line 4: not CSV"),
    "word as a number": (
        "file_name,caption,seconds\nbell.wav,a bell,long\n",
        "line 2, column 'seconds': 'long'",
    ),
    "negative": (
        "file_name,caption,duration\nbell.wav,a bell,-1\n",
        "line 2, column 'duration': '-1' is not",
    ),
    "not finite": ("file_name,caption,seconds\nbell.wav,a bell,nan\n", "line 2, column 'seconds': 'nan'"),
    "outside": (
        "file_name,caption\n../bell.wav,a bell\n",
        r"line 2, column 'file_name': '\.\./bell\.wav' leads out",
    ),
    "absolute": ("file_name,caption\n/etc/bell.wav,a bell\n", "'/etc/bell.wav' leads out of the folder"),
    "no clip": (BOTH + "wind.wav,wind\n", r"1 of 3 prompts have no clip: wind\.wav \(line 4\); restore"),
    "no prompt": (
        "file_name,caption\nbell.wav,a bell\n",
        "1 clips have no prompt in metadata.csv: deep/rain.flac",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_list_is_named_with_file_line_and_remedy(sounds: Path, mistake: str):
    text, words = MISTAKES[mistake]
    listed(sounds, text)
    with pytest.raises(DataError, match=words) as raised:
        opened(sounds)
    assert str(sounds) in str(raised.value)


def test_a_wrong_encoding_is_named_with_its_line(sounds: Path):
    (sounds / "metadata.csv").write_bytes(BOTH.encode() + "bell.wav,cloche fêlée\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"metadata\.csv, line 4: not UTF-8 .*save the file as UTF-8"):
        opened(sounds)


def test_a_missing_folder_or_list_is_named(sounds: Path, tmp_path: Path):
    with pytest.raises(DataError, match="nowhere: no such file or folder"):
        opened(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"metadata\.csv: no such file; list the captions there"):
        opened(sounds)
    with pytest.raises(DataError, match="`path` is a file"):
        opened(sounds / "bell.wav", prompts=listed(tmp_path, BOTH))


def test_a_misspelt_column_setting_gets_the_near_miss(tmp_path: Path):
    path = listed(tmp_path, "caption_id,caption\n1,a bell\n", "prompts.csv")
    with pytest.raises(
        DataError, match=r"no column 'captionid' for `columns\.id`; did you mean 'caption_id'"
    ):
        opened(path, columns={"id": "captionid"})


def test_an_unknown_length_or_prompt_or_take_is_named(sounds: Path, tmp_path: Path):
    path = listed(tmp_path, "caption\na bell\n", "prompts.csv")
    with pytest.raises(DataError, match="line 2: how long should '2' be"):
        opened(path).prompts()
    listed(sounds, BOTH)
    source = opened(sounds)
    with pytest.raises(DataError, match="no prompt 'bel'; there are bell, "):
        source.audio("bel")
    with pytest.raises(AudioError, match="'bell' has one recording, so no take 1"):
        source.audio("bell", 1)


def test_a_damaged_recording_is_named_when_it_is_heard(sounds: Path):
    listed(sounds, "file_name,caption,seconds\nbell.wav,a bell,1\ndeep/rain.flac,rain,1\n")
    (sounds / "bell.wav").write_bytes(b"")
    source = opened(sounds)
    assert source.audio("deep/rain").shape == (2, 4410)
    with pytest.raises(AudioError, match=r"bell\.wav: the file is empty"):
        source.audio("bell")


def test_a_damaged_recording_costs_no_other_prompt_when_lengths_are_measured(sounds: Path):
    listed(sounds, "file_name,caption\nbell.wav,a bell\ndeep/rain.flac,rain\n")
    (sounds / "bell.wav").write_bytes(b"RIFF")
    assert [prompt.seconds for prompt in opened(sounds).prompts()] == [0.0, 0.1]


def test_prompts_of_a_separate_list_do_not_depend_on_the_recordings_that_answer_it(
    sounds: Path, tmp_path: Path
):
    silent = listed(tmp_path, BOTH, "prompts.csv")
    longer = tmp_path / "longer"
    (longer / "deep").mkdir(parents=True)
    for name in ("bell.wav", "deep/rain.flac"):
        write_audio(longer / name, torch.zeros(1, 8000), 8000)
    prompts = opened(sounds, prompts=silent).prompts()
    assert opened(longer, prompts=silent).prompts() == prompts
    assert [prompt.seconds for prompt in prompts] == [0, 0]
    assert [prompt.seconds for prompt in opened(sounds, prompts=silent, seconds=3).prompts()] == [3, 3]
