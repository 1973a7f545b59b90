"""The names of the splits of an image set."""

SPLITS = ("train", "validation", "test", "all")


def split_words(split: str) -> str:
    """Return what a split is called in a sentence: "the test split", or "all splits"."""
    return "all splits" if split == "all" else f"the {split} split"
