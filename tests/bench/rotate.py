"""Cut a pcap file as a rotation does: ``python -m tests.bench.rotate IN.pcap DIR --files 40``."""

from __future__ import annotations

import argparse
from pathlib import Path

from analyzer.sources.pieces import cut


def rotate(whole: Path, folder: Path, files: int) -> list[Path]:
    """Write the files, of about the same size; their paths."""
    size = whole.stat().st_size
    pieces = cut(str(whole), size // files + 1)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with whole.open("rb") as source:
        for number, piece in enumerate(pieces):
            path = folder / f"capture.pcap{number}"
            source.seek(piece.begin)
            with path.open("wb") as out:
                out.write(piece.head)
                left = (size if piece.end is None else piece.end) - piece.begin
                while left:
                    left -= out.write(source.read(min(left, 16 << 20)))
            paths.append(path)
    return paths


def main() -> None:
    """Read the command line, write the files."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.rotate", description=__doc__)
    parser.add_argument("whole", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=40)
    options = parser.parse_args()
    paths = rotate(options.whole, options.folder, options.files)
    print(f"{len(paths)} files in {options.folder}")


if __name__ == "__main__":
    main()
