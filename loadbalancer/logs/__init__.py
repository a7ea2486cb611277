"""The logs of nginx and of the apps, as one: their lines, in order of time, filtered, as text."""
