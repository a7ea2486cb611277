"""A stack as its state has it against what there really is, and how it is brought back."""
