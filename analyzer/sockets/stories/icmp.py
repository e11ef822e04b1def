"""ICMP errors that quote a packet of an end: RFC 5927 section 4; Linux tcp_v4_err(), __udp4_lib_err()."""

from __future__ import annotations

from analyzer.model.event import DatagramError, Doubt, IcmpReceived, IcmpView
from analyzer.model.flow import Segment, Totals, address_text
from analyzer.model.socket import State, Step
from analyzer.sockets.facts import quotes_syn, quotes_unacknowledged
from analyzer.sockets.machine import ShadowSocket
from analyzer.sockets.pair import Pair
from analyzer.sockets.profiles import IcmpEffect
from analyzer.sockets.retries import SECOND

_CONNECT_HOLDS_NS = SECOND // 1000
"""Linux keeps an ICMP error only as soft while connect() itself holds the socket (tcp_v4_err())."""
_WAITED_NS = SECOND
"""A timeout of the program that is shorter than this is not reckoned with."""


class IcmpErrors:
    """What they do to the sender of the quoted packet."""

    __slots__ = ("_pair", "_refused")

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._refused: tuple[tuple[int, ...], ...] = ()
        """Side, type and code of those that datagrams have met."""

    def received(self, segment: Segment) -> None:
        """An ICMP error came."""
        socket = self._pair.sockets[segment.side]
        other = self._pair.other(socket)
        own, peer = self._pair.sent(socket)
        if other.fatal and other.fatal.reset == segment.seq:
            other.fatal.alike -= 1  # what could not be delivered is one of the resets
            if not other.fatal.alike:
                self._pair.revive(other)
        own_host = self._is_own(segment, socket)
        if own_host:
            self._never_left(socket, segment)
        effect = socket.profile.icmp_effect(segment.version, segment.icmp_type, segment.icmp_code)
        if self._pair.flow.protocol == "udp":
            self._datagram(socket, segment, effect, own)
            return
        view = _icmp_view(
            segment,
            effect,
            quotes_our_syn=quotes_syn(segment, own, socket.initial)
            or (own_host and segment.mss > 0 and segment.seq == socket.initial),
            in_window=quotes_unacknowledged(segment, own, peer),
            own=own_host,
        )
        connecting = socket.state is State.SYN_SENT
        soon = connecting and segment.time - own.last_time < _CONNECT_HOLDS_NS
        doubts = {Doubt.CONNECT_MAY_HOLD_THE_SOCKET} if soon else set()
        if connecting and own_host and segment.time - own.last_time > _WAITED_NS:  # 0: no SYN was captured
            doubts.add(Doubt.CONNECT_MAY_HAVE_GIVEN_UP)
        key = f"icmp {segment.number}"
        self._pair.tell(
            self._pair.event(IcmpReceived, socket, segment.time, (segment.number,), key, doubts, icmp=view)
        )
        if view.quotes_our_syn and effect.kept if connecting else view.in_window and effect.soft:
            socket.soft_errno, socket.soft_time = effect.errno, segment.time
        if connecting and view.quotes_our_syn and effect.fatal:
            self._pair.end(socket, key, segment.time, 0, Step.GIVE_UP, number=segment.number)

    def _is_own(self, segment: Segment, socket: ShadowSocket) -> bool:
        """The message is from the host of that end itself, and not from the other end on the same host."""
        reporter = address_text(segment.version, segment.reporter_hi, segment.reporter_lo)
        return reporter == self._pair.address(socket) != self._pair.address(self._pair.other(socket))

    def _never_left(self, socket: ShadowSocket, segment: Segment) -> None:
        """The host itself says that it could not send the quoted packet."""
        if socket.fatal and not socket.fatal.reset:
            self._pair.revive(socket)  # it still tries
        if segment.mss and socket.initial is None and socket.state is State.CLOSED:
            socket.initial, socket.connects = segment.seq, True
            socket.take(Step.SEND_SYN)

    def _datagram(self, socket: ShadowSocket, segment: Segment, effect: IcmpEffect, own: Totals) -> None:
        """The first ICMP error of its kind for a datagram."""
        kind = (segment.side, segment.icmp_type, segment.icmp_code)
        if kind not in self._refused:
            self._refused += (kind,)
            view = _icmp_view(
                segment,
                effect,
                quotes_our_syn=False,
                in_window=own.last_data_number > 0,
                own=self._is_own(segment, socket),
            )
            frames = tuple(number for number in (own.last_data_number, segment.number) if number)
            key = f"datagram {' '.join(map(str, kind))}"
            doubts = {Doubt.NOT_CONNECTED}
            self._pair.tell(
                self._pair.event(DatagramError, socket, segment.time, frames, key, doubts, icmp=view)
            )


def _icmp_view(
    segment: Segment, effect: IcmpEffect, *, quotes_our_syn: bool, in_window: bool, own: bool
) -> IcmpView:
    return IcmpView(
        version=segment.version,
        type=segment.icmp_type,
        code=segment.icmp_code,
        meaning=effect.meaning,
        errno=effect.errno,
        fatal=effect.fatal,
        soft=effect.soft,
        quotes_our_syn=quotes_our_syn,
        in_window=in_window,
        datagram=effect.datagram,
        reporter=address_text(segment.version, segment.reporter_hi, segment.reporter_lo),
        own=own,
    )
