"""`make scale`: 100,000 source servers in 50 accounts, by the product's own limiter and stores, in virtual time."""
