"""What lives where: the tree of taxa and what is computed from it. Pure functions."""
