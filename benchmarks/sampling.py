"""Compare drawing digits with the command and with the bare generator, and measure what one sample costs.

    python -m benchmarks.sampling MODEL [--n 10000] [--repeats 5]

Prints JSON. The cost of one sample is the time of the command that draws it, beyond importing torch: it imports the
package, loads the model and draws one block of 64. The bare generator is the same network on the same latents with
nothing before or after it, at the fastest of three batch sizes.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.timing import command_seconds

BARE_BATCH_SIZES = (64, 256, 1024)


def bare_seconds(source: str, n: int) -> float:
    """Return the time of the bare generator for `n` samples, at its fastest batch size."""
    import torch  # only here: this process needs it, and the others are measured with it

    import dcgan
    from dcgan.sampling import latents

    generator, timings = dcgan.load(source).generator, []
    z = latents.draw_latents(0, n, generator.z_dim)
    for batch_size in BARE_BATCH_SIZES:
        with torch.no_grad():
            generator(z[:batch_size])
            start = time.perf_counter()
            for i in range(0, n, batch_size):
                generator(z[i : i + batch_size])
        timings.append(time.perf_counter() - start)
    return min(timings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    seconds: dict[str, list[float]] = {"torch_s": [], "one_s": [], "all_s": [], "bare_s": []}
    with tempfile.TemporaryDirectory() as folder:
        sample = ["-m", "dcgan", "sample", args.model, "--out", str(Path(folder) / "a.npz"), "--n"]
        for _ in range(args.repeats):
            seconds["torch_s"].append(command_seconds("-c", "import torch"))
            seconds["one_s"].append(command_seconds(*sample, "1"))
            seconds["all_s"].append(command_seconds(*sample, str(args.n)))
            seconds["bare_s"].append(bare_seconds(args.model, args.n))
    repeats = list(zip(*seconds.values(), strict=True))
    medians = {
        "n": args.n,
        "median_one_beyond_torch_s": statistics.median(one_s - torch_s for torch_s, one_s, _, _ in repeats),
        "median_ratio_to_bare": statistics.median((all_s - one_s) / bare_s for _, one_s, all_s, bare_s in repeats),
    }
    print(json.dumps(medians | seconds, indent=2))


if __name__ == "__main__":
    main()
