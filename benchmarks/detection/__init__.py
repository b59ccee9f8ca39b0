"""The test bench of the rules: nets that learn, faults planted into them at known places, healthy oddities, their runs."""
