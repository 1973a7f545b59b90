"""The study's own code, as its document prints it. Tests compare the package with it, and benchmarks time it.

`forward`, the noise, the initialization and the loop are those of the course notebook that the document follows; the
document only names them.
"""

import lzma
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class Generator(nn.Module):
    def __init__(self, z_dim: int = 10, im_chan: int = 1, hidden_dim: int = 64) -> None:
        super().__init__()
        self.z_dim = z_dim
        # Build the neural network
        self.gen = nn.Sequential(
            self.gen_block(z_dim, hidden_dim * 4),
            self.gen_block(hidden_dim * 4, hidden_dim * 2, kernel_size=4, stride=1),
            self.gen_block(hidden_dim * 2, hidden_dim),
            self.gen_block(hidden_dim, im_chan, kernel_size=4, final_layer=True),
        )

    def gen_block(
        self, in_channel: int, out_channel: int, kernel_size: int = 3, stride: int = 2, final_layer: bool = False
    ) -> nn.Sequential:
        if not final_layer:
            return nn.Sequential(
                nn.ConvTranspose2d(in_channel, out_channel, kernel_size=kernel_size, stride=stride),
                nn.BatchNorm2d(out_channel),
                nn.ReLU(inplace=True),
            )
        return nn.Sequential(
            nn.ConvTranspose2d(in_channel, out_channel, kernel_size, stride),
            nn.Tanh(),
        )

    def forward(self, noise: Tensor) -> Any:
        return self.gen(noise.view(len(noise), self.z_dim, 1, 1))


class Discriminator(nn.Module):
    def __init__(self, im_chan: int = 1, hidden_dim: int = 16) -> None:
        super().__init__()
        self.disc = nn.Sequential(
            self.disc_block(im_chan, hidden_dim),
            self.disc_block(hidden_dim, hidden_dim * 2),
            self.disc_block(hidden_dim * 2, 1, final_layer=True),
        )

    def disc_block(
        self, in_: int, out: int, kernel_size: int = 4, stride: int = 2, final_layer: bool = False
    ) -> nn.Sequential:
        if not final_layer:
            return nn.Sequential(
                nn.Conv2d(in_, out, kernel_size, stride), nn.BatchNorm2d(out), nn.LeakyReLU(0.2, inplace=True)
            )
        return nn.Sequential(nn.Conv2d(in_, out, kernel_size, stride))

    def forward(self, image: Tensor) -> Any:
        disc_pred = self.disc(image)
        return disc_pred.view(len(disc_pred), -1)


def get_noise(n_samples: int, z_dim: int, device: Any = "cpu") -> Tensor:
    return torch.randn(n_samples, z_dim, device=device)


def get_gen_loss(gen: Any, disc: Any, criterion: Any, num_images: int, z_dim: int, device: Any) -> Any:
    fake_noise = get_noise(num_images, z_dim, device=device)
    fake = gen(fake_noise)
    disc_fake_pred = disc(fake)
    return criterion(disc_fake_pred, torch.ones_like(disc_fake_pred))


def get_disc_loss(gen: Any, disc: Any, criterion: Any, real: Tensor, num_images: int, z_dim: int, device: Any) -> Any:
    fake_noise = get_noise(num_images, z_dim, device=device)
    fake = gen(fake_noise)
    disc_fake_pred = disc(fake.detach())
    disc_fake_loss = criterion(disc_fake_pred, torch.zeros_like(disc_fake_pred))
    disc_real_pred = disc(real)
    disc_real_loss = criterion(disc_real_pred, torch.ones_like(disc_real_pred))
    return (disc_fake_loss + disc_real_loss) / 2


def weights_init(m: nn.Module) -> None:
    if isinstance(m, nn.Conv2d | nn.ConvTranspose2d):
        torch.nn.init.normal_(m.weight, 0.0, 0.02)
    if isinstance(m, nn.BatchNorm2d):
        torch.nn.init.normal_(m.weight, 0.0, 0.02)
        torch.nn.init.constant_(m.bias, 0)


def steps(batch_size: int = 128, z_dim: int = 64, device: str = "cpu") -> Iterator[int]:
    """Train with the study's loop on real MNIST; yield the number of pictures of each step."""
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import MNIST

    criterion = nn.BCEWithLogitsLoss()
    gen, disc = Generator(z_dim).to(device).apply(weights_init), Discriminator().to(device).apply(weights_init)
    gen_opt = torch.optim.Adam(gen.parameters(), lr=0.0002, betas=(0.5, 0.999))
    disc_opt = torch.optim.Adam(disc.parameters(), lr=0.0002, betas=(0.5, 0.999))
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    with tempfile.TemporaryDirectory() as folder:
        unpack_mnist(Path(folder) / "MNIST" / "raw")
        dataloader = DataLoader(MNIST(folder, download=False, transform=transform), batch_size, shuffle=True)
    while True:
        for real, _ in dataloader:
            cur_batch_size = len(real)
            real = real.to(device)
            disc_opt.zero_grad()
            disc_loss = get_disc_loss(gen, disc, criterion, real, cur_batch_size, z_dim, device)
            disc_loss.backward(retain_graph=True)
            disc_opt.step()
            gen_opt.zero_grad()
            gen_loss = get_gen_loss(gen, disc, criterion, cur_batch_size, z_dim, device)
            gen_loss.backward()
            gen_opt.step()
            yield cur_batch_size


def unpack_mnist(folder: Path) -> None:
    """Write the IDX files of the package where torchvision looks for them."""
    folder.mkdir(parents=True)
    for file in (resources.files("dcgan.data") / "mnist_idx").iterdir():
        if file.name.endswith(".xz"):
            (folder / file.name.removesuffix(".xz")).write_bytes(lzma.decompress(file.read_bytes()))
