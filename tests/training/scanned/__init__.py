"""CT slices as a scanner would have written them, for tests of what reads data sets."""
