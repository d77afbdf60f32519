import pytest
import torch

from tips_model.eval.pointing import Questions, centred, pointing


def test_pointing_by_hand():
    names = torch.eye(3)
    patches = torch.zeros(1, 2, 2, 3)
    patches[0, 0, 0] = names[0]  # on its object
    patches[0, 1, 1] = names[1]  # on the object of name 0
    patches[0, 0, 1] = names[2]  # on nothing
    masks = torch.zeros(3, 4, 4, dtype=torch.bool)
    masks[0, :2, :2] = masks[0, 2:, 2:] = True
    masks[1, 2:, :2] = True
    masks[2, 2, 0] = True
    questions = Questions(
        image=torch.zeros(3, dtype=torch.int64),
        name=torch.arange(3),
        mask=masks,
        foreground=masks.any(0, keepdim=True),
    )
    found = pointing(patches, names, questions)
    assert found["hit"] == pytest.approx(1 / 3)
    assert found["hit_any"] == pytest.approx(2 / 3)
    assert found["right_given_hit"] == pytest.approx(1 / 2)
    assert found["chance"] == pytest.approx((8 + 4 + 1) / 48)


def test_the_patch_is_looked_up_at_its_centre():
    patches = torch.zeros(1, 1, 3, 1)
    patches[0, 0, 2] = 1.0  # columns 8 to 11 of 12; centre at 10
    mask = torch.zeros(1, 4, 12, dtype=torch.bool)
    mask[0, 2, 10] = True
    questions = Questions(
        image=torch.tensor([0]), name=torch.tensor([0]), mask=mask, foreground=mask
    )
    assert pointing(patches, torch.ones(1, 1), questions)["hit"] == 1.0


def test_centred_names_have_lost_what_they_share() -> None:
    shared, own = torch.tensor([[0.0, 0.0, 5.0]]), torch.eye(3)[:2]
    found = centred(own + shared)
    assert torch.allclose(found, torch.tensor([[0.5, -0.5, 0.0], [-0.5, 0.5, 0.0]]) * 2**0.5)
