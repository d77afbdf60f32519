"""Strict reading of named tensors from other formats: none missing, none left over."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tips_model.errors import WeightsError
from tips_model.untrusted import read_arrays

State = dict[str, Tensor]
_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")  # of a block


class TensorSource:
    """The tensors of one file (or tower), float32, each to be taken exactly once.

    `label` names the origin in error messages, `names` maps to the tensors' names in the file,
    where they differ.
    """

    def __init__(
        self, tensors: Mapping[str, Tensor], label: str, names: Mapping[str, str] | None = None
    ) -> None:
        self._left = dict(tensors)
        self.label = label
        self._names = names or {}

    def __contains__(self, key: str) -> bool:
        return key in self._left

    def keys(self) -> tuple[str, ...]:
        """Names not taken yet."""
        return tuple(self._left)

    def shape(self, key: str) -> tuple[int, ...]:
        """Shape of a tensor, without taking it; WeightsError if it is missing."""
        return tuple(self._get(key).shape)

    def take(self, key: str, shape: tuple[int, ...]) -> Tensor:
        """The tensor with this name; WeightsError if it is missing or has another shape."""
        tensor = self._get(key)
        if tuple(tensor.shape) != shape:
            raise WeightsError(
                f"{self.label}: {self._called(key)} has shape {tuple(tensor.shape)}, the model "
                f"needs {shape}; is this the file of another model?"
            )
        del self._left[key]
        return tensor.float()

    def finish(self) -> None:
        """WeightsError naming the tensors that were not taken."""
        if self._left:
            surplus = sorted(self._called(key) for key in self._left)
            raise WeightsError(f"{self.label}: surplus tensors {_some(surplus)}.")

    def _get(self, key: str) -> Tensor:
        if key not in self._left:
            raise WeightsError(f"{self.label}: the tensor {self._called(key)} is missing.")
        return self._left[key]

    def _called(self, key: str) -> str:
        """The tensor's name in the file; for a missing one, derived from the same tensor of another
        block.
        """
        if key in self._names:
            return self._names[key]
        shape = _NUMBER.sub("#", key)
        for known, name in self._names.items():
            if _NUMBER.sub("#", known) == shape:
                parts = _NUMBER.split(name)
                numbers = [*_NUMBER.findall(key), ""]
                return "".join(map("".join, zip(parts, numbers, strict=True)))
        return key


def _some(names: list[str], limit: int = 4) -> str:
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + rest


def read_npz(path: Path) -> State:
    """All arrays of an npz file as tensors. Pickled objects are rejected, never executed."""
    try:
        return {key: torch.from_numpy(array) for key, array in read_arrays(path).items()}
    except FileNotFoundError as error:
        raise WeightsError(f"The weights file {path} is missing.") from error
    except (OSError, ValueError, TypeError) as error:
        raise WeightsError(
            f"{path} is not a plain npz file of numbers ({error}); download it again."
        ) from error


def read_safetensors(path: Path) -> State:
    """All tensors of a safetensors file."""
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise WeightsError(f"The weights file {path} is missing.") from error
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} is damaged ({error}); download it again.") from error


def fingerprint(state: Mapping[str, Tensor]) -> str:
    """16 hex digits that identify these weights: sha256 over the tensors as float32, sorted by
    name.

    The values count, not the file: the same weights read from another layout, or stored as float16
    without loss, have the same fingerprint.
    """
    digest = hashlib.sha256()
    for key in sorted(state):
        tensor = state[key].detach().to("cpu", torch.float32).contiguous()
        digest.update(f"{key}{tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().data)
    return digest.hexdigest()[:16]
