import torch

from dcgan.data import near_duplicates
from dcgan.data.near_duplicates import group_near_duplicates
from dcgan.data.similarity import make_thumbnails
from tests.data.pictures import ALTERATIONS, draw_shapes


def test_variants_of_a_picture_are_one_group():
    pictures = draw_shapes(60)
    variants = [alter(pictures[:10]) for name, alter in ALTERATIONS.items() if name != "shifted"]
    groups = group_near_duplicates(make_thumbnails(torch.cat([pictures, *variants])))
    assert (groups[:60] == torch.arange(60)).all()
    assert (groups[60:].view(len(variants), 10) == torch.arange(10)).all()


def test_a_chain_does_not_become_one_large_group(monkeypatch):
    monkeypatch.setattr(near_duplicates, "MIN_GROUP_LIMIT", 4)
    same = draw_shapes(1).repeat(10, 1, 1, 1)
    groups = group_near_duplicates(make_thumbnails(same))
    assert torch.bincount(groups).max() == 4


def test_flat_pictures_are_no_variants_of_each_other():
    flat = torch.arange(0, 200, 10).view(20, 1, 1, 1).expand(-1, 3, 16, 16).to(torch.uint8)
    assert group_near_duplicates(flat).tolist() == list(range(20))


def test_few_pictures_are_their_own_groups():
    assert group_near_duplicates(make_thumbnails(draw_shapes(1))).tolist() == [0]
    assert group_near_duplicates(make_thumbnails(draw_shapes(2))).tolist() == [0, 1]
