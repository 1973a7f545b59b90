"""torch's Adam without the cost of importing torch's compiler."""

from inspect import unwrap

import torch
from torch import Tensor


class Adam(torch.optim.Adam):
    """`torch.optim.Adam` without the decorators that torch puts on its methods for its compiler.

    The code is torch's own, line by line. The decorators import the whole compiler when a method is first called:
    together with `devices.single`, leaving them out saves 1.3 s before the first step.
    """

    add_param_group = unwrap(torch.optim.Adam.add_param_group)
    state_dict = unwrap(torch.optim.Adam.state_dict)
    load_state_dict = unwrap(torch.optim.Adam.load_state_dict)
    zero_grad = unwrap(torch.optim.Adam.zero_grad)
    step = torch.no_grad()(unwrap(torch.optim.Adam.step))

    def usual_norm(self) -> Tensor | None:
        """Return the root mean square of the gradient's norm by Adam's moments; None before the first step."""
        # In the order of the parameters: `state` has another order after it was loaded, and the sum would then round
        # differently.
        moments = [self.state[p] for group in self.param_groups for p in group["params"] if self.state.get(p)]
        if not moments:
            return None
        squared_norm = torch.stack(torch._foreach_norm([moment["exp_avg_sq"] for moment in moments], 1)).sum()
        bias_correction: Tensor = 1 - self.param_groups[0]["betas"][1] ** moments[0]["step"].to(squared_norm)
        return (squared_norm / bias_correction).sqrt()
