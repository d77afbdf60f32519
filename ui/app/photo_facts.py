"""A photo's catalog row as labels and texts for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ui.formatting import counted, day, exposure_time, file_size, shown

_ORIGINS = {
    "name": " (by the file's name)",
    "gps": " (UTC, by GPS)",
    "takeout": " (UTC, by Google)",
    "changed": " (last change of the file)",
}


def facts_of(row: dict[str, Any]) -> list[tuple[str, str]]:
    """Label and text of everything in a catalog row."""
    lens = [row["lens"]] if row["lens"] else []
    if row["focal_length"]:
        lens.append(f"{row['focal_length']:g} mm")
    light = [f"f/{row['f_number']:g}"] if row["f_number"] else []
    light += [exposure_time(row["exposure"])] if row["exposure"] else []
    light += [f"ISO {row['iso']}"] if row["iso"] else []
    place = ""
    if row["latitude"] is not None and row["longitude"] is not None:
        place = f"{row['latitude']:.5f}, {row['longitude']:.5f}"
    facts: Sequence[tuple[str, str]] = (
        ("Taken", _taken(row)),
        ("Title", row["title"] or ""),
        ("Description", row["description"] or ""),
        ("Keywords", ", ".join(row["keywords"] or ())),
        ("Rating", "★" * max(row["rating"] or 0, 0)),
        ("Label", row["label"] or ""),
        ("Creator", row["creator"] or ""),
        ("Camera", row["camera"] or ""),
        ("Lens", ", ".join(lens)),
        ("Exposure", ", ".join(light)),
        ("Place", place),
        ("Size", f"{row['width']:,} × {row['height']:,} px, {file_size(row['bytes'])}"),
        ("Type", (row["format"] or "").upper()),
        *(("File", shown(file["path"])) for file in row["files"]),
        ("Note", "; ".join(row["notes"] or ())),
        ("Copies", counted(len(row["files"]), "file") if len(row["files"]) > 1 else ""),
    )
    return [(label, text) for label, text in facts if text]


def _taken(row: dict[str, Any]) -> str:
    if row["taken"] is None:
        return ""
    return day(row["taken"]) + _ORIGINS.get(row["dated"] or "", "")
