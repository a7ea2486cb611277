"""nginx: the text of its route, its shares, and the process that serves by them."""
