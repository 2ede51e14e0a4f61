"""
The workers and what both sides share. This module holds no code, only the map.

    main        composition root: the module that the dramatiq CLI loads; workers are wired here only
    boot        how a worker process comes up, tied to its parent, and ends
    actors      the seam of threads and coroutines: message in, outcome -> acknowledge | redeliver
    apply/      use case: claim, observe, plan, execute, verify, record one source server
    wave/       use case: make a wave's groups ready, start its parts, follow its jobs
    watch/      use case: find what others changed, and have it repaired or reported
    sweep/      use case: look after runs and waves that do not come to their end by themselves
    aws/        adapters: clients, DRS, EC2 launch templates, rate buckets; the table of AWS's errors
    core/       what producer and workers share
        model/      pure: launch config, merge, conflicts, digest, protection group
        plan/       pure: observed settings, drift, steps, template data, tokens
        status, contract, errors, outcome, requests, retry    pure: status machine, messages, errors, answers
        store/      DynamoDB items and their conditional writes
        queue/      SQS: batched sends; broker and consumer for dramatiq
        runs/       what a run lists; opening, sending and settling it
        validation/ what a group names, looked up in its account before it is stored
        telling/    what is told of what has settled, and telling it
        fleet/      groups as a file: compared, put in order, applied, made of what AWS holds
        letters/    dead letters: looked at, done again, thrown away
        server_plan, preview    what is to be done with a source server: carried out by apply, or only shown
        queries, history, progress, waves    answers about groups and their runs; accepting waves
        figures, kept_reading    numbers of the whole stack, read for many at once and kept for a while
        ports, clock, settings, periods, environment, logs

Imports go downwards only: main > boot > actors > apply | wave | sweep | watch | aws > core.
Use cases and aws never meet except in main.
"""
