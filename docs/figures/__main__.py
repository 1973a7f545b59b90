"""Write all figures, or those that are named: `python -m docs.figures [NAME ...]`."""

import sys

from docs.figures import FIGURES, draw_figure

for name in sys.argv[1:] or FIGURES:
    draw_figure(name)
    print(name)
