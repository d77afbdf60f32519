"""Mistakes that a user can make or repair; a command line prints the sentence and exits with 2."""

from importlib.util import find_spec


class TipsError(Exception):
    """Base of every error meant for users: one sentence that names the thing and the way on."""


class WeightsError(TipsError):
    """Weights are missing, incomplete, damaged, or do not fit the model."""


class ModelNameError(TipsError):
    """A model name that nobody knows."""


class MissingPackageError(TipsError):
    """A package that only some commands need is not installed."""


def check_installed(extra: str, *packages: str) -> None:
    """Raise `MissingPackageError` unless these packages of one of the extras are installed."""
    if missing := [name for name in packages if find_spec(name) is None]:
        raise MissingPackageError(
            f"This needs {' and '.join(missing)}; run `pip install 'tips-search[{extra}]'`, or "
            f"`pip install -e '.[{extra}]'` in a checkout."
        )
