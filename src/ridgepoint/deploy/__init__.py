"""What ships: export, verification, measurement."""
