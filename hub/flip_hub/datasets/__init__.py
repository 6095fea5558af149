"""Data that the hub itself holds back, for evaluation: files under names of their own."""
