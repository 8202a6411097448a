"""Methods that take the minimum of a law: the convex problem, and what Data Mixing Laws and Olmix share."""
