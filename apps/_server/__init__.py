"""What every app gets and no app contains: the server, the request log, the health probe."""
