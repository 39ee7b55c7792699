"""Running it: the embedded stack, the PBX simulator, Flower and the benchmarks."""
