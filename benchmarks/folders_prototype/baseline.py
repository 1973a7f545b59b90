"""The project's preset `fast` (version 0.1.0) on the benchmark's training part; 400 fakes are kept at marks of images."""

import time
from pathlib import Path
import numpy as np, torch

torch.set_num_threads(1)
import dcgan, dcgan.training as training
from dcgan import latents, sample
from dcgan.record import averaged_generator

OUT, MARKS = Path("out/baseline"), [15_000, 30_000, 60_000, 120_000, 200_000]
step, spent = training.update, 0.0


def update(state):
    global spent
    begin = time.process_time()
    step(state)
    spent += time.process_time() - begin
    if MARKS and state.images_seen >= MARKS[0]:
        mark = MARKS.pop(0)
        z = latents.noise(7, 400, state.config.z_dim)
        pixels = np.concatenate([sample.draw(averaged_generator(state), p) for p in z.split(50)])
        np.savez_compressed(OUT / f"fakes_{mark}.npz", fakes=pixels)
        with (OUT / "log.txt").open("a") as f:
            f.write(f"{mark} images: {1000 * spent / state.images_seen:.2f} ms of processor time an image\n")


training.update = update
dcgan.train("fast", data="data/train", image_size=64, images=200_000, out=OUT / "run")
