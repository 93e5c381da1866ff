import sys

from cluster import start, stop
from cluster.place import NODES, Place

FLAGS = {'up': ['--fresh'], 'down': ['--wipe'], 'cut': [], 'restore': [], 'load': []}
USAGE = {'cut': ['NODE'], 'restore': ['NODE'], 'load': ['IMAGE.tar']}

verb, words = sys.argv[1], sys.argv[2:]
flags, words = [w for w in words if w.startswith('--')], [w for w in words if not w.startswith('--')]
if any(f not in FLAGS[verb] for f in flags) or len(words) != len(USAGE.get(verb, [])):
    sys.exit(' '.join(['usage: tests/kubernetes/' + verb] + USAGE.get(verb, []) + ['[%s]' % f for f in FLAGS[verb]]))
if USAGE.get(verb) == ['NODE'] and words[0] not in map(str, NODES):
    sys.exit('cluster: there is no node %s, only: %s' % (words[0], ' '.join(map(str, NODES))))
if verb == 'up':
    start.up(fresh='--fresh' in flags)
elif verb == 'down':
    stop.down(Place(), wipe='--wipe' in flags)
elif verb == 'cut':
    stop.cut(Place.known(), int(words[0]))
elif verb == 'restore':
    start.restore(int(words[0]))
else:
    start.load(words[0])
