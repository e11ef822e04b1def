"""How the rooms are joined: frames in, a report out. The only room that knows all the stages."""

from analyzer.decode.pseudonyms import Pseudonyms
from analyzer.pipeline.begun import begun
from analyzer.pipeline.copying import annotate, carve
from analyzer.pipeline.engine import Engine
from analyzer.pipeline.files import analyze
from analyzer.pipeline.following import Following, Step
from analyzer.pipeline.front import BATCH_ROWS
from analyzer.pipeline.parts import parts
from analyzer.pipeline.pictures import pictures
from analyzer.pipeline.reading import Progress
from analyzer.pipeline.tracing import trace
from analyzer.pipeline.watching import interface_names, watch

__all__ = [
    "BATCH_ROWS",
    "Engine",
    "Following",
    "Progress",
    "Pseudonyms",
    "Step",
    "analyze",
    "annotate",
    "begun",
    "carve",
    "interface_names",
    "parts",
    "pictures",
    "trace",
    "watch",
]
