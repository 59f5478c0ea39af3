"""From the text of a definition file to a checked definition, with the line and column of every mistake."""
