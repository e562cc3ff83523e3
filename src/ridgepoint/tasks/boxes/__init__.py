"""What detection is made of: anchors from the data, matching, coding, loss, final boxes, average precision."""
