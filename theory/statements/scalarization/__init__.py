"""Part E: what each scalarizer does, predicted by the law (E1–E8)."""
