import numpy as np

NAME = 'ÿþ'