"""A4. The law token by token (T15–T18)."""
