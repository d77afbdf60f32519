"""What the arrays of a search are made of."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
