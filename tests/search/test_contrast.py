import numpy as np

from search.contrast import different, margins, word_list


def test_the_lists_hold_different_texts_and_no_comments() -> None:
    for name, least in (("unrelated", 300), ("contrast", 20)):
        words = word_list(name)
        assert len(words) == len(set(words)) >= least
        assert not any(word.startswith("#") or word != word.strip() for word in words)


def test_contrast_texts_of_the_same_meaning_are_left_out() -> None:
    centre = np.array([0, 0, 1], np.float32)
    query = np.array([1, 0, 1], np.float32)
    contrasts = np.array([[0.9, 0.1, 1], [0, 1, 1], [-1, 0, 1]], np.float32)
    np.testing.assert_array_equal(different(query, contrasts, centre), contrasts[1:])
    np.testing.assert_array_equal(different(query, contrasts[:1], centre), contrasts[:1])


def test_margin_is_the_cosine_less_the_soft_maximum_of_the_contrasts() -> None:
    rng = np.random.default_rng(0)
    features, contrasts = rng.standard_normal((5, 4, 8)), rng.standard_normal((6, 8))
    query = rng.standard_normal(8)
    cosines = features @ contrasts.T
    spread = cosines.std()
    expected = np.empty((5, 4))
    for place in np.ndindex(5, 4):
        soft = spread * np.log(np.mean([np.exp(c / spread) for c in cosines[place]]))
        expected[place] = features[place] @ query - soft
    found = margins(*(a.astype(np.float32) for a in (features, query, contrasts)))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_margins_stay_finite_when_all_contrasts_agree() -> None:
    ones = np.ones((3, 4), np.float32) / 2
    np.testing.assert_allclose(margins(ones, ones[0], ones), 0, atol=1e-6)
