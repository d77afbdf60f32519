"""Mistakes that a user can make or repair; a command line prints the sentence and exits with 2."""


class TipsError(Exception):
    """Base of every error meant for users: one sentence that names the thing and the way on."""


class WeightsError(TipsError):
    """Weights are missing, incomplete, damaged, or do not fit the model."""


class ModelNameError(TipsError):
    """A model name that nobody knows."""
