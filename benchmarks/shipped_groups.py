"""Write the groups of MNIST's digits for the default training into the package, so that its first step comes sooner.

    OMP_NUM_THREADS=1 python -m benchmarks.shipped_groups

To be run again when `kept_groups.EDGES_VERSION` is raised, or the default number of groups or seed changes.
"""

from dcgan.models.grouped_generator import GroupedGenerator
from dcgan.presets import configure
from dcgan.training.kept_groups import SHIPPED_FILE, write_groups
from dcgan.training.set_up import set_up


def main() -> None:
    SHIPPED_FILE.unlink(missing_ok=True)  # else they would be those
    state = set_up(configure(device="cpu"))
    assert isinstance(state.generator, GroupedGenerator)
    assert state.conditions is not None
    write_groups(SHIPPED_FILE, state.config, state.data, state.generator, state.conditions)
    print(f"{SHIPPED_FILE}: {SHIPPED_FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
