"""Engines run the parts of a stage: in processes on this machine, or on a cluster."""
