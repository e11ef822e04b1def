"""Lines of a log beside the flows of a capture: which failure each of them tells of."""

from analyzer.alignment.align import align

__all__ = ["align"]
