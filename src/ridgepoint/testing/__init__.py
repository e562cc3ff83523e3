"""Contract kits: what every implementation of a contract keeps, ours and strangers'; each is plain assertions."""
