"""Types that all modules share; docstrings give the shapes."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
"""Numbers in double precision."""
