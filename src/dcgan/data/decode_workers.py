"""Decoding in several processes. `python -m dcgan.data.decode_workers` runs one of them.

They are plain child processes with pipes, not `multiprocessing`, which would run the user's script again in every
child (spawn) or copy a process full of threads (fork). A child ends when its input ends, so none outlives its parent.
JSON and raw bytes go through the pipes.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, astuple
from typing import IO, Any, cast

import numpy as np

from dcgan.data.decode import THUMBNAIL_SIDE, DecodedImage, ReadFailure, ResizeOptions, decode_files
from dcgan.data.members import FileLocation
from dcgan.data.value_range import Extrema
from dcgan.system.resources import usable_core_count

DecodeResult = DecodedImage | str
"""A decoded image, or the reason why the file is skipped."""
FILES_PER_REQUEST = 32
"""Enough files to hide the cost of the pipes, few enough to keep every process busy at the end."""
MIN_FILES_PER_WORKER = 128
"""Files for which one more process pays: it takes 0.3 s to start, in which one process decodes about a hundred small
files."""


def decode_in_processes(locations: Sequence[FileLocation], options: ResizeOptions) -> Iterator[DecodeResult]:
    """Decode files in as many processes as there are cores; the results have the order of the files."""
    worker_count = min(usable_core_count(), len(locations) // MIN_FILES_PER_WORKER)
    chunks = (locations[i : i + FILES_PER_REQUEST] for i in range(0, len(locations), FILES_PER_REQUEST))
    if worker_count < 2:
        for chunk in chunks:
            yield from decode_files(chunk, options)
        return
    with ThreadPoolExecutor(worker_count) as threads, contextlib.closing(_WorkerPool(worker_count, options)) as pool:
        pending: deque[Future[list[DecodeResult]]] = deque()
        for chunk in chunks:
            pending.append(threads.submit(pool.decode, chunk))
            if len(pending) > 2 * worker_count:  # limits the memory
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()


class _Worker:
    """One child process."""

    def __init__(self, options: ResizeOptions) -> None:
        paths = os.pathsep.join(path for path in sys.path if path)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dcgan.data.decode_workers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # C libraries write here about files for which we give a reason ourselves
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        )
        self._send(asdict(options))

    def decode(self, locations: Sequence[FileLocation]) -> list[DecodeResult]:
        """Let the process decode files.

        Raises:
            OSError: the process died.
        """
        self._send(locations)
        output = cast(IO[bytes], self.process.stdout)
        header = output.readline()
        if not header.endswith(b"\n"):
            raise BrokenPipeError
        return [_receive_result(answer, output) for answer in json.loads(header)]

    def _send(self, message: object) -> None:
        pipe = cast(IO[bytes], self.process.stdin)
        pipe.write(json.dumps(message).encode() + b"\n")
        pipe.flush()

    def stop(self) -> None:
        self.process.kill()
        with contextlib.suppress(OSError):
            self.process.communicate()


def _receive_result(answer: object, output: IO[bytes]) -> DecodeResult:
    """Read the pixels that belong to one entry of an answer's header."""
    if isinstance(answer, str):
        return answer
    if isinstance(answer, dict):
        return ReadFailure(answer["failure"])
    shape, (height, width), mode, digest, extrema = cast(tuple[list[int], list[int], str, str, Any], answer)
    pixels = np.frombuffer(output.read(int(np.prod(shape))), np.uint8).reshape(shape)
    thumbnail_shape = THUMBNAIL_SIDE, THUMBNAIL_SIDE, 3
    thumbnail = np.frombuffer(output.read(int(np.prod(thumbnail_shape))), np.uint8).reshape(thumbnail_shape)
    extrema = None if extrema is None else Extrema(*extrema)
    return DecodedImage(pixels, (height, width), mode, bytes.fromhex(digest), thumbnail, extrema)


def _answer(result: DecodeResult) -> object:
    """Return the entry of an answer's header for one file, as JSON types."""
    if isinstance(result, ReadFailure):
        return {"failure": result}
    if isinstance(result, str):
        return result
    extrema = None if result.extrema is None else astuple(result.extrema)
    return result.pixels.shape, result.original_size, result.mode, result.digest.hex(), extrema


class _WorkerPool:
    """Child processes: each request goes to an idle one. One that dies is replaced, and its file is named."""

    def __init__(self, count: int, options: ResizeOptions) -> None:
        self.options, self.is_closed = options, False
        self.idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self.workers = [_Worker(options) for _ in range(count)]
        for worker in self.workers:
            self.idle.put(worker)

    def decode(self, locations: Sequence[FileLocation]) -> list[DecodeResult]:
        """Decode files in an idle process; wait for one if all are busy."""
        worker = self.idle.get()
        try:
            return worker.decode(locations)
        except (OSError, ValueError) as error:
            if self.is_closed:
                raise
            worker.stop()
            worker = _Worker(self.options)
            self.workers.append(worker)
            if len(locations) == 1:
                return [f"the decoder crashed on it ({type(error).__name__})"]
        finally:
            self.idle.put(worker)
        return [result for location in locations for result in self.decode([location])]

    def close(self) -> None:
        self.is_closed = True
        for worker in self.workers:
            worker.stop()


def main() -> None:
    """Serve one parent process: read a line of options, then a line of locations each time, until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent stops this child
    settings = json.loads(sys.stdin.buffer.readline())
    if settings["value_range"] is not None:
        settings["value_range"] = tuple(settings["value_range"])
    options = ResizeOptions(**settings)
    for line in sys.stdin.buffer:
        results = decode_files([(path, member) for path, member in json.loads(line)], options)
        header = [_answer(result) for result in results]
        sys.stdout.buffer.write(json.dumps(header).encode() + b"\n")
        for result in results:
            if not isinstance(result, str):
                sys.stdout.buffer.write(np.ascontiguousarray(result.pixels).data)
                sys.stdout.buffer.write(np.ascontiguousarray(result.thumbnail).data)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
