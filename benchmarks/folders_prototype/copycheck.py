"""The package's verdict on copies, with the validation pictures as unseen ones: python copycheck.py FAKES.npz..."""

import sys
import numpy as np, torch
import measure
from dcgan.metrics.copies import CopySearch, judge_copies

torch.set_num_threads(1)
d = np.load(measure.DATA)
pixels = lambda x: torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
search = CopySearch(pixels(d["train"]))
unseen = search.find([pixels(d["valid"])])
for name in sys.argv[1:]:
    v = judge_copies(search.find([pixels(np.load(name)["fakes"][:400])]), unseen, search, "held-out pictures")
    print(
        name,
        f"{v.verdict}: near {v.near_share:.3f} (unseen {v.unseen_near_share:.3f}), excess {v.excess:.3f} ({v.low:.3f} to {v.high:.3f}); authentic {v.authentic_share:.2f} (unseen {v.authentic_share_of_unseen:.2f})",
        flush=True,
    )
