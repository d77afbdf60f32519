"""Type aliases of the arrays used in search."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
