import sys

from lab import start, stop
from lab.place import Place

verb, flags = sys.argv[1], sys.argv[2:]
known = {'up': ['--fresh'], 'down': ['--wipe']}[verb]
if [f for f in flags if f not in known]:
    sys.exit('usage: tests/openstack/%s [%s]' % (verb, known[0]))
if verb == 'up':
    start.up(fresh='--fresh' in flags)
else:
    stop.down(Place(), wipe='--wipe' in flags)
