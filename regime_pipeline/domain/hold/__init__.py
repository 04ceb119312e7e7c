"""How long a price band holds: the probability that every close of the next hours stays inside, and its inverse."""
