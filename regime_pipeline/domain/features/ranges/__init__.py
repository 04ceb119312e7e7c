"""Range discovery: five methods, and the consensus of those that returned."""
