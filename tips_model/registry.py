"""The registry of official weights: addresses, files, and which ones are downloaded.

The addresses are those of the authors' README and download scripts. No checksums are published, so
sizes come from the server and hashes from the first download (see `download.py`). `TIPS_CACHE`
moves the folder with the weights, `TIPS_MIRROR` replaces the server's address.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from tips_model.config import VARIANTS
from tips_model.download import Progress, RemoteFile, download
from tips_model.errors import ModelNameError, WeightsError
from tips_model.untrusted import parse_json

BUCKET = "https://storage.googleapis.com/tips_data"
TOKENIZER_FILE = "tokenizer.model"
FORMAT = "tips-search model"
NANO_FOLDER = Path(__file__).parent / "nano"

OFFICIAL = {
    "tips-s14-hr": "v1_0/checkpoints/pytorch/tips_oss_s14_highres_distilled",
    "tips-b14-hr": "v1_0/checkpoints/pytorch/tips_oss_b14_highres_distilled",
    "tips-l14-hr": "v1_0/checkpoints/pytorch/tips_oss_l14_highres_distilled",
    "tips-so14-hr": "v1_0/checkpoints/pytorch/tips_oss_so400m14_highres_largetext_distilled",
    "tips-g14-hr": "v1_0/checkpoints/pytorch/tips_oss_g14_highres",
    "tips-g14-lr": "v1_0/checkpoints/pytorch/tips_oss_g14_lowres",
    "tipsv2-b14": "v2_0/checkpoints/pytorch/tips_v2_oss_b14",
    "tipsv2-l14": "v2_0/checkpoints/pytorch/tips_v2_oss_l14",
    "tipsv2-so14": "v2_0/checkpoints/pytorch/tips_v2_oss_so14",
    "tipsv2-g14": "v2_0/checkpoints/pytorch/tips_v2_oss_g14",
}
"""The official models: name -> path prefix of its files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFiles:
    """One model and its files. `here`: all files are present (always so for the bundled one).

    `parameters` counts both towers; the official files hold four bytes for each. `note`: what to
    know before choosing it, usually "".
    """

    name: str
    parameters: int
    files: tuple[RemoteFile, ...]
    folder: Path | None
    here: bool
    note: str = ""


def cache_folder() -> Path:
    """The folder with all downloaded models."""
    chosen = os.environ.get("TIPS_CACHE")
    return Path(chosen) if chosen else user_cache_path("tips-search") / "models"


def remote_files(name: str) -> tuple[RemoteFile, ...]:
    """The official files of a model: image tower, text tower, tokenizer."""
    stem = OFFICIAL.get(name)
    if stem is None:
        known = ", ".join(OFFICIAL)
        raise ModelNameError(f"There are no official files for {name!r}; there are {known}.")
    server = os.environ.get("TIPS_MIRROR", BUCKET).rstrip("/")
    paths = (f"{stem}_vision.npz", f"{stem}_text.npz", f"v1_0/checkpoints/{TOKENIZER_FILE}")
    return tuple(RemoteFile(path.rpartition("/")[2], f"{server}/{path}") for path in paths)


def list_models() -> list[ModelFiles]:
    """Every model by name, the bundled one first, with the note from its config.json."""
    note = str(parse_json((NANO_FOLDER / "config.json").read_bytes())["note"])
    models = [_describe("nano", (), None, here=True, note=note)]
    for name in OFFICIAL:
        folder = cache_folder() / name
        models.append(
            _describe(name, remote_files(name), folder, here=cached_folder(name) is not None)
        )
    return models


def stated_id(name: str, weights: str | Path | None = None) -> str | None:
    """NAME:WEIGHTS, the prefix of a model's id, read without the model (arguments as for `load`).

    None if only the tensors determine it: official files, OpenCLIP, or no model there.
    """
    folder = Path(weights) if weights else NANO_FOLDER if name == "nano" else Path(name)
    try:
        stated = parse_json((folder / "config.json").read_bytes())
        own = stated["format"] == FORMAT
        return f"{stated['model']['name']}:{stated['weights_id']}" if own else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def fetch(name: str, progress: Progress | None = None) -> Path:
    """Download the missing files of a model and check them; returns its folder.

    An interrupted download resumes. Raises ModelNameError for a name without official files,
    WeightsError with the address and what to do when a file cannot be downloaded.
    """
    folder = cache_folder() / name
    for file in remote_files(name):
        try:
            download(file, folder, progress)
        except WeightsError as error:
            raise WeightsError(f"{error} {_ways_on(name)}") from error
    return folder


def cached_folder(name: str) -> Path | None:
    """The folder with the downloaded files of a model, or None unless all are present."""
    folder = cache_folder() / name
    names = (file.name for file in remote_files(name))
    return folder if _all_in(folder, names) else None


def missing_sentence(name: str) -> str:
    """The message for a user whose model has no weights here."""
    folder = cache_folder() / name
    missing = [file for file in remote_files(name) if not (folder / file.name).exists()]
    return (
        f"The weights of {name} are not installed: {missing[0].name} is missing; download it "
        f"from {missing[0].url} with `tips models fetch {name}`. {_ways_on(name)}"
    )


def tokenizer_path(folder: Path, name: str) -> Path:
    """The tokenizer beside the weights, else that of any downloaded model: all share one file."""
    places = [folder, cache_folder() / name, *(cache_folder() / other for other in OFFICIAL)]
    for place in places:
        if (place / TOKENIZER_FILE).exists():
            return place / TOKENIZER_FILE
    url = remote_files(name)[-1].url
    raise WeightsError(f"{folder} has no {TOKENIZER_FILE}; put the file from {url} there.")


def _describe(
    name: str,
    files: tuple[RemoteFile, ...],
    folder: Path | None,
    *,
    here: bool,
    note: str = "",
) -> ModelFiles:
    return ModelFiles(
        name=name,
        parameters=VARIANTS[name].parameter_count(),
        files=files,
        folder=folder,
        here=here,
        note=note,
    )


def _all_in(folder: Path, names: Iterable[str]) -> bool:
    return all((folder / name).is_file() for name in names)


def _ways_on(name: str) -> str:
    return (
        "Or use the bundled model (`--model nano`, or `tips switch nano`), or with a folder that "
        f"holds the files (`--model {name} --weights DIR`)."
    )
