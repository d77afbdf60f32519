import numpy as np

from search.places.contrast import pointing
from search.word_lists import word_list


def test_the_lists_hold_different_texts_and_no_comments() -> None:
    for name, least in (("unrelated", 300), ("contrast", 20)):
        words = word_list(name)
        assert len(words) == len(set(words)) >= least
        assert not any(word.startswith("#") or word != word.strip() for word in words)


def test_a_text_points_away_from_the_mean_contrast() -> None:
    contrasts = np.array([[1, 0, 1], [0, 0, 1]], np.float32)
    found = pointing(np.array([[0.5, 2, 1], [3.5, 0, 5]], np.float32), contrasts)
    np.testing.assert_allclose(found, [[0, 1, 0], [0.6, 0, 0.8]], atol=1e-6)


def test_a_text_like_the_mean_contrast_points_nowhere() -> None:
    ones = np.ones((3, 4), np.float32)
    np.testing.assert_array_equal(pointing(ones[0], ones), np.zeros(4))
