"""What the search for copies says of training pictures."""

from pathlib import Path
from types import SimpleNamespace

from dcgan.data.open import open_images
from dcgan.data.rules import CURRENT_RULES, RULES_OF_0_1
from dcgan.evaluation import copies
from tests.conftest import make_picture_folder


def test_training_pictures_have_the_names_of_the_rules_that_they_were_read_by(tmp_path: Path):
    """Version 0.1.0 read the folders of file systems too, which stand before the others."""
    make_picture_folder(tmp_path / "d", 60)
    make_picture_folder(tmp_path / "d" / "$RECYCLE.BIN", 5)
    for rules, count in ((RULES_OF_0_1, 65), (CURRENT_RULES, 60)):
        everything = open_images(str(tmp_path / "d"), "all", size=(20, 20), rules=rules)
        assert len(everything) == count
        task = SimpleNamespace(data_source=str(tmp_path / "d"), real_images=everything)
        train = open_images(str(tmp_path / "d"), size=(20, 20), rules=rules)
        names = copies._training_names(task, train)
        assert [int(Path(name).stem) for name in names] == train.pixels[:, 0, 0, 0].tolist()
