"""One module per schema change, named YYYYMMDD_<rev>_<verb_object>.py."""
