"""Training: the loop, what a run leaves on disk, and what it logs."""
