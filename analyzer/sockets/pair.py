"""The two sockets of a flow and what both ends had sent: what the stories of the flow share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

from analyzer.model.event import (
    Doubt,
    Event,
    FlowView,
    IcmpView,
    MessageView,
    ProbeView,
    ResetView,
    RetryView,
    WaitView,
    Withdrawn,
)
from analyzer.model.flow import CLIENT, NOTHING, SERVER, Flow, Totals
from analyzer.model.host import Host, Likeness
from analyzer.model.neighbour import Asked, InVain, nobody_asked
from analyzer.model.seq import distance
from analyzer.model.socket import State, Step
from analyzer.sockets.machine import Fatal, ShadowSocket
from analyzer.sockets.probes import KEEPALIVE, WINDOW, is_answered
from analyzer.sockets.retries import SECOND

COPY_NS = SECOND // 100
"""No timer retransmits so soon: a copy of the packet whose headers do not prove that it is one."""

Told = Event | Withdrawn
E = TypeVar("E", bound=Event)


class Pair:
    """Both ends of a flow. ``totals``: what each had sent, by side, just before what is looked at now."""

    __slots__ = ("_in_vain", "_told", "flow", "sockets", "totals")

    def __init__(self, flow: Flow, client: Host, server: Host, in_vain: InVain = nobody_asked) -> None:
        self.flow = flow
        self._in_vain = in_vain
        self.sockets = (ShadowSocket(CLIENT, client), ShadowSocket(SERVER, server))
        self.totals: tuple[Totals, Totals] = (NOTHING, NOTHING)
        self._told: list[Told] = []
        if flow.client_guessed:
            for socket in self.sockets:
                socket.state = State.ESTABLISHED

    def tell(self, event: Event) -> None:
        """This happened, or is known better now."""
        self._told.append(event)

    def withdraw(self, key: str) -> None:
        """What the event with this key said did not happen."""
        self._told.append(Withdrawn(self.flow.id, key))

    def take_told(self) -> Sequence[Told]:
        """What was told since the last call, in order."""
        if not self._told:
            return ()
        told, self._told = self._told, []
        return told

    def other(self, socket: ShadowSocket) -> ShadowSocket:
        """The socket at the other end."""
        return self.sockets[1 - socket.side]

    def sent(self, socket: ShadowSocket) -> tuple[Totals, Totals]:
        """What this end had sent, and what the other one had."""
        return self.totals[socket.side], self.totals[1 - socket.side]

    def address(self, socket: ShadowSocket) -> str:
        """The address of that end."""
        return (self.flow.server if socket.side else self.flow.client).address

    def asked_in_vain(self, socket: ShadowSocket, since: int, until: int) -> Sequence[Asked]:
        """Whom the host of that end asked for in vain between these times; see InVain."""
        if self.flow.tunnel:
            return ()  # it has another address on its own network
        return self._in_vain(self.address(socket), since, until)

    def round_trip(self, socket: ShadowSocket) -> int | None:
        """From the place of the capture to that end and back, as the handshake shows it."""
        syn, syn_ack = self.sockets[CLIENT].syn_time, self.sockets[SERVER].syn_time
        opened = self.totals[CLIENT].opened_time
        begin, end = (syn_ack, opened) if socket.side == CLIENT else (syn, syn_ack)
        known = self.sockets[SERVER].syn_number and (opened or socket.side == SERVER)
        return end - begin if known and end >= begin else None

    def end(
        self,
        socket: ShadowSocket,
        key: str,
        time: int,
        grace: int,
        taken: Step,
        *,
        number: int = 0,
        reset: int | None = None,
        limit: int | None = None,
    ) -> None:
        """The socket is over, unless it shows life after ``grace``, and after the frame that ended it."""
        run = socket.run or socket.probing
        socket.fatal = Fatal(key, time, grace, reset, limit, socket.state, socket.closed, run, number)
        socket.run = socket.probing = None
        socket.take(taken)

    def signs_of_life(self) -> None:
        """An end that goes on after what should have ended it was not ended."""
        for socket in self.sockets:
            if socket.fatal and _shows_life(socket.fatal, self.totals[socket.side]):
                self.revive(socket)

    def heard_after_all(self) -> None:
        """The capture is over: what was taken to have been given up was acknowledged in its last packets."""
        for socket in self.sockets:
            if _was_heard(socket, *self.sent(socket)):
                self.revive(socket)
                socket.catch_up(*self.sent(socket), self.other(socket).fin_end)

    def revive(self, socket: ShadowSocket) -> None:
        """What ended this end did not: its state before is its state now."""
        fatal, socket.fatal = socket.fatal, None
        if fatal:
            socket.resets_in_vain += fatal.reset is not None
            socket.state, socket.closed, socket.run = (
                fatal.state_before,
                fatal.closed_before,
                fatal.run_before,
            )
            if socket.run and socket.run.what in (WINDOW, KEEPALIVE):
                socket.run, socket.probing = None, socket.run
            if fatal.key:
                self.withdraw(fatal.key)

    def event(
        self,
        kind: type[E],
        socket: ShadowSocket,
        time: int,
        frames: tuple[int, ...],
        key: str,
        doubts: set[Doubt],
        **views: IcmpView | ResetView | RetryView | ProbeView | WaitView | MessageView,
    ) -> E:
        """An event of that end, with what a rule may see of it."""
        make: Callable[..., E] = kind
        return make(
            flow_id=self.flow.id,
            side=socket.side,
            system=socket.system.name,
            time=time,
            frames=frames,
            key=key,
            doubts=_one(frozenset(doubts | self._doubts(socket))),
            socket=socket.view(*self.sent(socket)),
            flow=FlowView(
                ip_version=self.flow.version,
                handshake_seen=not self.flow.client_guessed,
                age=(time - self.flow.start) / SECOND,
                unaccepted=self.sockets[SERVER].synacks_in_vain > 0 and not self.totals[SERVER].opened_time,
            ),
            **views,
        )

    def _doubts(self, socket: ShadowSocket) -> set[Doubt]:
        """What is doubtful about this flow altogether."""
        doubts = set()
        if socket.ttl > socket.profile.ttl or socket.system.likeness is Likeness.OTHER:
            doubts.add(Doubt.ANOTHER_SYSTEM)
        if socket.system.likeness is Likeness.TTL:
            doubts.add(Doubt.SYSTEM_GUESSED)
        if self.flow.client_guessed:
            doubts.add(Doubt.HANDSHAKE_NOT_SEEN)
        client, server = self.totals
        missing = (
            client.unseen_number > server.last_data_number,
            server.unseen_number > client.last_data_number,
        )
        if any(missing):  # else the other end has said more since, and that was captured
            doubts.add(Doubt.BYTES_NOT_CAPTURED)
        connecting = self.sockets[CLIENT].state is State.SYN_SENT
        if (
            self.flow.protocol == "tcp"
            and not connecting
            and not all(totals.last_number for totals in self.totals)
        ):
            doubts.add(Doubt.ONE_DIRECTION)
        return doubts


@lru_cache(maxsize=1024)
def _one(doubts: frozenset[Doubt]) -> frozenset[Doubt]:
    """Equal ones are one object: most events have the same few doubts, and what is found keeps them."""
    return doubts


def _was_heard(socket: ShadowSocket, own: Totals, peer: Totals) -> bool:
    """What it was taken to have given up was acknowledged after all, and no reset answered that."""
    run = socket.fatal.run_before if socket.fatal and not socket.fatal.reset else None
    if run and run.what in (WINDOW, KEEPALIVE):
        return run.what == WINDOW and not socket.reset_late and is_answered(run, peer)
    if run is None or socket.reset_late:
        return False
    if run.what == "syn" and (own.opened_time or socket.unheard or distance(own.seq_end, peer.ack) > 0):
        return own.opened_time > 0  # else it acknowledges another connection, or has not arrived
    return peer.has_ack and distance(run.seq, peer.ack) > 0


def _shows_life(fatal: Fatal, own: Totals) -> bool:
    """The end sent something too late for its end, or acknowledged more than the reset left it."""
    believed_not = fatal.limit is not None and own.has_ack and distance(fatal.limit, own.ack) > 0
    later = own.last_number > fatal.number  # time stamps may be a little out of order
    return believed_not or (later and own.last_time > fatal.time + fatal.grace)
