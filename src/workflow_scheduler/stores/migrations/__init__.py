"""The schema of both databases, as ordered SQL files, and the rules about which of them still have to run."""
