"""``embedstream demo``: the whole stream on one machine, on a real corpus, in under two minutes.

Real servers, real change data capture, a real model; every figure that is printed was measured in that run. What the
demo starts it stops, and what it wrote it removes, however it ends.
"""

from compose.demo.story import run_demo

__all__ = ["run_demo"]
