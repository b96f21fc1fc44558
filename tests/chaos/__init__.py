"""A bounded, seeded campaign of faults against real builds: `make chaos`."""
