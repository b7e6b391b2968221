"""What tells one list of prompts from another."""

from collections.abc import Sequence

from arc_eval.records.prompt import Prompt, clusters
from arc_eval.store import digest_of


def prompts_digest(prompts: Sequence[Prompt]) -> str:
    """sha256 of a prompt list, in order: ids, captions, lengths, tags, and units that prompts share."""
    shared = clusters(prompts)
    return digest_of(
        [
            [prompt.id, prompt.text, prompt.seconds, *prompt.tags, *_named(shared.get(prompt.id))]
            for prompt in prompts
        ]
    )


def _named(unit: str | None) -> list[dict[str, str]]:
    # No tag is a mapping, so no list with units has the digest of one without.
    return [] if unit is None else [{"unit": unit}]
