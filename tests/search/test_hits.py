import json

import numpy as np
import polars as pl

from search.hits import Hit, RegionHit, Results

REGION = RegionHit((0.0, 0.25, 0.5, 1.0), 1.2345678, np.ones((2, 2), bool))
HIT = Hit("ab" * 16, "/ü/a.jpg", ("/ü/a.jpg", "/b.jpg"), 1.5, True, 40, 30, (REGION,))
RESULTS = Results("a cup", "colours:0", (HIT,), 1, 9)


def test_the_dictionary_has_exactly_the_documented_keys() -> None:
    assert RESULTS.to_dict() == {
        "query": "a cup",
        "model": "colours:0",
        "total": 0,
        "next": None,
        "hits": [
            {
                "id": "ab" * 16,
                "path": "/ü/a.jpg",
                "score": 1.5,
                "confident": True,
                "regions": [{"box": [0.0, 0.25, 0.5, 1.0], "score": 1.234568}],
                "taken": None,
                "camera": None,
                "latitude": None,
                "longitude": None,
                "keywords": [],
            }
        ],
    }


def test_json_is_the_dictionary_with_readable_names() -> None:
    assert json.loads(RESULTS.to_json()) == RESULTS.to_dict()
    assert "/ü/a.jpg" in RESULTS.to_json()


def test_a_frame_has_a_row_per_hit_and_the_same_columns_without_any() -> None:
    frame = RESULTS.to_polars()
    assert frame.select("id", "path", "score", "confident").rows() == [
        ("ab" * 16, "/ü/a.jpg", 1.5, True)
    ]
    assert frame["regions"][0].struct.field("score").to_list() == [1.234568]
    assert frame["regions"][0].struct.field("box").to_list() == [[0.0, 0.25, 0.5, 1.0]]
    empty = Results("a", "m", (), 0, 9).to_polars()
    assert empty.schema == frame.schema
    assert empty.schema["confident"] == pl.Boolean
