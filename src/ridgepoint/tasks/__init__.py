"""What networks are for: reading data, teaching, scoring, checking and showing answers, by task."""
