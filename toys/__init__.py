"""Worlds small enough to enumerate: bandit, token tree, transformer.

Not public: instances reach statements by `covlaw.check`.
"""
