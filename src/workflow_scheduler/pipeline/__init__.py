"""The data plane, read top to bottom: sources, inbox, matcher, joins, launcher, tracker, redrive, retention."""
