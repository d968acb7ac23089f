"""Where things are: H3 cells, shapes that limit a question, map tiles. Pure functions."""
