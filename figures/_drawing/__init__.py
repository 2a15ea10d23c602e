"""How every figure is drawn: style, words, rendering, what several share."""
