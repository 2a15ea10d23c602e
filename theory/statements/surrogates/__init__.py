"""Part G: the losses, filters and mixers in use today (T50 on)."""
