"""The threads of torch's arithmetic on a CPU."""

import torch


def fix_thread_count() -> None:
    """Let every matrix product use the number of threads that torch has now.

    Until a program has set a number, Intel's MKL may choose a lower one for each product by itself (MKL_DYNAMIC). The
    bits of a result can depend on it. Setting the number that torch has already takes this choice away and changes
    nothing else: three steps of six presets and their samples stayed the same to the bit.
    """
    torch.set_num_threads(torch.get_num_threads())
