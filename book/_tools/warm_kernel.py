"""Kernels that begin with everything imported: forked from one process, on Linux.

PyTorch and the package take each kernel six seconds of CPU to import. `warm()` starts a process
that imports them once. Jupyter then starts each kernel as `python warm_kernel.py DOOR ...`, which
asks that process for a copy of itself and stays as long as the copy runs. Nothing else differs
from an ordinary kernel: the copy has the asker's folder, environment, arguments and output.
"""

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

IMPORTED = (
    "explainrec_lab",
    "ipykernel.kernelapp",
    "matplotlib.pyplot",
    "torch._dynamo",  # the first optimiser imports it
    "torchvision",
)


@contextmanager
def warm(environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """The environment, and how Jupyter finds warm kernels in it while the block runs."""
    with TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as door:
        door.bind(f"{folder}/door")
        door.listen()  # who asks before all is imported waits in line
        command = [sys.executable, "-P", __file__]
        inline = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}  # as in every kernel
        server = subprocess.Popen(
            [*command, str(door.fileno())], pass_fds=[door.fileno()], env=environment | inline
        )
        door.close()
        spec = Path(folder, "kernels", "python3", "kernel.json")
        spec.parent.mkdir(parents=True)
        asking = [*command, f"{folder}/door", "-f", "{connection_file}"]
        named = {"argv": asking, "display_name": "Python 3", "language": "python"}
        spec.write_text(json.dumps(named))
        try:
            yield environment | {"JUPYTER_PATH": folder}
        finally:
            server.kill()
            server.wait()


def serve(door: socket.socket) -> None:
    """Import once, then answer each asker with a copy of this process."""
    for name in IMPORTED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        asker, _ = door.accept()
        if os.fork() == 0:
            door.close()
            become_kernel(asker)
        asker.close()


def become_kernel(asker: socket.socket) -> None:
    """Run as the kernel that was asked for, no longer than the asker lives."""
    from ipykernel.kernelapp import IPKernelApp
    from matplotlib import pyplot

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for own, given in enumerate(socket.recv_fds(asker, 1, 2)[1], start=1):
        os.dup2(given, own)
    wish = json.loads(asker.makefile().readline())
    os.chdir(wish["folder"])
    os.environ.clear()
    os.environ.update(wish["environment"])
    threading.Thread(target=lambda: os._exit(len(asker.recv(1))), daemon=True).start()
    try:
        kernel = IPKernelApp.instance()
        kernel.initialize(wish["arguments"])
        pyplot.install_repl_displayhook()  # pyplot was imported when no kernel was there
        kernel.start()
    finally:
        os._exit(0)


def ask(address: str, arguments: list[str]) -> None:
    """Ask for a kernel and stay until it ends."""
    wish = {"folder": str(Path.cwd()), "environment": dict(os.environ), "arguments": arguments}
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        socket.send_fds(server, [b"!"], [1, 2])
        server.sendall(json.dumps(wish).encode() + b"\n")
        with suppress(ConnectionResetError):
            server.recv(1)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        ask(sys.argv[1], sys.argv[2:])
    else:
        serve(socket.socket(fileno=int(sys.argv[1])))
