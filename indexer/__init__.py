"""The builder: photos and Darwin Core records in, a verified bundle out."""
