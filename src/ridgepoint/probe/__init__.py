"""What is cheap on this device: the papers' building-block studies, run here."""
