"""What the lab reads in the output of strace."""

from __future__ import annotations

from tests.lab.strace import parse

REFUSED = """\
11 100.000000 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 5<TCP:[77]> <0.000012>
11 100.001000 connect(5<TCP:[77]>, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("10.9.1.2")}, 16) = -1 EINPROGRESS (Operation now in progress) <0.000053>
11 100.011000 getsockopt(5<TCP:[77]>, SOL_SOCKET, SO_ERROR, [ECONNREFUSED], [4]) = 0 <0.000012>
11 100.012000 close(5<TCP:[77]>) = 0 <0.000062>
11 100.013000 +++ exited with 7 +++
"""  # noqa: E501
SERVED = """\
7 100.000000 accept4(6<TCPv6:[[fd00::2]:80]>, {sa_family=AF_INET6, sin6_port=htons(41000), inet_pton(AF_INET6, "fd00::1", &sin6_addr)}, [28], SOCK_NONBLOCK) = 7<TCPv6:[[fd00::2]:80->[fd00::1]:41000]> <0.000010>
7 100.000100 recvfrom(7<TCPv6:[[fd00::2]:80->[fd00::1]:41000]>, ""..., 1024, 0, NULL, NULL) = 77 <0.000010>
7 100.000200 recvfrom(7<TCPv6:[[fd00::2]:80->[fd00::1]:41000]>, 0x55, 1024, 0, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable) <0.000010>
8 100.000300 write(9<pipe:[5]>, ""..., 5) = 5 <0.000010>
7 100.000400 writev(7<TCPv6:[[fd00::2]:80->[fd00::1]:41000]>, [{iov_base=""..., iov_len=5}], 1 <unfinished ...>
8 100.000500 read(9<pipe:[5]>, ""..., 5) = 5 <0.000010>
7 100.005000 <... writev resumed>) = 5 <0.004600>
7 100.006000 read(7<TCPv6:[[fd00::2]:80->[fd00::1]:41000]>, ""..., 64) = 0 <0.000010>
7 100.007000 +++ killed by SIGKILL +++
"""  # noqa: E501


def test_a_connect_that_waited_has_one_result() -> None:
    [connection] = parse(REFUSED)
    assert (connection.local, connection.peer) == (("", 0), ("10.9.1.2", 80))
    assert connection.calls == [
        {"t": 100.011012, "call": "connect", "result": "ECONNREFUSED", "began": 100.001},
        {"t": 100.012062, "call": "close", "result": "OK"},
    ]


def test_calls_of_one_connection_are_told_apart_from_all_else() -> None:
    [connection] = parse(SERVED)
    assert connection.accepted
    assert (connection.local, connection.peer) == (("fd00::2", 80), ("fd00::1", 41000))
    told = [(call["call"], call["result"], call.get("n"), call.get("began")) for call in connection.calls]
    assert told == [
        ("accept", "OK", None, None),
        ("recv", "OK", 77, None),
        ("send", "OK", 5, 100.0004),
        ("recv", "EOF", None, None),
        ("close", "OK", None, None),
    ]
