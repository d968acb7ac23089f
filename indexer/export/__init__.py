"""What leaves a bundle for other programs: Parquet, CSV and Darwin Core Archives."""
