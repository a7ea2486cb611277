"""nginx: the text of its route, the shares, and the process that serves by them."""
