"""What a user or a key may ask for in a time, held at every gateway by what the log tells."""
