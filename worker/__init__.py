"""The dialing side: takes jobs from the hopper, places the calls, writes the results."""
