"""argv in, exit code out."""

import os

# Read by OpenBLAS when numpy and scipy load, hence here. Each brings an OpenBLAS of its own, whose
# threads wait for work at full speed for some 25 ms: with both in use, those of one wait on the
# cores where the other computes (kernels of 1,500 rows on two cores: 13 CPU seconds in place of
# 3.5). 2^4 turns instead of 2^26.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
