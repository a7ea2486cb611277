"""The parts of every app's image: the server, the request log and the health probe."""
