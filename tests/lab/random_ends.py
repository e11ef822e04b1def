"""The programs at one end of a random run: `python random_ends.py client|server`, the plan on standard input.

It forks a process for each connection, so that the death of a program is a real one. What each call returned
is appended to the plan's file of records at once, a line of JSON each. No call waits for ever: the program
polls, and goes on when its patience ends.
"""

import errno
import gc
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

Step = dict[str, Any]
Made = tuple[str, dict[str, Any]]

LISTENS_EARLIER_S = 0.3
LONGEST_S = 14.0
WAITED_S = 0.002
TCP_OPTIONS = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_SYNCNT", "TCP_USER_TIMEOUT")
NO_RESULT = frozenset({"EAGAIN", "EINPROGRESS"})
NOT_ERRORS = frozenset({"OK", "EOF", *NO_RESULT})


def errno_name(number: int) -> str:
    """The name of an errno; `OK` for 0."""
    return "OK" if number == 0 else errno.errorcode.get(number, str(number))


def ready(sock: socket.socket, event: int, patience: float) -> bool:
    """Wait until a call would return, or not longer than that."""
    poll = select.poll()
    poll.register(sock, event)
    return bool(poll.poll(max(0, round(patience * 1000))))


class Program:
    """The program at one end of one connection."""

    def __init__(self, plan: Step, connection: Step, side: str, records: int) -> None:
        self.plan = plan
        self.connection = connection
        self.side = side
        self.script: Step = connection[side]
        self.records = records
        self.family = socket.AF_INET6 if ":" in plan["client"] else socket.AF_INET
        self.sock = socket.socket(self.family, socket.SOCK_STREAM)
        self.shut = False

    def run(self) -> None:
        """Get the connection, then do step after step; the last one in any case."""
        deadline = time.monotonic() + LONGEST_S
        steps = self.script["steps"]
        result = self.begin()
        left = steps[:-1] if result else []
        while left and not self.is_over(result) and time.monotonic() < deadline:
            result = self.do(left.pop(0)) or result
        self.do(steps[-1])

    def is_over(self, result: str) -> bool:
        """Whether the program stops at what its last call gave."""
        if result == "EOF":
            return bool(self.script["stops_at_eof"])
        return result not in NOT_ERRORS and bool(self.script["stops_at_error"])

    def do(self, step: Step) -> str:
        method: Callable[[Step], str] = getattr(self, step["do"])
        return method(step)

    def tell(self, call: str, began: float, result: str, **more: Any) -> str:
        """Note what a call gave; one that has not returned is nothing yet."""
        ended = round(time.time(), 6)
        waited = {"began": round(began, 6)} if ended - began > WAITED_S else {}
        record = {"t": ended, "call": call, "result": result, **more, **waited}
        if result not in NO_RESULT:
            line = {"number": self.connection["number"], "side": self.side, "record": record}
            os.write(self.records, json.dumps(line).encode() + b"\n")
        return result

    def call(self, name: str, function: Callable[[], Made], began: float | None = None) -> str:
        """Make a call; its result, or the name of its errno."""
        began = time.time() if began is None else began
        more: dict[str, Any] = {}
        try:
            result, more = function()
        except OSError as error:
            result = errno_name(error.errno or 0)
        return self.tell(name, began, result, **more)

    # getting the connection

    def begin(self) -> str:
        """connect() or accept(); empty where there is nothing to go on with."""
        return self.connect() if self.side == "client" else self.accept()

    def set_options(self) -> None:
        for name, value in self.script["options"].items():
            level = socket.IPPROTO_TCP if name in TCP_OPTIONS else socket.SOL_SOCKET
            self.sock.setsockopt(level, getattr(socket, name), value)

    def connect(self) -> str:
        self.sock.bind((self.plan["client"], self.connection["client_port"]))
        self.set_options()
        how = self.script["connect"]
        address = (self.connection["server_address"], self.connection["server_port"])
        began = time.time()
        if how["nonblocking"]:
            number = self.connect_nonblocking(address, how["patience"])
        else:
            seconds, rest = divmod(how["patience"], 1)
            self.sock.setsockopt(
                socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(seconds), int(rest * 1e6))
            )
            number = self.sock.connect_ex(address)
        self.sock.setblocking(False)
        result = self.tell("connect", began, errno_name(number))
        return "" if result in NO_RESULT else result

    def connect_nonblocking(self, address: tuple[str, int], patience: float) -> int:
        """As an event loop does it: EINPROGRESS, poll, SO_ERROR."""
        self.sock.setblocking(False)
        number = self.sock.connect_ex(address)
        if number == errno.EINPROGRESS and ready(self.sock, select.POLLOUT, patience):
            return self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return number

    def accept(self) -> str:
        """Listen, and accept late, or never; then the program's end closes the listener."""
        how = self.script["accept"]
        listener = self.sock
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.set_options()
        listener.bind((self.connection["server_address"], self.connection["server_port"]))
        listener.listen(16)
        time.sleep(LISTENS_EARLIER_S + how["late"])
        if how["never"]:
            return ""
        began = time.time()
        if not ready(listener, select.POLLIN, how["patience"]):
            return ""
        listener.setblocking(False)
        result = self.call("accept", lambda: self.take(listener), began)
        return result if result == "OK" else ""

    def take(self, listener: socket.socket) -> Made:
        self.sock, _ = listener.accept()
        self.sock.setblocking(False)
        listener.close()
        return "OK", {}

    # the steps

    def send(self, step: Step) -> str:
        """Send all of it, as far as the patience goes; nothing after shutdown()."""
        left, result = int(step["n"]), ""
        until = time.monotonic() + step["patience"]
        while left > 0 and not self.shut:
            began = time.time()
            if not ready(self.sock, select.POLLOUT, until - time.monotonic()):
                break
            sent: list[int] = []
            result = self.call("send", partial(self.send_once, left, sent), began)
            left -= sum(sent)
            if result not in ("OK", "EAGAIN"):
                break
        return result

    def send_once(self, size: int, sent: list[int]) -> Made:
        sent.append(self.sock.send(bytes(size)))
        return "OK", {"n": sent[0]}

    def recv(self, step: Step) -> str:
        """Receive once, unless nothing comes while the patience lasts."""
        began = time.time()
        if not ready(self.sock, select.POLLIN, step["patience"]):
            return ""
        return self.call("recv", lambda: self.recv_once(step["n"]), began)

    def recv_once(self, size: int) -> Made:
        data = self.sock.recv(size)
        return ("OK", {"n": len(data)}) if data else ("EOF", {})

    def drain(self, step: Step) -> str:
        """Receive until the end, an error, or silence."""
        result = "OK"
        for _ in range(200):
            result = self.recv(step)
            if result not in ("OK", "EAGAIN"):
                break
        return result

    def wait(self, step: Step) -> str:
        time.sleep(step["s"])
        return ""

    def so_error(self, step: Step) -> str:
        return self.call(
            "so_error", lambda: (errno_name(self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)), {})
        )

    def shutdown(self, step: Step) -> str:
        """Once only: a second one fails for reasons that never were on the wire."""
        if self.shut:
            return ""
        self.shut = True
        return self.call("shutdown", partial(self.shutdown_once, step["how"]))

    def shutdown_once(self, how: str) -> Made:
        self.sock.shutdown(getattr(socket, how))
        return "OK", {"how": how}

    # the end

    def close(self, step: Step) -> str:
        return self.call("close", self.close_once)

    def close_once(self) -> Made:
        self.sock.close()
        return "OK", {}

    def abort(self, step: Step) -> str:
        """close() with SO_LINGER 0."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return self.call("close", self.close_once)

    def die(self, step: Step) -> str:
        """The kernel closes what a killed program leaves."""
        self.tell("close", time.time(), "OK", how="killed")
        os.kill(os.getpid(), signal.SIGKILL)
        return ""


def start(plan: Step, connection: Step, side: str, records: int) -> None:
    """A process of its own for this connection."""
    if os.fork():
        return
    try:
        signal.alarm(round(LONGEST_S) + 20)
        Program(plan, connection, side, records).run()
    except BaseException as error:
        os.write(2, f"{side} {connection['number']}: {error!r}\n".encode())
        os._exit(1)
    os._exit(0)


def reap(options: int) -> bool:
    """Collect one process that has ended; false where there is none."""
    try:
        return os.waitpid(-1, options)[0] != 0
    except ChildProcessError:
        return False


def main() -> None:
    side = sys.argv[1]
    plan = json.load(sys.stdin)
    signal.alarm(round(plan["seconds"]) + 60)
    records = os.open(plan["records"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    gc.freeze()
    earlier = LISTENS_EARLIER_S if side == "server" else 0.0
    for connection in plan["connections"]:
        if connection[side] is None:
            continue
        time.sleep(max(0.0, plan["origin"] + connection["start"] - earlier - time.time()))
        start(plan, connection, side, records)
        while reap(os.WNOHANG):
            pass
    while reap(0):
        pass


if __name__ == "__main__":
    main()
