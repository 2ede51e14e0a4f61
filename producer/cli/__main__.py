"""`python -m producer.cli` is `prelaunch`."""

from producer.cli import main

main()
