"""Programs that were not written for the lab: curl, nginx, openssl, redis; strace tells what they got."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.lab.stage import Stage
from tests.lab.strace import Watched

from .registry import AT_THE_ENDS, Play, scenario

CURL = ("curl", "--disable", "--silent", "--noproxy", "*", "--output", "body")
PROXY_PORT = 8080
NGINX = """
daemon off;
master_process off;
pid nginx.pid;
error_log error.log;
events {{}}
http {{
    access_log off;
    {temporary}
    {body}
}}
"""
TEMPORARY = "\n".join(
    f"{kind}_temp_path {kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)
HEADER = "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _url(stage: Stage) -> str:
    return f"http://{_host(stage.addresses.server)}:{stage.port}/"


def _nginx(body: str) -> Sequence[str]:
    """The command that runs nginx in its own folder with this configuration."""
    text = NGINX.format(temporary=TEMPORARY, body=body)
    return (
        "sh",
        "-c",
        'printf %s "$1" > nginx.conf && exec nginx -p . -c nginx.conf -e error.log',
        "sh",
        text,
    )


def _proxy(stage: Stage, more: str = "") -> None:
    """nginx at the client's place, as a proxy for the server, and somebody who asks it."""
    nginx = stage.watch(
        "client",
        *_nginx(
            f"server {{ listen 127.0.0.1:{PROXY_PORT}; location / {{ {more} proxy_pass {_url(stage)}; }} }}"
        ),
    )
    nginx.until_listening(PROXY_PORT)
    stage.watch("client", *CURL, f"http://127.0.0.1:{PROXY_PORT}/")
    stage.client_program = nginx


