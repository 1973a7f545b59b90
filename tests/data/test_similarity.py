import pytest
import torch

from dcgan.data.similarity import Candidates, make_thumbnails, recolored_distances, shifted_distances
from tests.data.pictures import ALTERATIONS, darken, draw_shapes, exchange_channels


def test_thumbnails_have_one_size_and_no_transparency():
    assert make_thumbnails(draw_shapes(3)).shape == (3, 3, 16, 16)
    assert make_thumbnails(torch.zeros(2, 1, 28, 20, dtype=torch.uint8)).shape == (2, 1, 16, 16)
    transparent = torch.zeros(1, 4, 32, 32, dtype=torch.uint8)
    assert (make_thumbnails(transparent) == 255).all()
    assert make_thumbnails(transparent[:0]).shape == (0, 3, 16, 16)


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_altered_picture_has_its_original_on_the_short_list(name: str):
    pictures = draw_shapes(200)
    rows = Candidates(make_thumbnails(pictures)).find(make_thumbnails(ALTERATIONS[name](pictures[:40])))
    assert rows.shape == (40, 40)
    assert (rows == torch.arange(40)[:, None]).any(1).float().mean() >= 0.97


def test_pictures_of_a_group_are_not_compared_with_each_other():
    thumbnails = make_thumbnails(draw_shapes(30))
    groups = torch.arange(30) // 2
    rows = Candidates(thumbnails, groups).find(thumbnails, groups)
    own = rows // 2 == groups[:, None]
    assert not own[:, :10].any()


def test_views_are_mirrored_and_shifted_by_one_pixel():
    image = torch.rand(1, 3, 16, 16)
    views = torch.stack([image[0], image[0].flip(2), image[0].roll((1, -1), (1, 2)), image[0].roll((2, 0), (1, 2))])
    distances = shifted_distances(image, views[None])[0]
    assert distances[:3].max() < 1e-3
    assert distances[3] > 0.2


def test_other_colors_are_explained_and_other_pictures_are_not():
    pictures = draw_shapes(3)
    image = make_thumbnails(pictures[:1]).float() / 255
    others = make_thumbnails(torch.cat([exchange_channels(pictures[:1]), darken(pictures[:1].flip(3)), pictures[1:]]))
    distances = recolored_distances(image, others[None].float() / 255)[0]
    assert distances[:2].max() < 0.03
    assert distances[2:].min() > 0.5


def test_a_flat_picture_is_no_recolored_copy_of_every_picture():
    image = make_thumbnails(draw_shapes(1)).float() / 255
    flat = torch.full((1, 1, 3, 16, 16), 0.5)
    assert recolored_distances(image, flat)[0, 0] == 1
    assert recolored_distances(flat[0], flat)[0, 0] == 1
