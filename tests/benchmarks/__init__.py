"""
The benchmark: real processes over the stand-in, measured from outside, each figure beside what it compares to.

    __main__     the command line: which lines, what is printed, the exit status
    lines        the lines by name, in the order in which a whole run takes them
    wave apply neighbour submit worker script    what each line does
    stage        stand-in, API and workers as processes; how the work on groups is timed and counted
    processes    what /proc tells of a process and of the machine
    probe        how late an event loop is: its own process, or inside a worker (`probed_worker`)
    floor        pure: AWS's quota as seconds, from the stand-in's own buckets
    bottleneck   pure: what a run waited for, by what was busy meanwhile
    sdk          clients of the plain SDK
    results      pure: figures, bars, and the record of them
    report, plots   the table, the page `docs/performance.md` and its pictures

Nothing here knows how the product is built: it calls its commands and its HTTP door, and reads the stand-in's counts.
No figure may be compared to one of another run, and none is softened: a bar that does not hold is said not to.
"""
