"""What several parts of the statements share: instances, enumeration, tolerances."""
