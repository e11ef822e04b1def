"""The plain values that flow from stage to stage. Imports nothing but ``errors`` and NumPy."""
