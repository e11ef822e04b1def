"""The words of a transcript: flags, ICMP types and codes, options."""

from __future__ import annotations

import re

from analyzer.model.columns import Flag
from analyzer.sources.transcript.steps import MODULUS

LONGEST = 10**9 * 10**9  # nanoseconds of a transcript: far below what an int64 holds
FLAGS = {
    "S": Flag.SYN,
    "F": Flag.FIN,
    "R": Flag.RST,
    "P": Flag.PSH,
    ".": Flag.ACK,
    "U": Flag.URG,
    "E": Flag.ECE,
    "W": Flag.CWR,
}

# Words of type and code by IP version; packetdrill's where it has them.
ICMP_CODES: dict[int, dict[str, dict[str, tuple[int, int]]]] = {
    4: {
        "unreachable": {
            "net_unreachable": (3, 0),
            "host_unreachable": (3, 1),
            "protocol_unreachable": (3, 2),
            "port_unreachable": (3, 3),
            "frag_needed": (3, 4),
            "source_route_failed": (3, 5),
            "net_unknown": (3, 6),
            "host_unknown": (3, 7),
            "source_host_isolated": (3, 8),
            "net_prohibited": (3, 9),
            "host_prohibited": (3, 10),
            "net_unreachable_for_tos": (3, 11),
            "host_unreachable_for_tos": (3, 12),
            "admin_prohibited": (3, 13),
            "packet_filtered": (3, 13),
            "precedence_violation": (3, 14),
            "precedence_cutoff": (3, 15),
        },
        "source_quench": {"source_quench": (4, 0)},
        "redirect": {"net_redirect": (5, 0), "host_redirect": (5, 1)},
        "time_exceeded": {"ttl_exceeded": (11, 0), "reassembly_timeout": (11, 1)},
        "parameter_problem": {"parameter_problem": (12, 0)},
    },
    6: {
        "unreachable": {
            "no_route": (1, 0),
            "admin_prohibited": (1, 1),
            "beyond_scope": (1, 2),
            "address_unreachable": (1, 3),
            "port_unreachable": (1, 4),
            "source_policy_failed": (1, 5),
            "reject_route": (1, 6),
        },
        "packet_too_big": {"packet_too_big": (2, 0)},
        "time_exceeded": {
            "hop_limit": (3, 0),
            "exceeded_hop_limit": (3, 0),
            "exceeded_frag_time": (3, 1),
        },
        "parameter_problem": {
            "header_field": (4, 0),
            "unknown_next_header": (4, 1),
            "unknown_option": (4, 2),
        },
    },
}
ICMP_ERRORS = {4: (3, 4, 5, 11, 12), 6: (1, 2, 3, 4)}
HAS_MTU = {4: (3, 4), 6: (2, 0)}

SPAN = re.compile(r"(-?[0-9]{1,10}):(-?[0-9]{1,10})\(([0-9]{1,10})\)")
LENGTH = re.compile(r"\(([0-9]{1,5})\)")
WORD = re.compile(r'"(?:[^"\\]|\\.)*"?|<[^>]*>?|\[[^\]]*\]?|[^\s<>\[\]]+|\S')
COMMENT = re.compile(r'((?:[^#"]|"(?:[^"\\]|\\.)*"?)*)')
"""What stands before a comment; a # in a text begins none."""
ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|[rnt0\\\"])")
TIME = re.compile(r"\+(?=\.?[0-9])([0-9]{0,10})(?:\.([0-9]{0,9}))?")
NUMBER = re.compile(r"-?[0-9]{1,10}")
UNPRINTABLE = re.compile(r"[^\x20-\x7e]")

# How an option is written, and how many bytes it takes.
OPTIONS = {
    "mss": (re.compile(r"mss ([0-9]{1,10})"), 4, 0xFFFF),
    "sackOK": (re.compile(r"sackOK"), 2, 0),
    "TS": (re.compile(r"TS val ([0-9]{1,10}) ecr ([0-9]{1,10})"), 10, MODULUS - 1),
    "nop": (re.compile(r"nop"), 1, 0),
    "wscale": (re.compile(r"wscale ([0-9]{1,10})"), 3, 0xFF),
    "sack": (re.compile(r"sack((?: [0-9]{1,10}:[0-9]{1,10}){1,4})"), 2, MODULUS - 1),
    "eol": (re.compile(r"eol"), 1, 0),
}
OPTIONS_HINT = "write <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>; sack 1:11 and eol are possible too."
DATAGRAM_HINT = "a datagram is written as: client > server  udp (16)"
LONGEST_DATAGRAM = 65_507
SEGMENT_HINT = "a segment is written as: client > server  P.  1:11(10) ack 1"