def _proxied(stage: Stage) -> None:
    stage.listen()
    _proxy(stage)
    _accept(stage)
    stage.server.do("send", text="HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    stage.pause(0.2)
    stage.server.run("recv", "close")


def _get(stage: Stage, *more: str) -> Watched:
    """curl asks the server."""
    stage.client_program = stage.watch("client", *CURL, *more, _url(stage))
    return stage.client_program


def _openssl(stage: Stage) -> None:
    """openssl s_client begins a handshake with the server."""
    where = f"{_host(stage.addresses.server)}:{stage.port}"
    stage.client_program = stage.watch("client", "openssl", "s_client", "-connect", where)


def _accept(stage: Stage) -> None:
    """The server takes the request in."""
    stage.server.do("accept")
    stage.server.do("recv")


# the server refuses, resets, closes


@scenario("curl-refused", "curl asks a port where nobody listens", needs=("curl",))
@scenario("curl-refused-ipv6", "curl asks a port where nobody listens, IPv6", ipv6=True, needs=("curl",))
def curl_refused(stage: Stage) -> None:
    stage.one_port()
    _get(stage).until_ended()


@scenario(
    "nginx-upstream-refused",
    "nginx passes a request on to a port where nobody listens",
    needs=("nginx", "curl"),
)
def upstream_refused(stage: Stage) -> None:
    stage.one_port()
    _proxy(stage)
    stage.pause(0.5)


def _served(ask: Callable[[Stage], object], *answer: str) -> Play:
    """A server that reads the request and then makes these calls."""

    def play(stage: Stage) -> None:
        stage.listen()
        ask(stage)
        _accept(stage)
        stage.pause()
        for call in answer:
            if call == "part":
                stage.server.do("send", text=HEADER + 2000 * "x")
                stage.pause(0.2)
            elif call == "abort":
                stage.server.option("SO_LINGER", 0)
                stage.server.do("close")
            else:
                stage.server.do(call)
        stage.pause(0.5)

    return play


for _name, _description, _ask, _answer, _needs in (
    ("curl-reset-mid-body", "the server aborts after 2000 of 5000 bytes", _get, ("part", "abort"), "curl"),
    ("curl-closed-mid-body", "the server closes after 2000 of 5000 bytes", _get, ("part", "close"), "curl"),
    ("curl-empty-reply", "the server closes instead of an answer", _get, ("close",), "curl"),
    ("nginx-upstream-reset", "the server behind nginx aborts", _proxy, ("abort",), "nginx"),
    (
        "nginx-upstream-closes",
        "the server behind nginx closes without an answer",
        _proxy,
        ("close",),
        "nginx",
    ),
    ("openssl-server-closes", "the server closes within the handshake", _openssl, ("close",), "openssl"),
    ("openssl-server-resets", "the server aborts within the handshake", _openssl, ("abort",), "openssl"),
):
    for _ipv6 in (False, True):
        scenario(
            _name + ("-ipv6" if _ipv6 else ""),
            _description + (", IPv6" if _ipv6 else ""),
            ipv6=_ipv6,
            needs=(_needs, "curl"),
            captures=AT_THE_ENDS,
        )(_served(_ask, *_answer))


@scenario(
    "nginx-upstream-timeout",
    "the server behind nginx does not answer: 504 after two seconds by nginx's own timer",
    needs=("nginx", "curl"),
    seconds=4,
)
def upstream_timeout(stage: Stage) -> None:
    stage.listen()
    _proxy(stage, "proxy_read_timeout 2s;")
    _accept(stage)
    stage.pause(2.5)
    stage.server.run("recv", "close")


# the client goes away


def _download(stage: Stage, size: int, *more: str) -> Watched:
    """curl asks nginx at the server's place for a file of so many bytes; little fits between them."""
    for place in ("client", "server"):
        stage.network.sysctl(place, "net.ipv4.tcp_rmem=4096 8192 8192", "net.ipv4.tcp_wmem=4096 8192 8192")
    listen = f"{_host(stage.addresses.server)}:{stage.port}"
    command = _nginx(f"server {{ listen {listen}; root .; }}")
    make = f"head -c {size} /dev/zero > index.html && {command[2]}"
    stage.server_program = stage.watch("server", "sh", "-c", make, *command[3:])
    stage.server_program.until_listening(stage.port)
    return _get(stage, *more)


@scenario(
    "nginx-client-aborts",
    "curl leaves in the middle of a download: nginx's next write fails",
    needs=("nginx", "curl"),
    captures=AT_THE_ENDS,
    seconds=4,
)
def client_aborts(stage: Stage) -> None:
    _download(stage, 300_000, "--limit-rate", "1k", "--max-time", "2").until_ended()
    stage.pause(0.5)


@scenario("clean-curl-nginx", "curl gets a file from nginx", needs=("nginx", "curl"), captures=AT_THE_ENDS)
@scenario(
    "clean-curl-nginx-ipv6",
    "curl gets a file from nginx, IPv6",
    needs=("nginx", "curl"),
    captures=AT_THE_ENDS,
    ipv6=True,
)
def download(stage: Stage) -> None:
    _download(stage, 20_000).until_ended()
    stage.pause(0.2)


@scenario(
    "clean-curl-two-requests",
    "curl gets two files from nginx over one connection",
    needs=("nginx", "curl"),
    captures=AT_THE_ENDS,
)
def two_requests(stage: Stage) -> None:
    _download(stage, 3000, f"{_url(stage)}index.html").until_ended()
    stage.pause(0.2)


for _ipv6 in (False, True):
    scenario(
        "clean-nginx-upstream" + ("-ipv6" if _ipv6 else ""),
        "nginx gets an answer from the server behind it" + (", IPv6" if _ipv6 else ""),
        ipv6=_ipv6,
        needs=("nginx", "curl"),
        captures=AT_THE_ENDS,
    )(_proxied)


# openssl


@scenario(
    "openssl-server-killed",
    "openssl s_server is killed after the handshake: the end of the stream without close_notify",
    needs=("openssl",),
    captures=AT_THE_ENDS,
)
def tls_server_killed(stage: Stage) -> None:
    where = f"{_host(stage.addresses.server)}:{stage.port}"
    key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key"
    make = f"req -x509 {key} -subj /CN=lab -out cert"
    serve = f"s_server -quiet -accept {where} -cert cert -key key"
    server = stage.watch("server", "sh", "-c", f"openssl {make} && exec openssl {serve}")
    server.until_listening(stage.port)
    stage.server_program = server
    _openssl(stage)
    stage.pause(0.5)
    server.kill()
    stage.pause(0.5)


# redis


def _redis(stage: Stage, *options: str) -> Watched:
    """redis-server at the server's place."""
    address = stage.addresses.server
    where = ("--port", str(stage.port), "--bind", address, "--protected-mode", "no", "--save", "")
    stage.server_program = stage.watch("server", "redis-server", *where, *options)
    stage.server_program.until_listening(stage.port)
    return stage.server_program


def _ask_redis(stage: Stage, *command: str) -> Watched:
    """redis-cli at the client's place."""
    where = ("-h", stage.addresses.server, "-p", str(stage.port))
    stage.client_program = stage.watch("client", "redis-cli", *where, *command)
    return stage.client_program


@scenario(
    "redis-killed",
    "redis-server is killed while redis-cli waits for an element of a list",
    needs=("redis-server",),
)
@scenario(
    "redis-killed-ipv6",
    "redis-server is killed while redis-cli waits for an element of a list, IPv6",
    needs=("redis-server",),
    ipv6=True,
)
def redis_killed(stage: Stage) -> None:
    server = _redis(stage)
    _ask_redis(stage, "BLPOP", "list", "0")
    stage.pause(0.5)
    server.kill()
    stage.pause(0.5)


@scenario(
    "redis-idle-timeout",
    "redis-server closes an idle connection after a second; redis-cli asks again later",
    needs=("redis-server",),
    seconds=5,
)
def redis_idle(stage: Stage) -> None:
    _redis(stage, "--timeout", "1")
    _ask_redis(stage, "-r", "2", "-i", "3", "PING").until_ended()
    stage.pause(0.2)


@scenario(
    "clean-redis-ipv6",
    "redis-cli asks redis-server and leaves, IPv6",
    needs=("redis-server",),
    captures=AT_THE_ENDS,
    ipv6=True,
)
@scenario(
    "clean-redis", "redis-cli asks redis-server and leaves", needs=("redis-server",), captures=AT_THE_ENDS
)
def redis(stage: Stage) -> None:
    _redis(stage)
    _ask_redis(stage, "-r", "3", "-i", "0.2", "PING").until_ended()
    stage.pause(0.2)
