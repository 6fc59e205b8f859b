"""What every program does to its process before it works: event loop, descriptors, memory, signals."""

import asyncio
import contextlib
import ctypes
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

_log = logging.getLogger(__name__)

# glibc's mallopt: page faults halve the speed of bulk when every 64 KiB chunk goes back to the kernel.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_KEEP = 67_108_864  # bytes that a process keeps instead of giving them back at once
_LARGE = 4_194_304  # bytes from which an allocation is the kernel's own

_PR_SET_DUMPABLE = 4  # of Linux. Where dumps go to a program, no limit keeps them from it, but this does


def run(main: Coroutine[Any, Any, int]) -> int:
    """Keep others out of the process, tune it, and run `main` on the fastest loop that there is."""
    _keep_private()
    _raise_descriptor_limit()
    _keep_memory()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.get_loop().set_exception_handler(on_loop_error)
        return runner.run(main)


def on_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what nobody handled. That a stranger hangs up during a TLS handshake is nobody's error."""
    if context.get("message") == "SSL handshake failed":  # aiofastnet's; who dials is told by an exception
        _log.debug("a TLS handshake failed: %r", context.get("exception"))
    else:
        loop.default_exception_handler(context)


@contextlib.contextmanager
def on_signals(stop: Callable[[signal.Signals], None]) -> Any:
    """Call `stop` on the loop for SIGTERM and SIGINT (Windows: Ctrl-Break, too), while the block runs."""
    loop = asyncio.get_running_loop()
    wanted = [signal.SIGTERM, signal.SIGINT]
    if sys.platform == "win32":  # what a service manager there sends
        wanted.append(signal.SIGBREAK)
    before = {}
    for number in wanted:
        try:
            loop.add_signal_handler(number, stop, number)
        except NotImplementedError:  # Windows: no signals on the loop
            before[number] = signal.signal(
                number, lambda number, _frame: loop.call_soon_threadsafe(stop, signal.Signals(number))
            )
    try:
        yield
    finally:
        for number in wanted:
            if number in before:
                signal.signal(number, before[number])
            else:
                loop.remove_signal_handler(number)


@contextlib.contextmanager
def on_reload(read_again: Callable[[], None]) -> Any:
    """Call `read_again` on the loop for SIGHUP, while the block runs; Windows has no such signal."""
    loop = asyncio.get_running_loop()
    hang_up = getattr(signal, "SIGHUP", None)
    if hang_up is None:
        yield
        return
    try:
        loop.add_signal_handler(hang_up, read_again)
    except NotImplementedError:
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(hang_up)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # Windows, or a Python for which there is none yet
        return None
    return uvloop.new_event_loop


def _keep_private() -> None:
    """No core dump with keys in it; on Linux, no other process of this user reads our memory either.

    What that costs: of `/proc/PID`, only root still lists `fd` or reads `environ`, and only root attaches
    a debugger or a profiler. Programs that we start are as dumpable as any.
    """
    try:
        import resource
    except ImportError:  # Windows has neither
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if sys.platform.startswith("linux"):
        with contextlib.suppress(AttributeError, OSError):  # a libc without it: the limit has to do
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _raise_descriptor_limit() -> None:
    """Every stream is a descriptor; the soft limit is often 1,024."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # macOS: "unlimited" is not to be had
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _keep_memory() -> None:
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # not glibc
        return
    for parameter, value in (
        (_M_MMAP_THRESHOLD, _LARGE),
        (_M_TRIM_THRESHOLD, _KEEP),
        (_M_TOP_PAD, _LARGE),
    ):
        mallopt(parameter, value)
