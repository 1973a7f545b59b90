"""`python -m docs.figures [NAME ...]`: write all figures, or those named."""

import sys

from docs.figures import FIGURES

for name in sys.argv[1:] or FIGURES:
    FIGURES[name]()
    print(name)
