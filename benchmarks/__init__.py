"""What the performance pages are made from; never part of the default test run."""
