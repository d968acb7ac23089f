"""What makes a record doubtful, and which places are hidden: applied to every record as it is read.

Knows records as columns, not where they come from.
"""
