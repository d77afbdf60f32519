"""Training logs: log.jsonl, a console line, TensorBoard, and curves.png at the end."""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from tips_model.atomic import replacing


class Metrics:
    """Averages the steps' values and writes them every `every` steps; silent without a folder.

    `wait` in the log is the fraction of time spent waiting for data.
    """

    def __init__(self, folder: Path | None, every: int, steps: int, start: int) -> None:
        self.folder = folder
        self.every = every
        self.steps = steps
        self._sums: dict[str, float] = defaultdict(float)
        self._counts: dict[str, int] = defaultdict(int)
        self._since = time.perf_counter()
        self._waited = 0.0
        self._images = 0
        self._writer: Any = None
        if folder is not None:
            from torch.utils.tensorboard.writer import SummaryWriter

            folder.mkdir(parents=True, exist_ok=True)
            trim(folder / "log.jsonl", start)
            self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=start + 1)

    def __enter__(self) -> Metrics:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def add(self, step: int, values: dict[str, float], images: int, waited: float) -> None:
        """Add the values of the step that ended as number `step` (from 1), its pictures and its
        wait.
        """
        for name, value in values.items():
            self._sums[name] += value
            self._counts[name] += 1
        self._images += images
        self._waited += waited
        if step % self.every == 0 or step == self.steps:
            self.flush(step)

    def flush(self, step: int) -> None:
        """Write the values since the last line, if any (a run may stop in between)."""
        if not self._counts:
            return
        now = time.perf_counter()
        seconds = max(now - self._since, 1e-9)
        means = {name: total / self._counts[name] for name, total in self._sums.items()}
        means |= {"images_per_second": self._images / seconds, "wait": self._waited / seconds}
        self.write(step, means)
        if self.folder is not None:
            shown = "  ".join(f"{name} {value:.4g}" for name, value in means.items())
            print(f"step {step}/{self.steps}  {shown}", file=sys.stderr, flush=True)
        self._sums.clear()
        self._counts.clear()
        self._since, self._waited, self._images = now, 0.0, 0

    def write(self, step: int, values: dict[str, float]) -> None:
        """One line of log.jsonl and the same values to TensorBoard."""
        if self.folder is None:
            return
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def pause(self, seconds: float) -> None:
        """Exclude `seconds` (of saving or evaluation) from the speed."""
        self._since += seconds


def trim(path: Path, start: int) -> None:
    """Drop truncated lines of log.jsonl and those after step `start`, which will be
    written again.
    """
    if path.exists():
        lines = [json.dumps(values) for values in _lines(path) if values["step"] <= start]
        with replacing(path) as file:
            file.write("".join(line + "\n" for line in lines).encode())


def _lines(path: Path) -> Iterator[dict[str, float]]:
    """The lines of log.jsonl, without one that was truncated when its process was killed."""
    for line in path.read_bytes().splitlines():
        try:
            values = json.loads(line)
            values["step"]
        except (ValueError, TypeError, LookupError):
            continue
        yield values


def read_log(path: Path) -> dict[str, tuple[list[int], list[float]]]:
    """log.jsonl as curves: name -> (steps, values)."""
    curves: dict[str, tuple[list[int], list[float]]] = {}
    for values in _lines(path) if path.exists() else ():
        step = int(values.pop("step"))
        for name, value in values.items():
            steps, points = curves.setdefault(name, ([], []))
            steps.append(step)
            points.append(float(value))
    return curves


def draw_curves(folder: Path) -> Path:
    """curves.png from log.jsonl, one panel for each value; returns its path."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    curves = read_log(folder / "log.jsonl")
    rows = -(-len(curves) // 4) or 1
    figure = Figure(figsize=(16, 3 * rows))
    FigureCanvasAgg(figure)
    # Fixed margins and few ticks: a layout that measures every label takes twice as long.
    figure.subplots_adjust(0.05, 0.2 / rows, 0.99, 1 - 0.1 / rows, wspace=0.25, hspace=0.45)
    for i, (name, (steps, values)) in enumerate(sorted(curves.items())):
        axes = figure.add_subplot(rows, 4, i + 1)
        axes.plot(steps, values, linewidth=1, marker="." if len(steps) < 20 else None)
        axes.set_title(name)
        axes.set_xlabel("step")
        axes.locator_params(nbins=4)
    path = folder / "curves.png"
    figure.savefig(path, dpi=80)
    return path
