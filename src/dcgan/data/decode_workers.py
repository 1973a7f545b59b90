"""Decoding in several processes. `python -m dcgan.data.decode_workers` is one of them.

They are plain child processes with pipes, not `multiprocessing`: that would run a user's script again in every child
(spawn) or copy a process full of threads (fork). A child ends when its input does, so none outlives its parent, and
what goes through the pipes is JSON and bare bytes.
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
from dataclasses import asdict
from typing import IO, cast

import numpy as np

from dcgan.data.decode import DecodedImage, ResizeOptions, decode_all

Place = tuple[str, str | None]
"""A file's path, or a zip's path and a name inside."""
Result = DecodedImage | str
"""A picture, or the reason why it was left out."""
CHUNK = 32
"""Files in one request: enough to hide the pipes' cost, few enough to keep every process busy at the end."""
WORTH = 128
"""Files for which starting one more process pays (it takes 0.3 s, in which one decodes some hundred small files)."""


def decode_in_processes(places: Sequence[Place], options: ResizeOptions) -> Iterator[Result]:
    """Decode files in as many processes as there are cores; the results come in the files' order."""
    workers = min(usable_cores(), len(places) // WORTH)
    chunks = (places[i : i + CHUNK] for i in range(0, len(places), CHUNK))
    if workers < 2:
        for chunk in chunks:
            yield from decode_all(chunk, options)
        return
    with ThreadPoolExecutor(workers) as threads, contextlib.closing(_Ask(workers, options)) as ask:
        waiting: deque[Future[list[Result]]] = deque()
        for chunk in chunks:
            waiting.append(threads.submit(ask, chunk))
            if len(waiting) > 2 * workers:  # bounds the memory
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Worker:
    """One child process."""

    def __init__(self, options: ResizeOptions) -> None:
        paths = os.pathsep.join(path for path in sys.path if path)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dcgan.data.decode_workers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # C libraries complain there of files whose reason we give ourselves
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        )
        self._send(asdict(options))

    def ask(self, places: Sequence[Place]) -> list[Result]:
        """Have files decoded.

        Raises:
            OSError: the process died.
        """
        self._send(places)
        output = cast(IO[bytes], self.process.stdout)
        head = output.readline()
        if not head.endswith(b"\n"):
            raise BrokenPipeError
        return [_received(answer, output) for answer in json.loads(head)]

    def _send(self, message: object) -> None:
        pipe = cast(IO[bytes], self.process.stdin)
        pipe.write(json.dumps(message).encode() + b"\n")
        pipe.flush()

    def stop(self) -> None:
        self.process.kill()
        with contextlib.suppress(OSError):
            self.process.communicate()


def _received(answer: object, output: IO[bytes]) -> Result:
    if isinstance(answer, str):
        return answer
    shape, size, mode, digest = cast(tuple[list[int], list[int], str, str], answer)
    content = output.read(int(np.prod(shape)))
    pixels = np.frombuffer(content, np.uint8).reshape(shape)
    return DecodedImage(pixels, (size[0], size[1]), mode, bytes.fromhex(digest))


class _Ask:
    """Calls go to an idle process. One that dies is replaced, and the file that killed it is named."""

    def __init__(self, count: int, options: ResizeOptions) -> None:
        self.options, self.stopped = options, False
        self.idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self.all = [_Worker(options) for _ in range(count)]
        for worker in self.all:
            self.idle.put(worker)

    def __call__(self, places: Sequence[Place]) -> list[Result]:
        worker = self.idle.get()
        try:
            return worker.ask(places)
        except (OSError, ValueError) as error:
            if self.stopped:
                raise
            worker.stop()
            worker = _Worker(self.options)
            self.all.append(worker)
            if len(places) == 1:
                return [f"the decoder crashed on it ({type(error).__name__})"]
        finally:
            self.idle.put(worker)
        return [result for place in places for result in self([place])]

    def close(self) -> None:
        self.stopped = True
        for worker in self.all:
            worker.stop()


def main() -> None:
    """Serve one parent: a line of options, then a line of places each time, until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends us
    options = ResizeOptions(**json.loads(sys.stdin.buffer.readline()))
    for line in sys.stdin.buffer:
        results = decode_all([(path, member) for path, member in json.loads(line)], options)
        head = [r if isinstance(r, str) else (r.pixels.shape, r.size, r.mode, r.digest.hex()) for r in results]
        sys.stdout.buffer.write(json.dumps(head).encode() + b"\n")
        for result in results:
            if not isinstance(result, str):
                sys.stdout.buffer.write(np.ascontiguousarray(result.pixels).data)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
