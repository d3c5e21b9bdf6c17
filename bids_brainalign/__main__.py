"""``python -m bids_brainalign``: the BIDS app."""

from bids_brainalign.cli.app import main

raise SystemExit(main())
