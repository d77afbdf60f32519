"""Errors that a user can cause or fix; the command line prints the message and exits with 2."""

from importlib.util import find_spec


class TipsError(Exception):
    """Base of every error meant for users: one sentence that names the problem and what to do."""


class WeightsError(TipsError):
    """Weights are missing, incomplete, damaged, or do not fit the model."""


class ModelNameError(TipsError):
    """An unknown model name."""


class MissingPackageError(TipsError):
    """An optional package is not installed."""


def check_installed(extra: str, *packages: str) -> None:
    """Raise `MissingPackageError` unless these packages of an optional extra are installed."""
    if missing := [name for name in packages if find_spec(name) is None]:
        raise MissingPackageError(
            f"This needs {' and '.join(missing)}; run `pip install 'tips-search[{extra}]'`, or "
            f"`pip install -e '.[{extra}]'` in a checkout."
        )
