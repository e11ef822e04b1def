"""Packets that are written down as text, in packetdrill's notation, become frames.

One packet a line; `#` begins a comment, what is in brackets may be left out:

    [+SECONDS] SENDER > RECEIVER FLAGS SEQ:END(LEN) [ack N] [win N] [ttl N] [id N] [<OPTIONS>] ["TEXT"]
    [+SECONDS] SENDER > RECEIVER icmp TYPE CODE [mtu N] [ttl N] [id N] [SEQ:END(LEN)]
    [+SECONDS] SENDER > RECEIVER udp (LEN) [ttl N] [id N] ["TEXT"]
    [+SECONDS] end

The brackets around the last SEQ:END(LEN) are to be written: this is the packet of RECEIVER that is quoted,
which may be a datagram: [udp (LEN)].
SENDER is `client`, `server` or, for icmp, `router`. FLAGS are S F R P . U E W, where `.` is ACK. Numbers
count from the sender's initial sequence number, those of `ack` and `sack` from the receiver's; SYN and FIN
are not counted in LEN. `+0.2` is the time since the line before. `end` says when the capture stops. A first
line `ipv6` makes all of it IPv6, a line `port 53` before the
first packet gives the server another port than 80. TEXT is what the payload begins with, in ASCII, with
\\r \\n \\t \\0 \\\\ \\" and \\xNN; what is left of LEN are `x`.
"""

from analyzer.sources.transcript.parse import TranscriptError, parse
from analyzer.sources.transcript.source import TranscriptSource

__all__ = ["TranscriptError", "TranscriptSource", "parse"]
