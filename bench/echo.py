"""An echo service: `python -m bench.echo PORT` gives every byte back at once."""

import socket
import sys
import threading

from bench.programs import LOOPBACK

CHUNK = 65_536


def serve(port: int) -> None:
    """Serve until the process ends, with a thread for each conversation."""
    with socket.create_server((LOOPBACK, port), backlog=128) as listener:
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=_echo, args=(sock,), daemon=True).start()


def _echo(sock: socket.socket) -> None:
    with sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffer = memoryview(bytearray(CHUNK))
        try:
            while got := sock.recv_into(buffer):
                sock.sendall(buffer[:got])
        except ConnectionError:
            return  # the other side left, and with it whom to tell


if __name__ == "__main__":
    serve(int(sys.argv[1]))
