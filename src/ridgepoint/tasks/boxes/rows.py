"""The columns of what a detector gives and of what it is told. Places are parts of the image: left, top, right, bottom.

Of a network that answers: four columns of a box, then one a class, its probability; a row an anchor.
Of one that learns: four offsets, four of the anchor, the background's logit, one logit a class.
Of the truth: class, or -1 where there is no object; four of the box; whether it is a crowd.
"""

BOX = slice(0, 4)
SCORES = slice(4, None)

OFFSETS, ANCHOR, LOGITS = slice(0, 4), slice(4, 8), slice(8, None)

LABEL, PLACE, CROWD = 0, slice(1, 5), 5
