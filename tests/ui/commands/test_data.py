import io
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from tips_model.train.dataset import open_table
from tips_model.train.source import DataError
from ui.commands.data import data


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    """A list of two good pairs, one without a caption and one whose file is missing."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_bytes(out.getvalue())
    path = tmp_path / "pairs.csv"
    path.write_text("image,caption\na.png,one\nb.png,two\nc.png,\nd.png,gone\n")
    return path


def test_a_list_becomes_a_table_and_what_is_left_out_is_told(listing: Path, tmp_path: Path):
    out = tmp_path / "table"
    result = CliRunner().invoke(data, ["list", str(listing), "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert "2 pairs in" in result.output
    assert "Left out 1: no caption." in result.output
    assert "Left out 1: file cannot be read (FileNotFoundError)." in result.output
    assert open_table(out).to_arrow()["web"].to_pylist() == ["one", "two"]


def test_the_limit_stops_the_import(listing: Path, tmp_path: Path):
    arguments = ["list", str(listing), "-o", str(tmp_path / "t"), "--limit", "0"]
    result = CliRunner().invoke(data, arguments)
    assert isinstance(result.exception, DataError)
