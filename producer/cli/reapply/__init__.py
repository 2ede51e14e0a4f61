"""
`prelaunch reapply`: many groups at once.

    command       the options and how it ends
    choosing      which groups and source servers are meant; everything that is wrong with that, before anything is done
    planning      the dry run
    applying      a run for each group, so many at once
    following     waiting for the runs, by few reads
    interruption  Ctrl-C and SIGTERM
    outcome       what became of each group and source server, and with which status the command ends. Pure
    remedies      what to do about a code. Pure
    pace board    how fast it goes and how long it takes, and lines of that for a pipe
    bars          the same on a terminal
    report        the file with one row a source server
    telling       what is printed in the end
"""
