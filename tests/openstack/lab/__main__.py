import sys

from lab import inventory, start, stop
from lab.place import Place

FLAGS = {'up': ['--fresh'], 'down': ['--wipe'], 'inventory': []}

verb, flags = sys.argv[1], sys.argv[2:]
if any(f not in FLAGS[verb] for f in flags):
    sys.exit(' '.join(['usage: tests/openstack/' + verb] + ['[%s]' % f for f in FLAGS[verb]]))
if verb == 'up':
    start.up(fresh='--fresh' in flags)
elif verb == 'down':
    stop.down(Place(), wipe='--wipe' in flags)
else:
    print('\n'.join(inventory.lines(Place())))
