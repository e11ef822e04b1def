"""What both ends said becomes facts: was an answer due, how much of it came. Pure; no bytes make it raise."""

from analyzer.messages.read import read
from analyzer.messages.weigh import Weighed, depends_on_payload, weigh

__all__ = ["Weighed", "depends_on_payload", "read", "weigh"]
