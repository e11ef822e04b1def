"""``python -m analyzer`` is the command ``errnoscope``."""

from analyzer.cli.start import main

if __name__ == "__main__":
    main()
