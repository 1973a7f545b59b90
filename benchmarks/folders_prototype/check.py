import torch, torch.nn.functional as F, recipes

torch.set_num_threads(1)
u = recipes.UpConv(5, 7, "nearest")
x = torch.randn(2, 5, 8, 8)
print((u(x) - F.conv2d(F.interpolate(x, scale_factor=2), u.weight, padding=1)).abs().max())
u = recipes.UpConv(5, 7, "bilinear")
print(
    (u(x) - F.conv2d(F.interpolate(x, scale_factor=2, mode="bilinear"), u.weight, padding=1))[:, :, 3:-3, 3:-3]
    .abs()
    .max()
)
from measure import backbone

n = backbone("lite0", features_only=True, out_indices=(0, 1, 2, 3, 4))
m = recipes.Frozen((0, 1, 2, 3, 4))
y = torch.randn(2, 3, 64, 64)
print([(a - b).abs().max().item() / a.abs().max().item() for a, b in zip(n(y), m(y))])
