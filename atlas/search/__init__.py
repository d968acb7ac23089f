"""From a question to a page of rows: encoders, filters, exact and approximate search."""
