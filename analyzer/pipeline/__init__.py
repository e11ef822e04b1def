"""How the rooms are joined: frames in, a report out. The only room that knows all the stages.

Here stands what every analysis needs. What only some commands do is imported from its own module, where it is
used, since starting takes as long as what is imported: ``copying``, ``following``, ``parts``, ``pictures``,
``tracing``, ``watching``.
"""

from analyzer.pipeline.begun import begun
from analyzer.pipeline.engine import Engine
from analyzer.pipeline.files import analyze
from analyzer.pipeline.front import BATCH_ROWS

__all__ = ["BATCH_ROWS", "Engine", "analyze", "begun"]
