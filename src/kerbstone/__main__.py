"""`python -m kerbstone` is the command `kerbstone`."""

from kerbstone.app.cli import main

main()
