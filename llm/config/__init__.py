"""Everything a run is made of, checked before any work."""
