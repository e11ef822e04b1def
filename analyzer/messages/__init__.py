"""What both ends said becomes facts: was an answer due, how much of it came. Pure; no bytes make it raise."""
