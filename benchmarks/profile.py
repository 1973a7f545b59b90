"""Where the time of a training step goes: time and arithmetic of each layer and pass, on this CPU.

    python -m benchmarks.profile [--cases dcgan fast-28 fast-64 match-64]         # prints JSON, a minute each
    python -m benchmarks.profile --out build/profile.json
    python -m benchmarks.profile --table build/profile.json [--picture docs/images/profile.png]

Every operation of some steps is timed by itself, and belongs to the layer that is computed, forward or backward, or to
what runs outside the networks: the optimizers, the averages, the data. What a step takes beyond the sum of its
operations is Python, autograd, and the threads that wait for each other. torch counts the arithmetic of convolutions
and matrix products. The rate to compare with is that of a product of large matrices on the same threads.
"""

import argparse
import json
import platform
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks.folder_sets import open_shapes
from benchmarks.timing import seconds_per_call
from dcgan.presets import configure
from dcgan.system.allocator import keep_freed_memory
from dcgan.training.set_up import set_up
from dcgan.training.state import State
from dcgan.training.step import train_step

CASES: dict[str, dict[str, Any]] = {
    "dcgan": {"preset": "dcgan"},
    "fast-28": {"preset": "fast"},
    "fast-64": {"preset": "fast", "image_size": "64"},
    "match-64": {"preset": "match", "image_size": "64"},
}
WARM_UP_STEPS, PROFILED_STEPS, TIMED_STEPS, TIMINGS = 5, 10, 20, 3
MATRIX_SIDE, MATRIX_PRODUCTS = 2048, 10
"""Rows and columns of the matrices whose product gives the rate of the machine, and how often it is computed."""
SHOWN_ROWS = 8
"""Rows of the table for each case; the others are added up."""
OUTSIDE = {"adam": "Adam", "lerp": "averages", "randn": "latents", "index": "data, or rows of features"}
"""What operations outside the networks are for, by a part of their names."""


