"""
Chaos: real processes that are killed, stopped, told to end and started anew, under the product's promises.

    __main__    the command line, the table and its last line
    run         from the first process to the verdict
    processes   prelaunch's own commands as slots that are always filled again
    faults      which trouble comes next, and making it
    traffic     three updaters who want an answer to every request
    readers     polling all the while; promises 1 and 2 on every answer
    truth       what AWS really holds, and who wrote it, read from the stand-in itself
    verdict     pure: what was seen, counted and judged

`tests/property/test_fleet_machine.py` asks the same promises of the same code in virtual time, at every call; here
nothing is a twin: signals, sockets, SDK and clocks are real, and so are their gaps.
"""
