"""Floods and labels that cross tile borders: what several operations share."""
