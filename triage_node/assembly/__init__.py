"""From files to slices: the header of one file, and the volume of one series."""
