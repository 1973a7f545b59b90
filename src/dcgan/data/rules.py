"""Versions of the rules by which image sets are read.

A checkpoint names the rules of its run, so that a run which is resumed reads its images as it did when it began. A rule
that changes which images, classes or pixels a set has needs a new version; everything else may change freely.

Version 1 is that of dcgan 0.1.0. Version 2 keeps only classes with training images, reads `dataset.json` in folders and
one folder down, ignores runs and the folders of file systems, counts a name that a zip has twice only once, finds
classes below `train/images/`, and finds the range of values of images of more than 8 bits. Version 3 keeps near
duplicates in one split, so that no variant of a training picture is held out. Version 4 reads the `metadata.csv` and
`metadata.jsonl` of Hugging Face's `imagefolder`. Version 5 holds out large groups of near duplicates no sooner than
small ones: before, the held-out part of 1,492 emoji consisted of flags for the most part. Version 6 turns pictures
upright that were not: EMNIST, whose files have rows and columns exchanged, and TIFF with an EXIF rotation, which was
applied twice. The size that it suggests is that of the turned pictures, not of the stored ones. Version 7 reads names
in zips that are UTF-8 without saying so, or Korean: see `zip_names`. Version 8 holds a tenth out of sets with small
classes too: before, each class gave its tenth rounded down, so that nothing was held out of classes of nine pictures.
Groups of near duplicates that are larger than what their class gives are held out of the whole set; before, they were
divided. Version 9 gives images of arrays the fewest channels that lose nothing, as it always was with files: before,
gray images of an array with three channels stayed RGB.
"""

RULES_OF_0_1 = 1
RULES_WITHOUT_GROUPS = 2
RULES_WITHOUT_METADATA = 3
RULES_OF_LARGE_GROUPS_FIRST = 4
RULES_WITHOUT_UPRIGHT = 5
RULES_OF_CP437_NAMES = 6
RULES_OF_ROUNDED_CLASSES = 7
RULES_OF_ARRAY_CHANNELS = 8
CURRENT_RULES = 9
