"""How much nearer fakes lie to training pictures than to as many test pictures (the package's `memorisation`), by Lite2, with a bootstrap interval."""

import sys
import numpy as np, torch
from measure import DATA, features, reference

torch.set_num_threads(1)
real, _, train = reference("test")
own, test = (
    train["lite2"][torch.randperm(len(train["lite2"]), generator=torch.Generator().manual_seed(0))[:400]],
    real["lite2"],
)
for file in sys.argv[1:]:
    fake = features(np.load(file)["fakes"][:400])["lite2"]
    a, b = torch.cdist(fake, own).min(1).values, torch.cdist(fake, test).min(1).values
    picks = torch.randint(400, (2000, 400), generator=torch.Generator().manual_seed(1))
    ratio = a[picks].mean(1) / b[picks].mean(1)
    print(
        file,
        f"{float(a.mean() / b.mean()):.3f} ({float(ratio.quantile(0.025)):.3f} to {float(ratio.quantile(0.975)):.3f})",
    )