class OperationTimer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the time and the arithmetic of operations by layer and pass.

    A layer is what is computed inside a module, but not inside a module that it contains. The nodes of the graph that
    its forward pass has made are marked with its name, so that operations of the backward pass are known too.

    Args:
        networks: by the name that their layers begin with.
    """

    def __init__(self, networks: dict[str, nn.Module]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seconds: dict[tuple[str, str], float] = defaultdict(float)
        self.operations: dict[tuple[str, str], int] = defaultdict(int)
        self._names = {
            module: f"{name} {path or type(module).__name__}"
            for name, network in networks.items()
            for path, module in network.named_modules()
        }
        self._stack: list[str] = []
        self._hooks: list[Any] = []

    def __enter__(self) -> "OperationTimer":
        self._hooks = [register_module_forward_pre_hook(self._begin), register_module_forward_hook(self._end)]
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        for hook in self._hooks:
            hook.remove()

    def _begin(self, module: nn.Module, inputs: Any) -> None:
        self._stack.append(self._names.get(module, self._stack[-1] if self._stack else "other"))

    def _end(self, module: nn.Module, inputs: Any, output: Any) -> None:
        name = self._stack.pop()
        outputs = output if isinstance(output, list | tuple) else [output]
        nodes: list[Any] = [tensor.grad_fn for tensor in outputs if isinstance(tensor, Tensor)]
        ends = {tensor.grad_fn for tensor in inputs if isinstance(tensor, Tensor)}
        while nodes:
            node = nodes.pop()
            if node is not None and node not in ends and "layer" not in node.metadata:
                node.metadata["layer"] = name
                nodes += [former for former, _ in node.next_functions]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        start = time.perf_counter()
        out = func(*args, **(kwargs or {}))
        seconds = time.perf_counter() - start
        key = self._place(func)
        self.seconds[key] += seconds
        if (count := flop_registry.get(func._overloadpacket)) is not None:
            self.operations[key] += count(*args, **(kwargs or {}), out_val=out)
        return out

    def _place(self, func: Any) -> tuple[str, str]:
        """Return the layer that an operation belongs to, and the pass."""
        if self._stack:
            return self._stack[-1], "forward"
        node: Any = torch._C._current_autograd_node()
        if node is not None:
            return str(node.metadata.get("layer", "losses and the rest")), "backward"
        name = str(func.name())
        return next((what for part, what in OUTSIDE.items() if part in name), "losses and the rest"), "outside"


@torch.no_grad()
def matrix_rate() -> float:
    """Return the floating-point operations per second of a product of large matrices.

    torch computes it with MKL, and the same product as a convolution of 1x1 with oneDNN; the faster one counts. On an
    AMD CPU with AVX-512, MKL has half of the rate.
    """
    a, b = torch.randn(MATRIX_SIDE, MATRIX_SIDE), torch.randn(MATRIX_SIDE, MATRIX_SIDE)
    pixels = a.view(1, MATRIX_SIDE, 1, MATRIX_SIDE).permute(0, 3, 1, 2)  # a row for each pixel, in channels_last
    weight = b.T.contiguous()[:, :, None, None]
    ways: tuple[Callable[[], Tensor], ...] = (lambda: a @ b, lambda: F.conv2d(pixels, weight))
    for way in ways:
        way()
    # The shortest time, since this is what the machine can reach.
    seconds = min(seconds_per_call(way, MATRIX_PRODUCTS) for _ in range(TIMINGS) for way in ways)
    return 2 * MATRIX_SIDE**3 / seconds


def open_case(name: str, pictures: Path) -> State:
    """Return the state after some steps of a case; color pictures are drawn squares, discs and triangles."""
    settings = CASES[name] | ({"data": str(pictures)} if name.startswith("match") else {})
    state = set_up(configure(device="cpu", **settings))
    for _ in range(WARM_UP_STEPS):
        train_step(state)
    return state


@keep_freed_memory()
def profile_case(name: str, pictures: Path) -> dict[str, Any]:
    """Return the time of a step, and that of each layer and pass with its rate."""
    state = open_case(name, pictures)
    step_s = statistics.median(seconds_per_call(lambda: train_step(state), TIMED_STEPS) for _ in range(TIMINGS))
    matcher: Any = state.matcher
    matched = {} if matcher is None else {"features:": matcher._network._network}
    discriminator = {} if state.discriminator is None else {"D:": state.discriminator}
    timer = OperationTimer({"G:": state.generator, **discriminator, **matched})
    with timer:
        for _ in range(PROFILED_STEPS):
            train_step(state)
    rows = [
        {
            "layer": layer,
            "pass": direction,
            "ms": 1e3 * seconds / PROFILED_STEPS,
            "gflop": timer.operations[layer, direction] / PROFILED_STEPS / 1e9,
        }
        for (layer, direction), seconds in timer.seconds.items()
    ]
    rows.sort(key=lambda row: -float(str(row["ms"])))
    return {"step_ms": 1e3 * step_s, "batch_size": state.config.batch_size, "rows": rows}


def tables(results: dict[str, Any]) -> str:
    """Return a table of each case as Markdown."""
    rate = results["matrix_gflops"]
    lines = [f"{results['machine']}; a product of large matrices: {rate:.0f} GFLOP/s", ""]
    for name, case in results["cases"].items():
        step, rows = case["step_ms"], case["rows"]
        gflop = sum(row["gflop"] for row in rows)
        lines += [
            f"`{name}`, batch {case['batch_size']}: {step:.1f} ms a step, {gflop:.2f} GFLOP, "
            f"{gflop / step * 1e3:.0f} GFLOP/s ({gflop / step * 1e3 / rate:.0%} of that rate)",
            "",
            "| layer | pass | ms | of the step | GFLOP/s |",
            "|---|---|---|---|---|",
        ]
        shown = [*rows[:SHOWN_ROWS], _sum_of(rows[SHOWN_ROWS:], "all others")]
        outside = step - sum(row["ms"] for row in rows)
        shown.append({"layer": "not in any operation", "pass": "", "ms": outside, "gflop": 0.0})
        lines += [_line(row, step) for row in shown]
        lines.append("")
    return "\n".join(lines)


def _sum_of(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return {"layer": name, "pass": "", "ms": sum(r["ms"] for r in rows), "gflop": sum(r["gflop"] for r in rows)}


def _line(row: dict[str, Any], step_ms: float) -> str:
    rate = f"{row['gflop'] / row['ms'] * 1e3:.0f}" if row["gflop"] else ""
    return f"| {row['layer']} | {row['pass']} | {row['ms']:.2f} | {row['ms'] / step_ms:.1%} | {rate} |"


def draw_picture(results: dict[str, Any], path: Path) -> None:
    """Draw a bar for each case: the shares of kinds of work, and of the time at the rate of a matrix product."""
    import matplotlib.pyplot as plt

    names = list(results["cases"])
    figure, axes = plt.subplots(figsize=(8, 0.7 * len(names) + 1.2), layout="constrained")
    kinds = ("layers forward", "layers backward", "outside the networks", "not in any operation")
    colors = ("#4878a8", "#1d3f66", "#c8a24a", "#b8b8b8")
    for i, name in enumerate(names):
        case, left = results["cases"][name], 0.0
        step, rows = case["step_ms"], case["rows"]
        sums = [sum(r["ms"] for r in rows if r["pass"] == p) for p in ("forward", "backward", "outside")]
        whole = max(step, sum(sums))  # the operations may take longer while they are timed
        for kind, color, ms in zip(kinds, colors, [*sums, whole - sum(sums)], strict=True):
            axes.barh(i, ms / whole, left=left, color=color, label=kind if i == 0 else None)
            left += ms / whole
        ideal = sum(r["gflop"] for r in rows) / results["matrix_gflops"] * 1e3 / whole
        axes.plot([ideal, ideal], [i - 0.4, i + 0.4], color="black", label="its arithmetic alone" if i == 0 else None)
    axes.set_yticks(range(len(names)), [f"{n}\n{results['cases'][n]['step_ms']:.0f} ms" for n in names])
    axes.set_xlabel("share of a step")
    axes.set_xlim(0, 1)
    axes.invert_yaxis()
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize="small")
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--out", type=Path, help="the file for the results")
    parser.add_argument("--table", type=Path, help="print the tables of stored results, and measure nothing")
    parser.add_argument("--picture", type=Path, help="draw stored results; with --table")
    args = parser.parse_args()
    if args.table:
        results = json.loads(args.table.read_text(encoding="utf-8"))
        print(tables(results))
        if args.picture:
            draw_picture(results, args.picture)
        return
    pictures = Path("build/profile")
    pictures.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(open_shapes(pictures)):
        image.resize((64, 64)).save(pictures / f"{i}.png")
    instructions = torch.backends.cpu.get_cpu_capability()
    machine = f"{platform.machine()} with {instructions}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    results = {"machine": machine, "matrix_gflops": matrix_rate() / 1e9, "cases": {}}
    for name in args.cases:
        results["cases"][name] = profile_case(name, pictures)
    text = json.dumps(results, indent=1)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
