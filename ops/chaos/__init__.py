"""
Chaos: a whole installation under load while its parts are killed, frozen, cut off and lied to.

    python -m ops.chaos [--seconds 300] [--jobs 2000] [--seed N] [--faults-per-minute 40] [--keep FOLDER]

Real parts only. At the end what the PBXs' journals say has rung is held against the jobs' records: nothing may be
lost, nothing may have rung twice, nothing may be said that the journal denies. How the rooms hang together:

    __main__ -> run -> orders, plan          what is handed in and what goes wrong, both made from the seed
                       site, crew            the parts
                       producer, conductor   hand in the orders, carry out the plan
                       faults/               one function for each kind of fault
                       evidence -> account   what the parts left behind, and the judgement: no I/O in there
                       table, history        the judgement on paper
                       bystanders            who looks on: Flower, HTTP intake, a CRM, a collector of traces
                       surfaces, published   what they and others can see
                       leaks                 what must not be in there, nor in a log
"""
