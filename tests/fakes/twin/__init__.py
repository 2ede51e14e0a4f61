"""
The world outside our processes, in memory and in virtual time: tables, queues, DRS and EC2, and faults at any call.

    expressions   DynamoDB's condition and update expressions, as far as our writes speak them
    dynamodb      the tables of a stack: conditional writes, transactions, sparse indexes that lag behind
    mirror        those tables beside a real database, which has to answer the same
    sqs           its queues
    listeners     an event bus, and tasks of Step Functions that wait
    servers       source servers in DRS, their launch templates in EC2
    world         what there is, the log of every call to it, and what is to go wrong at which call
    process       one process of ours: its clients, its time, its death
    store         the store alone over those tables
    fleet         producer and workers over all of that, and a queue that is emptied by hand

The twin stands where the SDK's clients do, so that all of our own code runs over it: stores, pacing, retries, guards.
What it answers is held to the real things by the tests that run over both.
"""
