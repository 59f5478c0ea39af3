"""Repositories in SQL that both databases share."""
