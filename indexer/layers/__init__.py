"""Place layers: from features and rasters to what is known of every record's place."""
