import numpy as np


def scale(x, factor):
    print("<script>alert(1)</script><img src=x onerror=alert(1)>]]><!-- </system-out></testcase>")
    if x.ndim == 1:
        return type("<script>alert(2)</script>", (), {})()
    raise ValueError("</failure></testcase></testsuite><script>alert(3)</script>&bogus;\"'")


def halves(x):
    if len(x) % 2:
        raise ValueError("odd")
    return np.split(x, 2)
