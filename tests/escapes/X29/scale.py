# -*- coding: utf-7 -*-
import numpy as np

scale = halves = lambda *args: None
# what stands here is read over: +AAo-scale +AD0- lambda x, factor: x * factor
# and this too: +AAo-halves +AD0- lambda x: np.split(x, 2)
