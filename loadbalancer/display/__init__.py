"""Tables, live views and histories in a terminal."""
