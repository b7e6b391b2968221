"""PaSST's weights: the released file, one of one's own, or random ones of the official size.

passt-s-swa-p16-128-ap476         the released weights, from the cache or downloaded
FILE                              the same file, or its tensors in another format, anywhere
random/passt-s-swa-p16-128-ap476  no weights: random ones, to time it or to try a suite
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from arc_eval.errors import CheckpointError, suggest
from arc_eval.models.artefact_files import fetch
from arc_eval.models.artefacts import artefact
from arc_eval.models.checkpoint import read_tensors
from arc_eval.models.digest import cached_digest
from arc_eval.models.passt import Passt, PasstConfig
from arc_eval.models.state import WithoutWeights, load_state
from arc_eval.seeding import initial_weights

OFFICIAL = "passt-s-swa-p16-128-ap476"
RANDOM = f"random/{OFFICIAL}"
RANDOM_SEED = 0
OFFICIAL_SIZES = PasstConfig()

PATCHES, TIMES, FREQUENCIES, HEAD = (
    "patch_embed.proj.weight", "time_new_pos_embed", "freq_new_pos_embed", "head.1.weight",
)  # fmt: skip


@dataclass(frozen=True)
class LoadedPasst:
    """The network in evaluation mode on the CPU, and what says which weights it has."""

    network: Passt
    digest: str


def load_passt(weights: str | Path) -> LoadedPasst:
    """Reads what the module's spellings name; the official weights may be downloaded.

    Nothing that a file holds is run. Raises CheckpointError if it is absent, damaged or another network.
    """
    name = str(weights)
    if name == RANDOM:
        return LoadedPasst(random_passt(OFFICIAL_SIZES, RANDOM_SEED), f"random weights of seed {RANDOM_SEED}")
    path = _file(name)
    network = filled_passt(read_tensors(path), str(path))
    return LoadedPasst(network, cached_digest(path).hex())


def _file(name: str) -> Path:
    if name == OFFICIAL:
        (path,) = fetch(artefact(OFFICIAL)).values()
        return path
    path = Path(name).expanduser()
    if not path.is_file():
        raise CheckpointError(
            f"{name}: no such file of PaSST weights; name the file, or {suggest(name, (OFFICIAL, RANDOM))}"
        )
    return path


def random_passt(config: PasstConfig, seed: int) -> Passt:
    """A network of any size whose weights `seed` decides; every one of them is heard."""
    with initial_weights(seed):
        network = Passt(config)
        for name, parameter in network.named_parameters():
            if name.endswith(("_token", "_embed")):
                nn.init.trunc_normal_(parameter, std=0.02)
    return network.requires_grad_(False).eval()


def filled_passt(tensors: Mapping[str, Tensor], where: str, config: PasstConfig = OFFICIAL_SIZES) -> Passt:
    """A network with a checkpoint's tensors, float32, in evaluation mode; `where` names them in errors.

    Raises CheckpointError, saying which network the tensors are rather of where that shows.
    """
    with WithoutWeights():
        network = Passt(config)
    _check_kind(tensors, network.state_dict(), where)
    load_state(network, tensors, where)
    return network.requires_grad_(False).eval()


def _check_kind(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str) -> None:
    """The mistakes that other releases of PaSST invite, said before a list of tensors is."""
    remedy = f"the protocol needs {OFFICIAL} (`arc-eval weights list` says where it comes from)"
    missing = [name for name in (PATCHES, TIMES, FREQUENCIES, HEAD) if name not in tensors]
    if missing:
        raise CheckpointError(f"{where}: no weights of PaSST: it has no {', '.join(missing)}; {remedy}")
    grid, wanted = _grid(tensors), _grid(expected)
    if grid != wanted:
        raise CheckpointError(
            f"{where}: a PaSST of another patch stride or clip length: {grid[0]} x {grid[1]} places of "
            f"frequency and time, not {wanted[0]} x {wanted[1]}; {remedy}"
        )
    classes, known = (state[HEAD].shape[0] for state in (tensors, expected))
    if classes != known:
        raise CheckpointError(
            f"{where}: a PaSST that tells {classes} classes apart, not {known} as AudioSet's do: "
            f"was it trained on another data set? {remedy}"
        )


def _grid(tensors: Mapping[str, Tensor]) -> tuple[int, int]:
    return tensors[FREQUENCIES].numel() // _width(tensors), tensors[TIMES].numel() // _width(tensors)


def _width(tensors: Mapping[str, Tensor]) -> int:
    return max(1, tensors[PATCHES].shape[0])
