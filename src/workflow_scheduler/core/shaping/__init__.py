"""How the events of one trigger become runs where not each of them is to start one: the rules, without any I/O."""
