"""The small nets that ship."""
