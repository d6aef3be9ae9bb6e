"""Small stand-ins for the ports at either end of the path, and the slices that travel it. The repository is the real one."""
