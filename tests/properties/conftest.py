"""How hard a law is tested: a hundred examples each by default, ``--hypothesis-profile deep`` for an hour's search.

A law says nothing of time, and the machine is shared: no example has a deadline. The failing one is printed in a form
that can be kept as an ``@example``.
"""

from hypothesis import HealthCheck, settings

settings.register_profile("law", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("deep", settings.get_profile("law"), max_examples=5_000)

if settings.get_current_profile_name() == "default":
    settings.load_profile("law")
