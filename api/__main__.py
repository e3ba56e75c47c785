"""`python -m gpuledger` is the command line."""

from gpuledger.cli.entry import main

if __name__ == "__main__":
    main()
