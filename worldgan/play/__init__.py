"""A page on which a person plays the learned simulator."""
