"""`python -m docs.figures [NAME ...]`: write all figures, or those named."""

import sys

from docs.figures import FIGURES, draw

for name in sys.argv[1:] or FIGURES:
    draw(name)
    print(name)
