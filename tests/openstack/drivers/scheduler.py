"""cinder-scheduler, whose affinity filters share one client.

Cinder's make a new one for each request and back end, also where there are no
hints: a thousand snapshots at once then keep the scheduler so long that the
database runs out of connections, and their orders are lost.
"""
import functools
import sys

import cinder.cmd.scheduler     # first: it chooses Cinder's concurrency when it is imported
import cinder.objects

cinder.objects.register_all()   # the modules below need them at their import

from cinder.scheduler.filters.affinity_filter import AffinityFilter     # noqa: E402
from cinder.volume import api                                           # noqa: E402

client = functools.cache(api.API)
AffinityFilter.__init__ = lambda self: setattr(self, 'volume_api', client())
sys.exit(cinder.cmd.scheduler.main())
