"""Rule files are loaded and matched against events."""
