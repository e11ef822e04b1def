"""A proxy as small as can be: passes one request and its answer on, and closes if there is none.

    python proxy.py ADDRESS PORT SERVER [ANSWER]

listens on ADDRESS:PORT and asks SERVER:PORT from the same address; without an answer from there it sends
ANSWER, if one is given, before it closes.
"""

import socket
import sys


def main() -> None:
    """Serve one client after the other until somebody ends the process."""
    address, port, server, *answer = sys.argv[1:]
    listener = socket.create_server((address, int(port)))
    print("ready", flush=True)
    while True:
        client, _ = listener.accept()
        request = client.recv(4096)
        try:
            with socket.create_connection((server, int(port)), source_address=(address, 0)) as upstream:
                upstream.sendall(request)
                reply = upstream.recv(4096)
        except OSError:
            reply = b""
        reply = reply or "".join(answer).encode()
        if reply:
            client.sendall(reply)
        client.close()


if __name__ == "__main__":
    main()
