"""Whether two float32 computations of one network agree as well as rounding allows, on any CPU.

Two correct float32 results differ by their order of summation, which depends on the CPU, on the number of threads and
on the version of each library. How much they differ depends on the network: the same kernels give 1e-7 for one and 1e-4
for another, so no fixed tolerance is right for both. Therefore the network is computed in float64 too, and the error of
PyTorch's float32 result against that shows how much rounding costs.
"""

from dataclasses import dataclass

from torch import Tensor

ROUNDING_FACTOR = 8.0
"""How many times PyTorch's own float32 error another float32 result may be wrong. Of 360 networks with weights up to 40
times too large, the worst needed 5.2: the largest error of a few pictures varies by chance."""
ROUNDING_FLOOR = 2.0**-14
"""An error that is always accepted for values in [-1, 1]: 512 float32 ulps of 1, which is 1/128 of a step of 8 bits.
PyTorch's error can be far smaller by chance, or where its order of summation is the better one."""


@dataclass(frozen=True)
class RoundingError:
    """How far results are from the reference: the largest difference, and the root of the mean squared difference.

    The largest difference shows a single wrong value. The mean shows a file of another network where rounding decides
    the sign of a few values, so that the largest difference of correct results is large too.
    """

    largest: float
    root_mean_square: float

    def __str__(self) -> str:
        return f"{self.largest:.1e} (root mean square {self.root_mean_square:.1e})"

    def is_allowed(self, float32_error: "RoundingError") -> bool:
        """Return whether rounding explains this error, given that of PyTorch's float32 result.

        NaN is not allowed.
        """
        return (
            self.largest <= ROUNDING_FACTOR * float32_error.largest + ROUNDING_FLOOR
            and self.root_mean_square <= ROUNDING_FACTOR * float32_error.root_mean_square + ROUNDING_FLOOR
        )


def measure_error(difference: Tensor) -> RoundingError:
    """Return the error of differences from a float64 reference, float64 of any shape."""
    return RoundingError(float(difference.abs().max()), float(difference.square().mean().sqrt()))
