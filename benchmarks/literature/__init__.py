"""What papers claim of gradients, measured: each module has functions `claim_N(seeds)` that give rows."""
