"""Audio files of a folder, and the recording that each is named after."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from arc_eval.errors import DataError

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


def audio_files(folder: Path) -> list[Path]:
    """Every audio file in a folder and the folders within, sorted."""
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())


class NamedFiles:
    """A folder's audio files by name: path or file name without suffix, or what is before the first dot."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; is `audio` right?")
        self.folder = folder
        self._files: dict[str, set[Path]] = {}
        for file in audio_files(folder):
            for name in _names(file.relative_to(folder)):
                self._files.setdefault(name, set()).add(file)
        if not self._files:
            raise DataError(
                f"{folder}: no audio file ({', '.join(SUFFIXES)}) in it; is `audio` right? "
                "Leave it out for prompts without recordings"
            )

    def find(self, names: Sequence[str]) -> Path | None:
        """The file of the first name that has one. Raises DataError if it has several."""
        for name in names:
            found = sorted(self._files.get(name, ()))
            if len(found) > 1:
                both = " and ".join(str(file.relative_to(self.folder)) for file in found[:2])
                raise DataError(f"{self.folder}: {both} are both named {name!r}; remove one")
            if found:
                return found[0]
        return None


def _names(path: Path) -> Iterator[str]:
    yield path.with_suffix("").as_posix()
    yield path.stem
    yield path.name.split(".", 1)[0]
