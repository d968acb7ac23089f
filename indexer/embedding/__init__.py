"""From records to vectors: pictures decoded by workers, framed once, through every model."""
