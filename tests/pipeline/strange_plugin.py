"""A stranger's generator, badly behaved on demand: what it does is written in the prompt's text."""

from collections.abc import Mapping, Sequence

import torch

from arc_eval import contracts
from arc_eval.contracts import StageHook, untimed
from arc_eval.records.audio import AudioBatch
from arc_eval.records.prompt import Prompt


class Settings(contracts.Settings):
    """`{kind: strange}`."""

    def build(self) -> "Strange":
        return Strange()


class Strange:
    """A tone of the seed's own pitch, unless the prompt asks for trouble."""

    sample_rate = 8000

    def generate(
        self, prompts: Sequence[Prompt], seeds: Sequence[int], *, stage: StageHook = untimed
    ) -> AudioBatch:
        return AudioBatch.of(
            [self._clip(p, s) for p, s in zip(prompts, seeds, strict=True)], self.sample_rate
        )

    def _clip(self, prompt: Prompt, seed: int) -> torch.Tensor:
        if "raises" in prompt.text:
            raise KeyError("a stranger's own trouble")
        length = 0 if "empty" in prompt.text else round(prompt.seconds * self.sample_rate)
        clip = 0.1 * torch.sin((0.01 + seed % 97 / 1000) * torch.arange(length)).expand(2, -1).clone()
        if "broken" in prompt.text:
            clip[0, 3] = torch.nan
        return clip * 0 if "silent" in prompt.text else clip

    def identity(self) -> Mapping[str, str]:
        return {"version": "1"}
