"""What a network is: values without weights, read from YAML, checked, costed and built elsewhere. No torch here."""
