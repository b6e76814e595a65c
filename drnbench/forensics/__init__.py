"""Properties of ready-made LR images: the program that made them, their position against HR, noise, JPEG, colour.

Nothing here reaches a number of a study; other tools are imitated in NumPy and need not be installed.
"""
