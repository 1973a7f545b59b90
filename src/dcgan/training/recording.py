"""Steps on a GPU that do not wait for Python: the updates of a step are recorded once as a CUDA graph, then replayed.

A step consists of hundreds of small kernels. Python needs longer to start them one by one than a large GPU needs to
compute them; a recording starts them all at once. It does the same operations in the same order as the step that was
recorded. What changes from step to step is written into its inputs before: the seeds of the random numbers, the indices
of the real pictures and the learning rates. Operations whose shapes change by chance cannot be recorded. They are done
between two recorded parts of the step.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from dcgan.files import printable
from dcgan.rng import RandomPurpose, derive_seed
from dcgan.system.console import print_message
from dcgan.training.progress import Progress

T = TypeVar("T")


@dataclass(frozen=True)
class StepParts(Generic[T]):
    """The updates of a step in up to three parts.

    Attributes:
        begin: the first part, which may ask the recorder for random numbers and real pictures. What it returns is given
            to the others.
        between: what is done anew in each step, with operations that need not be the same each time.
        end: the last part. Like `between`, it may ask the recorder for nothing: only the recording of the first part
            knows generators of random numbers.
    """

    begin: Callable[[], T]
    between: Callable[[T], None] | None = None
    end: Callable[[T], None] | None = None

    def run(self) -> None:
        """Do all parts without a recording."""
        value = self.begin()
        for part in (self.between, self.end):
            if part is not None:
                part(value)


@dataclass
class StepInputs:
    """What the updates of a step are given, in the order in which they ask for it.

    Attributes:
        purposes: what random numbers are drawn for, each with the images seen since the beginning of the step.
        batches: where batches of real pictures begin, in images since the beginning of the step.
    """

    purposes: list[tuple[RandomPurpose, int]] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)


@dataclass
class Recording:
    """The recorded updates of a step.

    Attributes:
        graphs: what replays the first part and the last one, if there is one.
        value: what the first part has returned. Each replay writes into its tensors.
        inputs: what they were given.
        generators: of the random numbers, one for each of `inputs.purposes`.
        indices: of the real pictures, one tensor for each of `inputs.batches`.
        images: by how much a step raises the images seen.
    """

    graphs: list[torch.cuda.CUDAGraph]
    inputs: StepInputs
    generators: list[torch.Generator]
    indices: list[Tensor]
    value: Any = None
    images: int = 0


class StepRecorder:
    """Does the updates of steps, and records them where they repeat.

    The first step of a kind is done as usual, and what it asks for is noted. The second one is recorded and replayed,
    and all further ones are replayed, until a step is of another kind.

    Args:
        seed: of the run.
        device: a CUDA device.
        optimizers: those that the updates use.
        find_indices: gives the indices of the batch of real pictures that follows some number of images.
    """

    def __init__(
        self,
        seed: int,
        device: torch.device,
        optimizers: Sequence[Optimizer],
        find_indices: Callable[[int], Tensor],
    ) -> None:
        self._seed, self._device, self._find_indices = seed, device, find_indices
        self._optimizers: list[Any] = [getattr(optimizer, "optimizer", optimizer) for optimizer in optimizers]
        self._kind: Hashable = None
        self._inputs: StepInputs | None = None
        self._is_noting = self._has_failed = False
        self._recording: Recording | None = None
        self._start = 0
        self._handed_out: tuple[Iterator[torch.Generator], Iterator[Tensor]] | None = None

    def forget(self) -> None:
        """Discard the recording, whose tensors are about to be replaced by others."""
        self._kind = self._inputs = self._recording = None

    def generator(self, purpose: RandomPurpose, images_seen: int) -> torch.Generator:
        """Return the generator of the random numbers for a purpose."""
        if self._handed_out:
            return next(self._handed_out[0])
        if self._is_noting and self._inputs:
            self._inputs.purposes.append((purpose, images_seen - self._start))
        return torch.Generator(self._device).manual_seed(derive_seed(self._seed, purpose, images_seen))

    def indices(self, images_seen: int) -> Tensor:
        """Return the indices of the batch of real pictures that follows `images_seen` images."""
        if self._handed_out:
            return next(self._handed_out[1])
        if self._is_noting and self._inputs:
            self._inputs.batches.append(images_seen - self._start)
        return self._find_indices(images_seen)

    def run(self, kind: Hashable, progress: Progress, parts: StepParts[Any]) -> None:
        """Do the updates of a step.

        Args:
            kind: of the step. Those of one kind differ only in what a recording is given: see `StepInputs`.
            progress: how far the run is; the images of the step are added.
            parts: the updates. Without a recording, they are done one after the other.
        """
        self._start = progress.images_seen
        if self._has_failed:
            parts.run()
            return
        if kind != self._kind or self._inputs is None:
            self.forget()
            self._kind, self._inputs, self._is_noting = kind, StepInputs(), True
            parts.run()
            self._is_noting = False
            return
        if self._recording is None:
            try:
                self._recording = self._record(self._inputs, progress, parts)
            except (
                RuntimeError
            ) as error:  # what torch raises if something cannot be recorded; nothing has been done yet
                self._has_failed = True
                progress.images_seen = self._start
                reason = printable(" ".join(str(error).split())[:200])
                print_message(
                    f"the steps cannot be recorded here, so Python starts every kernel, more slowly ({reason})"
                )
                parts.run()
                return
        self._replay(self._recording, progress, parts)

    def _record(self, inputs: StepInputs, progress: Progress, parts: StepParts[Any]) -> Recording:
        """Record the updates. They are not done, but what they do to Python's objects is: images are counted."""
        generators = [torch.Generator(self._device) for _ in inputs.purposes]
        indices = [self._find_indices(self._start + offset).clone() for offset in inputs.batches]
        first = torch.cuda.CUDAGraph()
        recording = Recording([first], inputs, generators, indices)
        for generator in generators:
            first.register_generator_state(generator)
        self._handed_out = iter(generators), iter(indices)
        self._set_capturable(True)
        try:
            with torch.cuda.graph(first):
                recording.value = parts.begin()
            if parts.end is not None:
                # With the memory of the first part, in which the graph of its gradients lies.
                recording.graphs.append(torch.cuda.CUDAGraph())
                with torch.cuda.graph(recording.graphs[1], pool=first.pool()):
                    parts.end(recording.value)
        finally:
            self._handed_out = None
            self._set_capturable(False)
        recording.images = progress.images_seen - self._start
        progress.images_seen = self._start
        return recording

    def _replay(self, recording: Recording, progress: Progress, parts: StepParts[Any]) -> None:
        for generator, (purpose, offset) in zip(recording.generators, recording.inputs.purposes, strict=True):
            generator.manual_seed(derive_seed(self._seed, purpose, self._start + offset))
        for indices, offset in zip(recording.indices, recording.inputs.batches, strict=True):
            indices.copy_(self._find_indices(self._start + offset))
        first, *last = recording.graphs
        first.replay()
        if parts.between is not None:
            parts.between(recording.value)
        for graph in last:
            graph.replay()
        progress.images_seen += recording.images

    def _set_capturable(self, is_capturable: bool) -> None:
        """Tell torch's optimizers that they are recorded, without which they refuse. A fused Adam computes the same."""
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["capturable"] = is_capturable
