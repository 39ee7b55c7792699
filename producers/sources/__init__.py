"""Where rows come from: one file per format, each yielding numbered rows for the door."""
