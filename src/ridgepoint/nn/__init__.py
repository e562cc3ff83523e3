"""Networks with weights: building, folding, weights from elsewhere."""
