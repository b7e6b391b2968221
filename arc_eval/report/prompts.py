"""The per-prompt view: for the first prompts, one clip of every system to see and to hear.

Sound and picture travel inside the page, so their number is bounded: whole prompts are added until
the next would pass the budget.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from arc_eval.records.parquet import ClipRow
from arc_eval.records.run import Role
from arc_eval.report.ogg import vorbis
from arc_eval.report.source import Entry
from arc_eval.report.spectrogram import spectrogram_png

MAX_PROMPTS = 16
MAX_BYTES = 11_000_000
"""Of sound and pictures as text in the page, which stays below 15 MB with everything else."""

TAKE = 0


@dataclass(frozen=True)
class Card:
    """One system's clip of a prompt: addresses of sound and picture, or the reason why there is none."""

    label: str
    role: Role
    seconds: float
    scores: Mapping[str, float]
    sound: str = ""
    picture: str = ""
    reason: str = ""


@dataclass(frozen=True)
class PromptView:
    """A prompt and the clips made from it."""

    id: str
    text: str
    tags: tuple[str, ...]
    cards: tuple[Card, ...]

    @property
    def size(self) -> int:
        """Characters of the page that its sounds and pictures take."""
        return sum(len(card.sound) + len(card.picture) for card in self.cards)


def prompt_views(entries: Sequence[Entry]) -> list[PromptView]:
    """The first prompts with their clips, as many as the budget holds."""
    views: list[PromptView] = []
    used = 0
    for prompt in prompt_ids(entries)[:MAX_PROMPTS]:
        view = _view(prompt, entries)
        used += view.size
        if used > MAX_BYTES:
            break
        views.append(view)
    return views


def prompt_ids(entries: Sequence[Entry]) -> list[str]:
    """Every prompt of every Run, in order of first appearance."""
    return list(dict.fromkeys(row.prompt for entry in entries for row in entry.source.clips))


def _view(prompt: str, entries: Sequence[Entry]) -> PromptView:
    rows = [(entry, entry.source.clip_at.get((entry.system.name, prompt, TAKE))) for entry in entries]
    found = [(entry, row) for entry, row in rows if row is not None]
    first = found[0][1] if found else None
    return PromptView(
        prompt,
        first.text if first else "",
        tuple(filter(None, first.tags.split("|"))) if first else (),
        tuple(_card(entry, row) for entry, row in found),
    )


def _card(entry: Entry, row: ClipRow) -> Card:
    import soundfile

    scores = entry.source.scores_of.get((row.system, row.clip), {})
    card = Card(entry.label, entry.system.role, row.seconds or 0.0, scores)
    if row.status != "ok":
        return _without(card, row.reason or row.status)
    path = (entry.source.folder / row.path).resolve()
    if not path.is_relative_to(entry.source.folder.resolve()):
        return _without(card, f"{row.path} lies outside the Run folder")
    try:
        samples, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        return _without(card, f"{row.path} cannot be read: {error}")
    if not len(samples):
        return _without(card, f"{row.path} holds no samples")
    return Card(
        card.label,
        card.role,
        len(samples) / sample_rate,
        scores,
        sound=_address("audio/ogg", vorbis(samples, sample_rate)),
        picture=_address("image/png", spectrogram_png(samples, sample_rate)),
    )


def _without(card: Card, reason: str) -> Card:
    return Card(card.label, card.role, card.seconds, card.scores, reason=reason)


def _address(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
