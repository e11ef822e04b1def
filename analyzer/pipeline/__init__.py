"""How the rooms are joined: frames in, a report out. The only room that knows all the stages.

Nothing is imported here: who reads a capture has another process begin before the rest is loaded.
"""
